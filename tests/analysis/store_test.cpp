// replay and fold: the events that are asked for, at the speed that is asked for, and no others.
#include "central/store/command.hpp"

#include <chrono>

#include "central/store/question.hpp"
#include "core/base/json_scan.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

struct Lines {
    int code = 0;
    std::vector<std::string> lines;
    std::string said;
};

Lines replay(const World& world, StoreOptions options) {
    options.to = "-";
    std::ostringstream out, err;
    Lines found;
    found.code = replay_command(world.config, options, out, err);
    std::istringstream text(out.str());
    for (std::string line; std::getline(text, line);) found.lines.push_back(line);
    found.said = err.str();
    return found;
}

TEST(Replay, GivesTheEventsOfATimeForWhichAConditionHolds) {
    World world(80);
    const auto all = replay(world, {});
    ASSERT_GT(all.lines.size(), 300U);
    StoreOptions asked;
    asked.from = "2023-11-14T22:14:00Z";
    asked.until = "2023-11-14T22:15:30Z";
    asked.where = "type == \"violation.submitted\" && data.fine > 100 && key == \"k3\" && edge == \"north\"";
    std::vector<std::string> wanted;
    for (const std::string& line : all.lines) {
        const auto text = [&](const char* name) {
            std::string value;
            EXPECT_TRUE(json_text(*json_member(line, name), value));
            return value;
        };
        const double fine = *json_number(*json_path(line, "data.fine"));
        if (text("time") >= asked.from && text("time") < asked.until && text("type") == "violation.submitted" &&
            fine > 100 && text("key") == "k3") {
            wanted.push_back(line);
        }
    }
    ASSERT_GT(wanted.size(), 2U);
    EXPECT_EQ(replay(world, asked).lines, wanted);
}

TEST(Replay, RefusesAWrongQuestion) {
    World world(2);
    const auto refused = [&](StoreOptions options) { return replay(world, options).code; };
    EXPECT_EQ(refused({.from = "yesterday"}), 2);
    EXPECT_EQ(refused({.until = "1"}), 2);
    EXPECT_EQ(refused({.where = "type >"}), 2);
    for (const char* speed : {"0", "-1", "fast", "nan", "inf", "1x", ""})
        EXPECT_EQ(refused({.speed = speed}), 2) << speed;
}

TEST(Replay, IsPacedByTheEventsOwnTimes) {
    World world(40);
    const auto begun = std::chrono::steady_clock::now();
    const auto all = replay(world, {});
    const auto at_once = std::chrono::steady_clock::now() - begun;
    // About 80 s of events; 200 times faster.
    EXPECT_EQ(replay(world, {.speed = "200"}).lines, all.lines);
    EXPECT_GT(std::chrono::steady_clock::now() - begun, at_once + std::chrono::milliseconds(100));
}

TEST(Fold, IsTheNewestOfEachMemberAndTheCountsOfOneKey) {
    World world(60);
    std::size_t events = 0;
    std::string last;
    for (const std::string& line : replay(world, {}).lines) {
        if (line.find("\"key\":\"k2\"") == line.npos) continue;
        ++events;
        last = line;
    }
    ASSERT_GT(events, 10U);
    std::ostringstream out, err;
    EXPECT_EQ(fold_command(world.config, {.key = "k2"}, out, err), 0) << err.str();
    const std::string said = out.str();
    EXPECT_EQ(*json_number(*json_member(said, "events")), static_cast<double>(events));
    for (const char* path : {"data.fine", "data.zip", "data.plate"}) {
        EXPECT_EQ(json_path(said, path)->raw, json_path(last, path)->raw) << path;
    }
    const double submitted = *json_number(*json_member(json_member(said, "types")->raw, "violation.submitted"));
    const double validated = *json_number(*json_member(json_member(said, "types")->raw, "violation.validated"));
    EXPECT_EQ(submitted + validated, static_cast<double>(events));
    std::ostringstream none;
    EXPECT_EQ(fold_command(world.config, {.key = "nobody"}, none, err), 0);
    EXPECT_EQ(none.str(), "{\"key\":\"nobody\",\"events\":0,\"types\":{},\"data\":{}}\n");
}

}  // namespace
}  // namespace weir::central::test
