// A tap between intake and its reader, without either.
#include <gtest/gtest.h>

#include <thread>

#include "core/rules/compile.hpp"
#include "edge/reload_desk.hpp"
#include "edge/tap_desk.hpp"

namespace weir::edge::test {
namespace {

rules::RuleSet set_of(const std::string& text) {
    auto compiled = rules::compile(text, {.is_placed = true, .is_judged = true, .limits = {}});
    EXPECT_TRUE(compiled.program) << text;
    return std::move(rules::RuleSet::build({&*compiled.program, 1}).value());
}
Tap::Options options(std::uint64_t limit = 1'000'000, std::uint64_t rate = tap_rate_max) {
    return {.limit = limit, .rate = rate, .edge_id = "north", .lanes = {"default", "urgent"}};
}
EventRef event_of(std::string_view id, std::string_view payload = R"({"n":1})") {
    EventRef event;
    event.view.id = id;
    event.view.type = "reading";
    event.view.source = "s";
    event.view.key = "k";
    event.view.content_type = "application/json";
    event.view.payload = payload;
    event.view.priority = 2;
    return event;
}
std::vector<std::string> ids_in(Tap& tap) {
    std::vector<std::string> ids;
    tap.read([&](const TapCopy& copy) { ids.emplace_back(copy.id); });
    return ids;
}
constexpr MonotonicNs at_start{10 * ns_per_second};

TEST(Tap, CopiesWhatMatchesByFieldsPayloadVerdictLaneAndReason) {
    EventRef urgent = event_of("urgent");
    urgent.lane = 1;
    EventRef failed = event_of("failed");
    failed.fail(Verdict::dead_letter, wire::Reason::rule_failed, wire::StageId::validate);
    EventRef again = event_of("again");
    again.fail(Verdict::duplicate, wire::Reason::none, wire::StageId::cache);
    EventRef rubbish;
    rubbish.fail(Verdict::dead_letter, wire::Reason::not_flatbuffer, wire::StageId::decode);
    EventRef dropped = event_of("dropped");
    dropped.fail(Verdict::dropped, wire::Reason::number_gap, wire::StageId::cache);
    const EventRef events[] = {
        event_of("plain"), urgent, failed, again, rubbish, dropped, event_of("two", R"({"n":2})")};
    const std::pair<const char*, std::vector<std::string>> cases[] = {
        {"true", {"plain", "urgent", "failed", "again", "", "two"}},
        {"data.n == 2", {"two"}},
        {R"(lane == "urgent")", {"urgent"}},
        {R"(lane == "dead-letters" && key == "k")", {"failed"}},
        {R"(verdict == "duplicate" && lane == null)", {"again"}},
        {R"(reason == "not_flatbuffer" && type == "")", {""}},
        {"has(reason)", {"failed", ""}},
        {R"(edge == "south")", {}},
    };
    for (const auto& [text, expected] : cases) {
        Tap tap(set_of(text), options());
        tap.look(events, at_start);
        EXPECT_EQ(ids_in(tap), expected) << text;
        EXPECT_EQ(tap.seen.get(), 6U);
        EXPECT_EQ(tap.matched.get(), expected.size());
    }
}

TEST(Tap, ACopyOutlivesItsEventAndIsCutAtItsLength) {
    Tap tap(set_of("true"), options());
    std::string payload(tap_payload_bytes_max + 1, 'x');
    {
        std::string id = "short-lived";
        const EventRef event = event_of(id, payload);
        tap.look({&event, 1}, at_start);
        id.assign(id.size(), '#');
        payload.assign(payload.size(), '#');
    }
    tap.read([&](const TapCopy& copy) {
        EXPECT_EQ(copy.id, "short-lived");
        EXPECT_EQ(copy.payload, std::string(tap_payload_bytes_max, 'x'));
        EXPECT_EQ(copy.payload_bytes, tap_payload_bytes_max + 1);
    });
}

TEST(Tap, WhatDoesNotFitIsCountedAndNothingWaits) {
    Tap tap(set_of("true"), options());
    const EventRef event = event_of("a");
    for (std::uint32_t i = 0; i < tap_places + 7; ++i) tap.look({&event, 1}, at_start);
    EXPECT_EQ(tap.shown.get(), tap_places);
    EXPECT_EQ(tap.lost.get(), 7U);
    EXPECT_EQ(ids_in(tap).size(), tap_places);
    tap.look({&event, 1}, at_start);
    EXPECT_EQ(ids_in(tap).size(), 1U);
    EXPECT_EQ(tap.matched.get(), tap.shown.get() + tap.lost.get());
}

TEST(Tap, KeepsToItsRateInEachSecondAndToItsLimit) {
    Tap tap(set_of("true"), options(5, 2));
    const std::vector<EventRef> events(3, event_of("a"));
    tap.look(events, at_start);
    EXPECT_EQ(tap.shown.get(), 2U);
    EXPECT_EQ(tap.over_rate.get(), 1U);
    tap.look(events, at_start.plus_ns(ns_per_second - 1));
    EXPECT_EQ(tap.shown.get(), 2U);
    tap.look(events, at_start.plus_ns(ns_per_second));
    tap.look(events, at_start.plus_ns(2 * ns_per_second));
    EXPECT_TRUE(tap.is_at_limit());
    EXPECT_EQ(tap.shown.get(), 5U);
    tap.look(events, at_start.plus_ns(3 * ns_per_second));
    EXPECT_EQ(tap.shown.get(), 5U);
}

TEST(TapSlot, ATapGoesToIntakeAndComesBackOnceItHasEnded) {
    TapSlot slot;
    TapPoint point;
    point.take_from(slot);
    point.keep();
    EXPECT_FALSE(point.is_on());
    auto tap = std::make_unique<Tap>(set_of("true"), options());
    Tap& opened = *tap;
    slot.offer(std::move(tap));
    point.keep();
    ASSERT_TRUE(point.is_on());
    const EventRef event = event_of("a");
    point.look({&event, 1}, at_start);
    EXPECT_EQ(opened.seen.get(), 1U);
    EXPECT_FALSE(slot.withdraw());
    EXPECT_FALSE(slot.take_back());
    opened.end();
    point.keep();
    EXPECT_FALSE(point.is_on());
    EXPECT_TRUE(slot.take_back());
    slot.offer(std::make_unique<Tap>(set_of("true"), options()));
    EXPECT_TRUE(slot.withdraw());
    point.keep();
    EXPECT_FALSE(point.is_on());
}

TEST(TapSlot, AnIntakeThatEndsGivesItBack) {
    TapSlot slot;
    {
        TapPoint point;
        point.take_from(slot);
        slot.offer(std::make_unique<Tap>(set_of("true"), options()));
        point.keep();
    }
    EXPECT_TRUE(slot.take_back());
}

// Every copy is whole and in order, while one thread writes and another reads (run with a thread sanitizer).
TEST(TapSlot, AWriterAndAReaderMeetWithoutALock) {
    TapSlot slot;
    auto tap = std::make_unique<Tap>(set_of("true"), options());
    Tap& opened = *tap;
    slot.offer(std::move(tap));
    std::uint64_t looked = 0;
    std::thread intake([&] {
        TapPoint point;
        point.take_from(slot);
        for (point.keep(); point.is_on(); point.keep()) {
            const std::string id = std::to_string(++looked);
            const EventRef event = event_of(id, id);
            point.look({&event, 1}, at_start.plus_ns(looked * ns_per_ms));
        }
    });
    std::uint64_t last = 0;
    std::uint64_t read = 0;
    while (read < 5000) {
        opened.read([&](const TapCopy& copy) {
            const std::uint64_t number = std::stoull(std::string(copy.id));
            EXPECT_EQ(copy.payload, copy.id);
            EXPECT_GT(number, last);
            last = number;
            ++read;
        });
    }
    opened.end();
    intake.join();
    EXPECT_TRUE(slot.take_back());
    EXPECT_GE(looked, read);
}

std::string line_of(const TapCopy& copy, TapFormat format) {
    std::string out;
    append_tap_line(copy, "urgent", format, out);
    return out;
}

TEST(TapText, IsOneLineInEitherFormat) {
    auto copy = std::make_unique<TapCopy>();
    copy->is_verified = true;
    copy->id = "a\"1";
    copy->type = "reading";
    copy->source = "s\x1b[2J\xc2\x9bm";
    copy->content_type = "application/json";
    copy->payload = "{\"n\":\n1}";
    copy->payload_bytes = 8;
    copy->priority = 1;
    copy->time = WallNs{1'512'086'407'000'000'000};
    EXPECT_EQ(line_of(*copy, TapFormat::json),
              "{\"verdict\":\"admitted\",\"lane\":\"urgent\",\"id\":\"a\\\"1\",\"type\":\"reading\",\"source\":"
              "\"s\\u001b[2J\xc2\x9bm\","
              "\"time\":\"2017-12-01T00:00:07Z\",\"priority\":1,\"content_type\":\"application/json\",\"data\":{\"n\": "
              "1}}\n");
    EXPECT_EQ(line_of(*copy, TapFormat::text),
              "2017-12-01T00:00:07Z  admitted  lane=urgent  reading  id=a\"1  source=s?[2J??m  {\"n\": 1}\n");
    copy->payload_bytes = 9;  // it was cut, so it is no JSON any more
    EXPECT_NE(line_of(*copy, TapFormat::json).find(R"("data":{"base64":"eyJuIjoKMX0="},"data_bytes":9})"),
              std::string::npos);
    EXPECT_NE(line_of(*copy, TapFormat::text).find("base64:eyJuIjoKMX0= (cut, of 9 bytes)\n"), std::string::npos);
}

// The desk over a slot whose intake this test is.
struct Desk {
    Desk() : desk(config(), [] {}) {
        desk.use_lanes({"default"});
        point.take_from(desk.slot());
    }
    static EdgeConfig config() {
        EdgeConfig made;
        made.edge_id = "north";
        return made;
    }
    TapDesk desk;
    TapPoint point;
};

TEST(TapDesk, RefusesWhatItCannotReadAndSaysWhere) {
    Desk bench;
    EXPECT_EQ(bench.desk.open("?limit=0", "true").status, 400U);
    EXPECT_EQ(bench.desk.open("?rate=1000000", "true").status, 400U);
    EXPECT_EQ(bench.desk.open("?limit=5x", "true").status, 400U);
    EXPECT_EQ(bench.desk.open("?colour=red", "true").status, 400U);
    const auto wrong = bench.desk.open("", "type ==\n 5");
    EXPECT_EQ(wrong.status, 400U);
    EXPECT_TRUE(wrong.body.starts_with("1:6: ")) << wrong.body;
    EXPECT_EQ(bench.desk.open("", "true").status, 200U);
}

TEST(TapDesk, ThereIsOneTapAtATimeAndItsPlaceIsFreeOnceItsReaderWent) {
    Desk bench;
    auto first = bench.desk.open("?limit=2", R"(id != "b")");
    ASSERT_EQ(first.status, 200U);
    EXPECT_EQ(bench.desk.open("", "").status, 429U);
    bench.point.keep();
    const EventRef events[] = {event_of("a"), event_of("b"), event_of("c"), event_of("d")};
    std::string out;
    EXPECT_TRUE(first.flow->take(out));
    EXPECT_EQ(out, "");
    bench.point.look(events, at_start);
    EXPECT_FALSE(first.flow->take(out));
    EXPECT_NE(out.find("\"id\":\"a\""), std::string::npos);
    EXPECT_EQ(out.find("\"id\":\"d\""), std::string::npos);
    EXPECT_TRUE(out.ends_with("{\"tap\":{\"seen\":4,\"matched\":3,\"shown\":2,\"over_rate\":0,\"lost\":0}}\n")) << out;
    first.flow.reset();
    bench.point.keep();
    EXPECT_EQ(bench.desk.open("", "").status, 200U);
}

TEST(ReloadDesk, AnswersThoseWhoAskedBeforeItBegan) {
    ReloadDesk desk;
    EXPECT_FALSE(desk.ask([] {}, 1));
    static std::atomic<int> wakes{0};
    wakes = 0;
    std::optional<ReloadOutcome> answer;
    std::thread admin([&] { answer = desk.ask([] { ++wakes; }); });
    while (wakes == 0) std::this_thread::yield();
    desk.begin();
    ReloadOutcome outcome;
    outcome.errors = {"edge.toml:1:1: \"x\""};
    outcome.digest = 0xab;
    desk.end(outcome);
    admin.join();
    ASSERT_TRUE(answer);
    EXPECT_EQ(reload_json(*answer, false),
              "{\"taken\":false,\"digest\":\"00000000000000ab\",\"errors\":[\"edge.toml:1:1: \\\"x\\\"\"]}\n");
    outcome.is_taken = true;
    outcome.rules = 2;
    EXPECT_EQ(reload_json(outcome, true),
              "{\"taken\":true,\"in_force\":true,\"digest\":\"00000000000000ab\",\"rules\":2,\"routes\":0,\"lanes\":0,"
              "\"payloads\":0,"
              "\"warnings\":[]}\n");
}

}  // namespace
}  // namespace weir::edge::test
