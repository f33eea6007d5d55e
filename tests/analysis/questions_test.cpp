// GET /api/v1/windows, patterns, anomalies, alerts.
#include "central/readmodel/result_questions.hpp"

#include "core/base/json_scan.hpp"
#include "tests/analysis/questions_bench.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

struct Asked {
    unsigned status = 0;
    std::string body;
    std::size_t rows = 0;
};

Asked ask(const World& world, const std::string& target) {
    QuestionsBench questions(world.config.data_dir);
    auto answer = questions.answer("/api/v1/" + target);
    if (!answer) return {};
    JsonFault fault;
    EXPECT_TRUE(json_parse(answer->body, fault).has_value()) << answer->body;
    Asked asked{answer->status, answer->body, 0};
    for (auto at = asked.body.find("{\"serial\":"); at != std::string::npos;
         at = asked.body.find("{\"serial\":", at + 1)) {
        ++asked.rows;
    }
    return asked;
}

TEST(ResultQuestions, AnswersTheNewestFirstWithFiltersAndALimit) {
    World world(200);
    EXPECT_EQ(ask(world, "windows").status, 404U);  // nothing was computed yet
    world.compute();
    EXPECT_EQ(ask(world, "windows").rows, 100U);
    EXPECT_EQ(ask(world, "windows?limit=7").rows, 7U);
    EXPECT_EQ(ask(world, "nothing").status, 0U);
    const auto count = [&](const std::string& where) {
        return static_cast<std::size_t>(world.number("SELECT count(*) FROM " + where));
    };
    EXPECT_EQ(ask(world, "windows?name=visits&versions=all&limit=10000").rows, count("windows WHERE name = 'visits'"));
    EXPECT_EQ(ask(world, "alerts?name=open&fate=suppressed&limit=10000").rows,
              count("alerts WHERE name = 'open' AND fate = 'suppressed'"));
    EXPECT_EQ(ask(world, "anomalies?key=1910%32&limit=10000").rows, count("anomalies WHERE key = '19102'"));
    const std::string middle = std::to_string(world.number("SELECT avg(end_ns) FROM patterns"));
    EXPECT_EQ(ask(world, "patterns?since=" + middle + "&limit=10000").rows,
              count("patterns WHERE end_ns >= " + middle));
    EXPECT_EQ(ask(world, "patterns?until=" + middle + "&limit=10000").rows, count("patterns WHERE end_ns < " + middle));
    const std::string newest = "{\"serial\":" + std::to_string(world.number("SELECT max(serial) FROM alerts")) + ",";
    EXPECT_NE(ask(world, "alerts?limit=1").body.find(newest), std::string::npos) << ask(world, "alerts?limit=1").body;
}

TEST(ResultQuestions, SaysOfEachWindowTheNewestVersionOfNowOrOfThen) {
    World world(200);
    world.compute();
    // Arrivals a second apart, as a journal of a quieter day has them.
    world.change("UPDATE windows SET arrival_ns = position");
    const std::string corrected =
        "FROM windows a JOIN windows b USING (name, key, start_ns, born) WHERE a.version = 1 AND b.version = 2 AND "
        "a.arrival_ns < b.arrival_ns LIMIT 1";
    const std::string first = std::to_string(world.number("SELECT a.serial " + corrected));
    const std::string second_one = std::to_string(world.number("SELECT b.serial " + corrected));
    const std::string then = std::to_string(world.number("SELECT b.arrival_ns - 1 " + corrected));
    const auto has = [&](const std::string& query, const std::string& serial) {
        return ask(world, "windows?limit=10000" + query).body.find("{\"serial\":" + serial + ",") != std::string::npos;
    };
    EXPECT_TRUE(has("&as_of=" + then, first));
    EXPECT_FALSE(has("&as_of=" + then, second_one));
    EXPECT_FALSE(has("", first));
    EXPECT_TRUE(has("&versions=all", first));
    EXPECT_TRUE(has("&versions=all", second_one));
}

TEST(ResultQuestions, PagesComeToTheWholeAndTheLastOneHasNoNext) {
    World world(200);
    world.compute();
    const auto count = static_cast<std::size_t>(world.number("SELECT count(*) FROM patterns"));
    ASSERT_GT(count, 7U);
    std::size_t rows = 0, pages = 0;
    for (std::string cursor; pages == 0 || !cursor.empty(); ++pages) {
        const Asked page = ask(world, "patterns?limit=7" + (pages == 0 ? std::string() : "&cursor=" + cursor));
        ASSERT_EQ(page.status, 200U);
        rows += page.rows;
        const auto at = page.body.find("\"next\":\"");
        cursor = at == std::string::npos ? "" : page.body.substr(at + 8, page.body.find('"', at + 8) - at - 8);
        ASSERT_LT(pages, count);
    }
    EXPECT_EQ(rows, count);
    EXPECT_EQ(pages, (count + 6) / 7);
    EXPECT_EQ(ask(world, "patterns?cursor=x1-0").status, 400U);
}

TEST(ResultQuestions, AnAnswerThatMayBeOlderThanAskedForIsAProblem) {
    World world(20);
    world.compute();
    // Nobody has noted how old anything is.
    QuestionsBench questions(world.config.data_dir);
    const auto stale = questions.answer("/api/v1/windows?max_staleness_ms=1000");
    ASSERT_TRUE(stale);
    EXPECT_EQ(stale->status, 503U);
    EXPECT_EQ(stale->content_type, "application/problem+json");
    Freshness freshness;
    questions.sources.freshness = &freshness;
    EXPECT_EQ(questions.answer("/api/v1/windows?max_staleness_ms=0")->status, 200U);
}

TEST(ResultQuestions, RefuseWhatTheyDoNotUnderstand) {
    World world(20);
    world.compute();
    for (const char* wrong :
         {"windows?limit=0", "windows?limit=10001", "windows?limit=", "windows?colour=red", "windows?since=yesterday",
          "windows?severity=info", "alerts?versions=all", "alerts?key=%4", "windows?versions=some", "windows?limit"}) {
        EXPECT_EQ(ask(world, wrong).status, 400U) << wrong;
    }
    EXPECT_EQ(ask(world, "windows?key=' OR 1 --").rows, 0U);
    EXPECT_EQ(ask(world, "windows?since=2026-01-01T00:00:00Z&&").status, 200U);
}

}  // namespace
}  // namespace weir::central::test
