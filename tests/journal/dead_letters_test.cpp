// Dead letters on a daemon's directory: found by every filter, shown with their bytes, marked as purged, and what cannot be replayed
// is said. (What an edge does with a replay: tests/edge/replay_test.cpp; real processes: scripts/dead-letters.)
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/control/dead_letters.hpp"
#include "core/control/letter_marks.hpp"
#include "core/control/letters_act.hpp"
#include "core/journal/checkpoint.hpp"
#include "tests/journal/letter_samples.hpp"

namespace weir::journal {
namespace {

using control::DeadLetterArguments;
using control::LetterMarks;
using control::LetterState;

class LettersTest : public testing::Test {
  protected:
    void write(const std::vector<std::vector<std::byte>>& batches) {
        for (const auto& batch : batches) bench_.append_durable({batch});
        bench_.save();
        ASSERT_TRUE(make_directory(data_.path() + "/spool/dead-letters").ok());
        std::filesystem::copy_file(bench_.segment_path(0),
                                   data_.path() + "/spool/dead-letters/" + segment_file_name(0));
    }
    // Six letters of north, among events.
    void write_samples() {
        write(
            {event_batch(1, 2),
             letter_batch(1, {{.original = event_bytes("ride", "cab/1", "r1")},
                              {.original = event_bytes("ride.end", "cab/2", "r2"), .after_s = 1},
                              {.original = "junk",
                               .reason = wire::Reason::not_flatbuffer,
                               .stage = wire::StageId::decode,
                               .after_s = 2}}),
             event_batch(3, 1),
             letter_batch(
                 4,
                 {{.original = event_bytes("fine", "cab/1", "f1"), .after_s = 3},
                  {.original = event_bytes("fine", "gate", "f2"), .reason = wire::Reason::field_missing, .after_s = 4},
                  {.original = "", .reason = wire::Reason::empty, .stage = wire::StageId::decode, .after_s = 5}})});
    }
    [[nodiscard]] DeadLetterArguments arguments(std::string_view verb) const {
        DeadLetterArguments all;
        all.verb = verb;
        all.directory = data_.path();
        return all;
    }
    int run(const DeadLetterArguments& with) {
        out_.str({});
        err_.str({});
        return control::dead_letters_command(with, out_, err_);
    }
    // The sequences that ls --json names with these options.
    std::string listed(const control::LetterFilterTexts& filter, std::uint64_t limit = 0, bool all = false) {
        DeadLetterArguments with = arguments("ls");
        with.json = true;
        with.filter = filter;
        with.limit = limit;
        with.all = all;
        EXPECT_EQ(run(with), 0) << err_.str();
        std::string sequences;
        std::istringstream lines(out_.str());
        for (std::string line; std::getline(lines, line);) {
            const std::size_t at = line.find("\"sequence\":") + 11;
            sequences += line.substr(at, line.find(',', at) - at) + " ";
        }
        return sequences;
    }
    int purge(std::string_view sequence, std::string_view why = "known defect") {
        DeadLetterArguments with = arguments("purge");
        with.filter.sequence = sequence;
        with.reason_text = why;
        return run(with);
    }
    [[nodiscard]] std::string marks_path() const { return data_.path() + "/dead-letter-marks"; }

