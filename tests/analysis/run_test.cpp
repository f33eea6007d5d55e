// AnalysisRun over a journal: kills, new definitions, damaged and foreign states; verify and diff find what differs and nothing else.
#include "central/analysis/run.hpp"

#include "central/analysis/command.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

TEST(AnalysisRun, StoresEachKindOfResultAndVerifyFindsNoDifference) {
    World world(300);
    world.compute();
    for (const char* table : {"windows", "patterns", "anomalies", "alerts"}) {
        EXPECT_GT(world.number("SELECT count(*) FROM " + std::string(table)), 20) << table;
    }
    EXPECT_GT(world.number("SELECT count(*) FROM windows WHERE version > 1"), 0);
    const auto [code, said] = world.verify();
    EXPECT_EQ(code, exit_same) << said;
    EXPECT_NE(said.find(": 0 differences\n"), said.npos) << said;
}

TEST(AnalysisRun, KnowsHowFarEachEdgesLaneHasCome) {
    World world(30);
    world.compute();
    Sequence last = 0;
    auto scanner = journal::Scanner::open(journal_directory(world.config), {});
    while (const auto record = scanner.value().next()) {
        if (record->batch_header.kind == wire::BatchKind::events) last = record->batch_header.last_sequence();
    }
    ASSERT_GT(last, 30U);
    EXPECT_EQ(world.number("SELECT count(*) FROM edges"), 1);
    EXPECT_EQ(world.number("SELECT last_sequence FROM edges WHERE edge = 'north' AND lineage = '000000000000004d' AND "
                           "lane = 'main' AND part = 'live'"),
              static_cast<std::int64_t>(last));
    EXPECT_EQ(world.number("SELECT position > 0 AND arrival_ns > 0 FROM edges"), 1);
}

TEST(AnalysisRun, EachPlantedDifferenceIsNamed) {
    World world(150);
    world.compute();
    const std::pair<std::string, std::string> plants[] = {
        {"UPDATE windows SET data = replace(data, '\"count\":', '\"count\":1') WHERE serial = 7", "~ windows "},
        {"DELETE FROM patterns WHERE serial = 3", "+ patterns "},
        {"INSERT INTO alerts SELECT (SELECT max(serial) FROM alerts) + 1, position, arrival_ns, name, key, time_ns, "
         "since_ns, "
         "kind, fate, severity, count, data FROM alerts WHERE serial = 1",
         "- alerts "},
        {"", "~ state: "},
        {"UPDATE windows SET position = position + 8 WHERE serial = 1", "~ windows "},
    };
    std::uint64_t differences = 0;
    for (const auto& [plant, named] : plants) {
        if (plant.empty()) {
            world.change_state("x");
        } else {
            world.change(plant);
        }
        const auto [code, said] = world.verify();
        EXPECT_EQ(code, exit_differs) << plant;
        EXPECT_NE(said.find(named), said.npos) << plant << "\n" << said;
        EXPECT_NE(said.find(": " + std::to_string(++differences) + " differences\n"), said.npos) << said;
    }
}

TEST(AnalysisRun, KillsAtAnyRecordLeaveTheSameRowsAndState) {
    World world(200);
    sim::Random random(5);
    for (bool has_more = true; has_more;) {
        const auto into = world.store();
        const auto run = world.run(*into);
        has_more = world.apply(*run, random.within(1, 30));
        // Killed with rows that were never committed, that were, or with a checkpoint: dropped as it is.
        if (random.chance(700)) {
            EXPECT_TRUE(run->commit().ok());
        }
        if (random.chance(600)) {
            EXPECT_TRUE(run->checkpoint().ok());
        }
        if (has_more && random.chance(300)) world.apply(*run, random.within(1, 10));
    }
    world.compute();
    const auto [code, said] = world.verify();
    EXPECT_EQ(code, exit_same) << said;
}

TEST(AnalysisRun, KillsLeaveTheSameRowsAndStateWhereThreadsStoreThemAndStatesAreCopiedBetweenRecords) {
    World world(400);
    sim::Random random(6);
    RowCounters counters;
    std::uint64_t states = 0;
    for (bool has_more = true; has_more;) {
        const auto into = world.store();
        auto opened =
            AnalysisRun::open(*into, world.config.analytics, world.journal,
                              {state_path(world.config.data_dir), results_path(world.config.data_dir), &counters});
        ASSERT_TRUE(opened.ok()) << opened.error().what;
        AnalysisRun& run = *opened.value();
        for (std::uint64_t left = random.within(20, 60); left > 0 && has_more; --left) {
            has_more = world.apply(run, 1);
            if (run.is_copying()) {
                ASSERT_TRUE(run.copy_some(random.within(5, 30)).ok());
                states += run.is_copying() ? 0 : 1;
            } else if (random.chance(300) && run.can_checkpoint()) {
                run.begin_checkpoint();
            }
        }
        // Killed with rows that wait and a state that is half copied, or after the last one has come to the disk.
        if (random.chance(300)) {
            ASSERT_TRUE(run.finish().ok());
        }
    }
    EXPECT_GT(states, 3U);
    world.compute();
    const auto [code, said] = world.verify();
    EXPECT_EQ(code, exit_same) << said;
}

TEST(AnalysisRun, NewDefinitionsKeepTheStateOfWhatDidNotChange) {
    World world(120);
    std::string changed = definitions_text;
    changed.replace(changed.find("gap_s = 20"), 10, "gap_s = 25");
    {
        const auto into = world.store();
        const auto run = world.run(*into);
        EXPECT_TRUE(world.apply(*run, 60));
        const auto serials = into->serials();
        EXPECT_GT(serials.last[0], 0U);
        EXPECT_TRUE(run->redefine(config_of(world.config.data_dir, changed).analytics).ok());
        EXPECT_EQ(run->take_notes(), std::vector<std::string>{"window.visits begins anew: its definition changed"});
        world.apply(*run);
        EXPECT_TRUE(run->checkpoint().ok());
    }
    EXPECT_EQ(world.number("SELECT count(*) FROM definitions"), 2);
    // The second verify runs the operators from one set of definitions into the other at the same place.
    EXPECT_EQ(world.verify().first, exit_same) << world.verify().second;
    // And a start with other definitions than those of the kill does so too.
    {
        const auto into = world.store();
        const auto run = world.run(*into);
        EXPECT_EQ(run->take_notes(), std::vector<std::string>{"window.visits begins anew: its definition changed"});
    }
    EXPECT_EQ(world.number("SELECT count(*) FROM definitions"), 3);
    EXPECT_EQ(world.verify().first, exit_same) << world.verify().second;
}

TEST(AnalysisRun, AStateOfAnotherJournalOrThatCannotBeReadIsComputedAnew) {
    World world(40);
    world.compute();
    const auto notes = [&](AnalysisRun::Journal journal) {
        const auto into = world.store();
        auto run = AnalysisRun::open(*into, world.config.analytics, journal, {state_path(world.config.data_dir)});
        EXPECT_EQ(run.value()->position(), 0U);
        EXPECT_EQ(into->serials(), ResultSerials{});
        return run.value()->take_notes();
    };
    EXPECT_EQ(notes({world.journal.id + 1, world.journal.durable}),
              std::vector<std::string>{"the results are of another journal: begun anew"});
    world.compute();
    EXPECT_EQ(notes({world.journal.id, world.journal.durable - 8}),
              std::vector<std::string>{"the results are of another journal: begun anew"});
    world.compute();
    const std::vector<std::string> unreadable{"no state of analytics, or not all of it: begun anew"};
    world.change_state("WAN1?");
    EXPECT_EQ(notes(world.journal), unreadable);
    world.compute();
    std::filesystem::resize_file(state_path(world.config.data_dir), 200);
    EXPECT_EQ(notes(world.journal), unreadable);
    world.compute();
    std::filesystem::remove(results_path(world.config.data_dir));
    EXPECT_EQ(notes(world.journal), std::vector<std::string>{"the results are not those of the state: begun anew"});
    world.compute();
    EXPECT_EQ(world.verify().first, exit_same) << world.verify().second;
}

TEST(AnalysisRun, KeepsTheNewestRowsAndSaysWhichWentFirst) {
    World world(150);
    world.config.analytics.rows_max = 10;
    world.compute();
    for (const char* table : {"windows", "patterns", "anomalies", "alerts"}) {
        EXPECT_EQ(world.number("SELECT count(*) FROM " + std::string(table)), 10) << table;
    }
    EXPECT_EQ(world.verify().first, exit_same) << world.verify().second;
    world.change("DELETE FROM windows WHERE serial = (SELECT min(serial) FROM windows)");
    EXPECT_EQ(world.verify().first, exit_differs);
}

TEST(AnalysisDiff, SaysWhatOtherDefinitionsWouldHaveFound) {
    World world(150);
    world.compute();
    const auto diff = [&](const std::string& definitions) {
        std::ostringstream out;
        const int code = diff_command(config_of(world.config.data_dir, definitions), {}, out, out);
        return std::pair(code, out.str());
    };
    EXPECT_EQ(diff(definitions_text).first, exit_same) << diff(definitions_text).second;
    std::string changed = definitions_text;
    changed.replace(changed.find("data.count > 4"), 14, "data.count > 30");
    const auto [code, said] = diff(changed);
    EXPECT_EQ(code, exit_differs);
    EXPECT_NE(said.find("alerts many: "), said.npos) << said;
    EXPECT_EQ(said.find("windows "), said.npos) << said;
}

TEST(Query, AnswersOneSelectAndChangesNothing) {
    World world(60);
    world.compute();
    const auto ask = [&](const std::string& sql, QueryOptions options = {}) {
        std::ostringstream out;
        options.sql = sql;
        const int code = query_command(world.config, options, out, out);
        return std::pair(code, out.str());
    };
    EXPECT_EQ(ask("SELECT name, count(*) > 0 AS has FROM windows GROUP BY name ORDER BY name"),
              std::pair(0, std::string("name\thas\nfines\t1\nslides\t1\nvisits\t1\n")));
    QueryOptions json;
    json.is_json = true;
    EXPECT_EQ(ask("SELECT 1 AS a, NULL AS b, 0.5 AS c, 'x\"' AS d", json),
              std::pair(0, std::string("{\"a\":1,\"b\":null,\"c\":0.5,\"d\":\"x\\\"\"}\n")));
    for (const char* refused :
         {"DELETE FROM windows", "UPDATE windows SET name = 'x'", "CREATE TABLE x (y)", "ATTACH '/tmp/x' AS x",
          "ATTACH ':memory:' AS x", "PRAGMA journal_mode = DELETE", "PRAGMA user_version", "BEGIN",
          "SELECT load_extension('x')", "SELECT 1; SELECT 2", "", "SELECT nothing FROM windows"}) {
        EXPECT_EQ(ask(refused).first, exit_unreadable) << refused;
    }
    QueryOptions bounded;
    bounded.rows_max = 2;
    EXPECT_EQ(ask("SELECT 1 FROM windows", bounded).second,
              "1\n1\n1\nmore than 2 rows: the rest is left out (--rows-max)\n");
    bounded.ms_max = 50;
    const auto [code, said] =
        ask("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n", bounded);
    EXPECT_EQ(code, exit_unreadable);
    EXPECT_NE(said.find("interrupted"), said.npos) << said;
}

}  // namespace
}  // namespace weir::central::test