    JournalBench bench_{8U << 20};
    Directory data_;
    std::ostringstream out_, err_;
};

TEST_F(LettersTest, AreListedWithReasonAndShownWithTheirBytes) {
    write({event_batch(1, 1), letter_batch(1, {{.original = "ab\x01"}})});
    DeadLetterArguments ls = arguments("ls");
    ls.json = true;
    ASSERT_EQ(run(ls), 0);
    EXPECT_NE(out_.str().find(R"("time":"2017-12-01T00:00:07Z","edge":"north","sequence":1)"), std::string::npos);
    EXPECT_NE(out_.str().find(R"("rule":3,"producer":"gate-1","bytes":3,"prefix":"ab.")"), std::string::npos);
    EXPECT_NE(out_.str().find(R"("lineage":"0000000000000007","state":"kept"})"), std::string::npos);
    DeadLetterArguments show = arguments("show");
    ASSERT_EQ(run(show), 0);
    EXPECT_NE(out_.str().find("  00000000  61 62 01 "), std::string::npos);
    show.json = true;
    ASSERT_EQ(run(show), 0);
    EXPECT_NE(out_.str().find(R"("base64":"YWIB")"), std::string::npos);
}

TEST_F(LettersTest, EachFilterLetsThroughWhatItSaysAndAllMustAgree) {
    write_samples();
    EXPECT_EQ(listed({}), "1 2 3 4 5 6 ");
    EXPECT_EQ(listed({.edge = "north"}), "1 2 3 4 5 6 ");
    EXPECT_EQ(listed({.edge = "south"}), "");
    EXPECT_EQ(listed({.reason = "out_of_range"}), "1 2 4 ");
    EXPECT_EQ(listed({.stage = "decode"}), "3 6 ");
    EXPECT_EQ(listed({.type = "ride"}), "1 ");
    EXPECT_EQ(listed({.type = "ride*"}), "1 2 ");
    EXPECT_EQ(listed({.type = "*"}), "1 2 4 5 ");  // what is no event has no type
    EXPECT_EQ(listed({.source = "cab/?"}), "1 2 4 ");
    EXPECT_EQ(listed({.since = "2017-12-01T00:00:09Z"}), "3 4 5 6 ");
    EXPECT_EQ(listed({.until = "2017-12-01T00:00:09Z"}), "1 2 ");
    EXPECT_EQ(listed({.since = "2017-12-01T00:00:08Z", .until = "2017-12-01T00:00:10Z"}), "2 3 ");
    EXPECT_EQ(listed({.sequence = "2..4"}), "2 3 4 ");
    EXPECT_EQ(listed({.sequence = "5"}), "5 ");
    EXPECT_EQ(listed({.sequence = "5.."}), "5 6 ");
    EXPECT_EQ(listed({.sequence = "..2"}), "1 2 ");
    EXPECT_EQ(listed({}, 2), "1 2 ");
    EXPECT_EQ(listed({.type = "fine", .source = "cab/*"}, 5), "4 ");
}

// What central's ingest set aside lies in the journal of events; its sequences are another lane's than those of letters.
TEST_F(LettersTest, WhatCentralCouldNotVerifyIsListedShownAndPurgedByItsLane) {
    std::vector<std::byte> body;
    const std::string good = event_bytes("ride", "cab/1", "r1"), bad = "poison";
    for (const std::string& one : {good, bad, good}) {
        add_frame(body, wire::FrameKind::event, std::as_bytes(std::span(one)));
    }
    bench_.append_durable({sealed(body, 3, 5, 0, "main")});
    bench_.append_durable({letter_batch(6, {{.original = "junk"}})});
    bench_.save();
    for (const char* name : {"/journal", "/dead-letters"}) ASSERT_TRUE(make_directory(data_.path() + name).ok());
    std::filesystem::copy_file(bench_.segment_path(0), data_.path() + "/journal/" + segment_file_name(0));
    DeadLetterArguments ls = arguments("ls");
    ls.json = true;
    ls.filter.stage = "ingest";
    ASSERT_EQ(run(ls), 0);
    EXPECT_NE(out_.str().find(R"("edge":"north","lane":"main","part":"live","sequence":6,"stage":"ingest")"),
              std::string::npos)
        << out_.str();
    EXPECT_NE(out_.str().find(R"("bytes":6,"prefix":"poison")"), std::string::npos) << out_.str();
    EXPECT_EQ(listed({.sequence = "6"}), "6 6 ");
    DeadLetterArguments purge_it = arguments("purge");
    purge_it.filter.stage = "ingest";
    purge_it.reason_text = "a stolen edge";
    ASSERT_EQ(run(purge_it), 0) << err_.str();
    EXPECT_EQ(out_.str(), "north/main 6..6 purged\npurged 1\n");
    EXPECT_EQ(listed({.stage = "ingest"}), "");
    EXPECT_EQ(listed({.sequence = "6"}), "6 ") << "the edge's own letter of that number stays";
    DeadLetterArguments replay = arguments("replay");
    replay.dry_run = true;
    replay.json = true;
    replay.filter.sequence = "6";
    EXPECT_EQ(run(replay), 1);
    EXPECT_NE(out_.str().find("not_an_event"), std::string::npos) << out_.str();
}

TEST_F(LettersTest, LsEndsWithCountsByReason) {
    write_samples();
    ASSERT_EQ(run(arguments("ls")), 0);
    EXPECT_TRUE(out_.str().ends_with("\n6 dead letters  empty 1  field_missing 1  not_flatbuffer 1  out_of_range 3\n"))
        << out_.str();
    DeadLetterArguments one = arguments("ls");
    one.filter.sequence = "2";
    ASSERT_EQ(run(one), 0);
    EXPECT_TRUE(out_.str().ends_with("\n1 dead letter  out_of_range 1\n")) << out_.str();
    one.filter.sequence = "99";
    ASSERT_EQ(run(one), 0);
    EXPECT_EQ(out_.str(), "0 dead letters\n");
}

TEST_F(LettersTest, AWrongArgumentIsNamedAndEndsWith64) {
    write_samples();
    const auto is_refused = [&](const DeadLetterArguments& with, std::string_view said) {
        EXPECT_EQ(run(with), control::exit_usage) << said;
        EXPECT_NE(err_.str().find(said), std::string::npos) << err_.str();
        EXPECT_EQ(out_.str(), "");
    };
    for (const auto& [filter, said] : std::vector<std::pair<control::LetterFilterTexts, std::string>>{
             {{.reason = "tired"}, "--reason tired: not known; there are not_flatbuffer, "},
             {{.stage = "Decode"}, "--stage Decode: not known; there are ingress, decode"},
             {{.since = "yesterday"}, "--since yesterday: no time"},
             {{.until = "2017-12-01"}, "--until 2017-12-01: no time"},
             {{.since = "2017-12-01T00:00:09Z", .until = "2017-12-01T00:00:09Z"}, "must be later than --since"},
             {{.sequence = "9..7"}, "--sequence 9..7"},
             {{.sequence = "0"}, "--sequence 0"},
             {{.sequence = ".."}, "--sequence .."},
             {{.sequence = "7..x"}, "--sequence 7..x"},
             {{.sequence = "99999999999999999999"}, "--sequence 99"}}) {
        DeadLetterArguments with = arguments("ls");
        with.filter = filter;
        is_refused(with, said);
    }
    is_refused(arguments("purge"), "purge needs --reason-text");
    is_refused(arguments("replay"), "replay needs --reason-text");
    DeadLetterArguments replay = arguments("replay");
    replay.reason_text = "why";
    is_refused(replay, "replay needs --to");
    DeadLetterArguments with = arguments("ls");
    with.to = "127.0.0.1:1";
    is_refused(with, "--to is for replay");
    with = arguments("show");
    with.dry_run = true;
    is_refused(with, "--dry-run is for");
    with = replay;
    with.to = "nowhere";
    is_refused(with, "--to address 'nowhere'");
    with.to = "127.0.0.1:1";
    with.all = true;
    is_refused(with, "--all is for ls and show");
    with = arguments("dance");
    EXPECT_EQ(run(with), 2);
    with = arguments("ls");
    with.directory = data_.path() + "/none";
    EXPECT_EQ(run(with), 2);
}

TEST_F(LettersTest, APurgedLetterIsHiddenUntilAskedForAndTheJournalStaysAsItWas) {
    write_samples();
    const auto before = file_content(data_.path() + "/spool/dead-letters/" + segment_file_name(0));
    ASSERT_EQ(purge("2..3"), 0);
    EXPECT_EQ(out_.str(), "north 2..3 purged\npurged 2\n");
    EXPECT_EQ(listed({}), "1 4 5 6 ");
    EXPECT_EQ(listed({}, 0, true), "1 2 3 4 5 6 ");
    EXPECT_NE(out_.str().find(R"("sequence":2,"stage":"validate")"), std::string::npos);
    EXPECT_NE(out_.str().find(R"("state":"purged")"), std::string::npos);
    ASSERT_EQ(purge("1..4"), 0);  // what is purged is purged once
    EXPECT_EQ(out_.str(), "north 1..1 purged\nnorth 4..4 purged\npurged 2\n");
    EXPECT_EQ(listed({}), "5 6 ");
    EXPECT_EQ(file_content(data_.path() + "/spool/dead-letters/" + segment_file_name(0)), before);
    DeadLetterArguments dry = arguments("purge");
    dry.reason_text = "all";
    dry.dry_run = true;
    ASSERT_EQ(run(dry), 0);
    EXPECT_EQ(out_.str(), "north 5..6 would be purged\nwould purge 2\n");
    EXPECT_EQ(listed({}), "5 6 ");
}

TEST_F(LettersTest, AMarkThatWasCutOrChangedMarksNothingAndTheNextOneIsWhole) {
    write_samples();
    ASSERT_EQ(purge("1", "why \"quoted\"\nand on"), 0);
    ASSERT_EQ(purge("2"), 0);
    std::string text;
    {
        std::ifstream file(marks_path());
        text.assign(std::istreambuf_iterator<char>(file), {});
    }
    // Every cut of the second line, as a crash leaves it: letter 1 is purged, letter 2 is not.
    const std::size_t second = text.find('\n') + 1;
    for (std::size_t bytes = second; bytes + 1 < text.size(); ++bytes) {
        std::vector<std::string> faults;
        std::ofstream(marks_path(), std::ios::trunc) << text.substr(0, bytes);
        const auto marks = LetterMarks::load(data_.path(), faults);
        ASSERT_TRUE(marks.ok());
        ASSERT_EQ(marks.value().state_of("north", 7, 1), LetterState::purged);
        ASSERT_EQ(marks.value().state_of("north", 7, 2), LetterState::kept) << bytes;
        ASSERT_EQ(faults.size(), bytes == second ? 0U : 1U);
    }
    ASSERT_EQ(purge("4"), 0);
    EXPECT_EQ(listed({}), "2 3 5 6 ");
    EXPECT_NE(err_.str().find("dead-letter-marks:2: no mark"), std::string::npos);
    // Every changed byte.
    for (std::size_t at = 0; at + 1 < second; ++at) {
        std::string changed = text.substr(0, second);
        changed[at] = static_cast<char>(changed[at] ^ 1);
        std::ofstream(marks_path(), std::ios::trunc) << changed;
        std::vector<std::string> faults;
        const auto marks = LetterMarks::load(data_.path(), faults);
        ASSERT_TRUE(marks.ok());
        for (Sequence sequence = 1; sequence <= 6; ++sequence) {
            ASSERT_EQ(marks.value().state_of("north", 7, sequence), LetterState::kept) << at;
        }
    }
}

TEST_F(LettersTest, MarksAreOfOneLineageOfOneEdge) {
    ASSERT_TRUE(LetterMarks::add(data_.path(),
                                 {{LetterState::replayed, "north", 7, 3, 5},
                                  {LetterState::purged, "north", 7, 5, 6},
                                  {LetterState::replayed, "north", 7, 7, 9}},
                                 {1}, "")
                    .ok());
    std::vector<std::string> faults;
    const auto marks = LetterMarks::load(data_.path(), faults);
    ASSERT_TRUE(marks.ok());
    const auto state = [&](Sequence sequence) { return marks.value().state_of("north", 7, sequence); };
    EXPECT_EQ(state(2), LetterState::kept);
    EXPECT_EQ(state(3), LetterState::replayed);
    EXPECT_EQ(state(5), LetterState::purged);
    EXPECT_EQ(state(6), LetterState::purged);
    EXPECT_EQ(state(9), LetterState::replayed);
    EXPECT_EQ(state(10), LetterState::kept);
    EXPECT_EQ(marks.value().state_of("north", 8, 4), LetterState::kept);
    EXPECT_EQ(marks.value().state_of("south", 7, 4), LetterState::kept);
}

TEST_F(LettersTest, ADryRunSaysWhatWouldBeOfferedAndWhatIsNoEvent) {
    write_samples();
    DeadLetterArguments with = arguments("replay");
    with.dry_run = true;
    EXPECT_EQ(run(with), 1);  // letters 3 and 6 are no events
    EXPECT_NE(out_.str().find("north 3 not_an_event "), std::string::npos);
    EXPECT_NE(out_.str().find("dry run: not_an_event 2 would_offer 4"), std::string::npos) << out_.str();
    with.filter.type = "ride*";
    EXPECT_EQ(run(with), 0);
    EXPECT_EQ(out_.str(), "north 1 would_offer\nnorth 2 would_offer\ndry run: would_offer 2\n");
    EXPECT_FALSE(std::filesystem::exists(marks_path()));
}

TEST_F(LettersTest, AnEdgeThatDoesNotAnswerLeavesEveryLetterUnansweredAndUnmarked) {
    write_samples();
    DeadLetterArguments with = arguments("replay");
    with.filter.type = "ride*";
    with.to = "unix:" + data_.path() + "/nobody.sock";
    with.reason_text = "the rule was wrong";
    with.timeout_s = 1;
    EXPECT_EQ(run(with), 1);
    EXPECT_NE(out_.str().find("replayed: unanswered 2"), std::string::npos) << out_.str();
    EXPECT_NE(err_.str().find("no answer for 1 s: connect unix:"), std::string::npos) << err_.str();
    EXPECT_FALSE(std::filesystem::exists(marks_path()));
}

TEST_F(LettersTest, WhatIsDoneToLettersIsInTheAuditTrailOrIsNotDone) {
    write_samples();
    ASSERT_EQ(purge("2", "rubbish"), 0);
    std::ostringstream trail;
    trail << std::ifstream(data_.path() + "/audit-trail").rdbuf();
    EXPECT_NE(trail.str().find("\"act\":\"dead-letters.purge\",\"who\":\"uid:" + std::to_string(::getuid())),
              std::string::npos);
    EXPECT_NE(trail.str().find("--sequence 2\",\"reason\":\"rubbish\",\"outcome\":\"asked\""), std::string::npos)
        << trail.str();
    EXPECT_NE(trail.str().find("\"outcome\":\"exit 0\",\"of\":2"), std::string::npos) << trail.str();
    // In its place stands what no file can be written to.
    std::filesystem::remove(data_.path() + "/audit-trail");
    std::filesystem::create_directory(data_.path() + "/audit-trail");
    EXPECT_EQ(purge("4", "rubbish"), 1);
    EXPECT_NE(err_.str().find("not done: it cannot be written down"), std::string::npos) << err_.str();
    EXPECT_EQ(listed({}), "1 3 4 5 6 ");
}

TEST_F(LettersTest, ByHttpTheSameIsDoneWithinItsBounds) {
    write_samples();
    const auto ask = [&](std::string_view target, std::string_view why = "rubbish") {
        return control::act_on_letters({data_.path(), "", "not here"}, "/v1/letters/",
                                       {.target = target, .who = "rita", .role = "replayer", .reason = why});
    };
    EXPECT_EQ(ask("/v1/letters/replay").status, 409U);
    EXPECT_EQ(ask("/v1/letters/show").status, 404U);
    EXPECT_EQ(ask("/v1/letters/purge?colour=red").status, 400U);
    EXPECT_EQ(ask("/v1/letters/purge?limit=1001").status, 400U);
    EXPECT_EQ(ask("/v1/letters/purge?type=%zz").status, 400U);
    EXPECT_EQ(ask("/v1/letters/purge?reason=never").status, 400U);
    EXPECT_EQ(ask("/v1/letters/purge?type=ride", "").status, 400U);
    EXPECT_EQ(listed({}), "1 2 3 4 5 6 ");
    const auto done = ask("/v1/letters/purge?type=ride%2a&limit=1");
    EXPECT_EQ(done.status, 200U) << done.body;
    EXPECT_EQ(listed({}), "2 3 4 5 6 ");
    std::ostringstream trail;
    trail << std::ifstream(data_.path() + "/audit-trail").rdbuf();
    EXPECT_NE(trail.str().find("\"who\":\"rita\""), std::string::npos);
}

TEST_F(LettersTest, LettersOfTwoEdgesAreNotOfferedToOne) {
    write({letter_batch(1, {{.original = event_bytes("ride", "cab", "1")}}),
           letter_batch(1, {{.original = event_bytes("ride", "cab", "2")}}, "south", 8)});
    DeadLetterArguments with = arguments("replay");
    with.dry_run = true;
    EXPECT_EQ(run(with), control::exit_usage);
    EXPECT_NE(err_.str().find("name one with --edge: north south"), std::string::npos) << err_.str();
    with.filter.edge = "south";
    EXPECT_EQ(run(with), 0);
    EXPECT_EQ(out_.str(), "south 1 would_offer\ndry run: would_offer 1\n");
}

}  // namespace
}  // namespace weir::journal
