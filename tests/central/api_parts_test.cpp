// The small parts of central's API: what is asked, how old an answer is, what a state differs in, who is silenced.
#include <gtest/gtest.h>

#include <limits>

#include "central/api/edge_delays.hpp"
#include "central/api/freshness.hpp"
#include "central/api/json_text.hpp"
#include "central/api/milestones.hpp"
#include "central/api/problem.hpp"
#include "central/api/query.hpp"
#include "central/api/stream_hub.hpp"
#include "central/sinks/silence_book.hpp"
#include "core/journal/record.hpp"
#include "tests/central/central_bench.hpp"

namespace weir::central::test {
namespace {

constexpr std::uint64_t ms = ns_per_ms;

TEST(Query, TakesWhatIsNamedAndKeepsTheFirstFault) {
    Query query("/x?limit=7&key=a%20b+c&since=1970-01-01T00:00:01Z", {"limit", "key", "since"});
    EXPECT_EQ(query.number("limit", 1, 10), 7U);
    EXPECT_EQ(query.text("key"), "a b c");
    EXPECT_EQ(query.time("since"), ns_per_second);
    EXPECT_EQ(query.text("other"), std::nullopt);
    EXPECT_EQ(query.fault(), "");
    const std::pair<const char*, const char*> wrong[] = {{"/x?colour=red&limit=z", "colour: unknown"},
                                                         {"/x?key=1&key=2", "key: comes twice"},
                                                         {"/x?key=%4", "key: half a %-code"},
                                                         {"/x?limit=11", "limit: must be 1 to 10"},
                                                         {"/x?limit=", "limit: must be 1 to 10"}};
    for (const auto& [target, fault] : wrong) {
        Query one(target, {"limit", "key"});
        static_cast<void>(one.number("limit", 1, 10));
        EXPECT_EQ(one.fault(), fault) << target;
    }
}

TEST(Query, ACursorIsOfItsPathOrAFault) {
    Query query("/x?cursor=" + make_cursor('v', 4096, 17), {"cursor"});
    EXPECT_EQ(query.cursor_first('v'), 4096U);
    EXPECT_EQ(query.cursor_second(), 17U);
    for (const std::string wrong : {"", "v", "v1", "v1-", "d4096-17", "v-1", "v1-2-3"}) {
        Query one("/x?cursor=" + wrong, {"cursor"});
        EXPECT_EQ(one.cursor_first('v'), std::nullopt) << wrong;
        EXPECT_EQ(one.fault(), "cursor: is none of this path") << wrong;
    }
}

TEST(Query, AStarStandsForAllThatBeginSo) {
    EXPECT_TRUE(agrees(std::nullopt, "x"));
    EXPECT_TRUE(agrees("ab*", "abc"));
    EXPECT_TRUE(agrees("ab*", "ab"));
    EXPECT_FALSE(agrees("ab*", "a"));
    EXPECT_FALSE(agrees("ab", "abc"));
}

TEST(ObjectText, WritesJsonWhateverTheText) {
    std::string text = ObjectText()
                           .text("a", "\"\n\xff")
                           .real("b", 1.5)
                           .real("c", std::numeric_limits<double>::infinity())
                           .number_or_null("d", std::nullopt)
                           .end();
    JsonFault fault;
    ASSERT_TRUE(json_parse(text, fault)) << text;
    EXPECT_EQ(json_member(text, "b")->raw, "1.5");
    EXPECT_EQ(json_member(text, "c")->raw, "null");
    EXPECT_EQ(hex_text(0xab), "00000000000000ab");
}

TEST(Problem, IsOneOfRfc9457AndATagIsOfTheBytes) {
    const auto stale = problem(503, "old", problem_stale);
    EXPECT_EQ(stale.content_type, "application/problem+json");
    EXPECT_EQ(
        stale.body,
        "{\"type\":\"tag:weir,2026:stale\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"old\"}\n");
    EXPECT_EQ(tagged_answer("{}").etag, tagged_answer("{}").etag);
    EXPECT_NE(tagged_answer("{}").etag, tagged_answer("[]").etag);
}

TEST(Freshness, AnAnswerIsNeverOlderThanItSays) {
    constexpr std::uint64_t block = journal::block_bytes;
    Freshness freshness;
    EXPECT_EQ(freshness.staleness_ms(0, block, {10 * ms}), Freshness::unknown_ms);
    freshness.note(block, {100 * ms});
    freshness.note(block, {150 * ms});
    freshness.note(3 * block, {160 * ms});
    // What came between 150 and 160 ms may be missing at its block.
    EXPECT_EQ(freshness.staleness_ms(block, 3 * block, {200 * ms}), 51U);
    EXPECT_EQ(freshness.staleness_ms(block - 8, 3 * block, {200 * ms}), 51U);
    EXPECT_EQ(freshness.staleness_ms(3 * block, 3 * block, {200 * ms}), 0U);
    EXPECT_EQ(freshness.staleness_ms(0, 3 * block, {200 * ms}), Freshness::unknown_ms);
}

TEST(EdgeDelays, TellAClockThatIsOffFromALagThatGrows) {
    EdgeDelays delays(1);
    const auto note = [&](std::uint64_t arrival_ms, std::uint64_t closed_ms, wire::Part part, const char* edge) {
        wire::BatchHeader batch;
        batch.edge_id = wire::name_field<wire::edge_id_bytes_max>(edge);
        batch.part = part;
        batch.closed_wall_ns = closed_ms * ms;
        delays.note(batch, {arrival_ms * ms});
    };
    // Its clock is 5 s ahead: batches come 4998 ms before they were closed.
    note(100'002, 105'000, wire::Part::live, "north");
    note(100'042, 105'010, wire::Part::live, "north");
    const EdgeDelay told = delays.of("north", {100'042 * ms});
    EXPECT_DOUBLE_EQ(told.clock_offset_ms.value(), 4998);
    EXPECT_DOUBLE_EQ(told.lag_ms.value(), 30);
    EXPECT_EQ(told.last_arrival_ms, 100'042U);
    EXPECT_EQ(told.backlog_lag_ms, std::nullopt);
    note(100'100, 45'000, wire::Part::backlog, "north");
    EXPECT_DOUBLE_EQ(delays.of("north", {100'100 * ms}).backlog_lag_ms.value(), 60'098);
    EXPECT_EQ(delays.of("north", {111'000 * ms}).backlog_lag_ms, std::nullopt);
    note(100'200, 100'000, wire::Part::live, "south");  // there is room for one edge
    EXPECT_EQ(delays.of("south", {100'200 * ms}).lag_ms, std::nullopt);
}

TEST(Milestones, TellAPlaceThatIsNoFurtherFromTheEndThanAskedFor) {
    Milestones milestones;
    EXPECT_EQ(milestones.before(1000, 100), 0U);
    for (std::uint64_t at = 0; at < 64; ++at) milestones.note(at * Milestones::apart_bytes / 2);
    const std::uint64_t end = 32 * Milestones::apart_bytes;
    const std::uint64_t place = milestones.before(end, 4 * Milestones::apart_bytes);
    EXPECT_EQ(place, 28 * Milestones::apart_bytes);
    EXPECT_EQ(milestones.before(end + 100 * Milestones::apart_bytes, 1), 31 * Milestones::apart_bytes);
}

std::shared_ptr<const StreamState::List> list(StreamState::List rows) {
    return std::make_shared<const StreamState::List>(std::move(rows));
}

TEST(StreamState, ADeltaNamesWhatDiffersAndNothingElse) {
    StreamState before, after;
    before.objects = {{"a", "1"}, {"b", "2"}};
    before.lists["l"] = list({{"x", "10"}, {"y", "20"}, {"z", "30"}});
    after.objects = {{"a", "1"}, {"b", "3"}};
    after.lists["l"] = list({{"w", "5"}, {"y", "21"}, {"z", "30"}});
    EXPECT_EQ(delta_text(before, after, {.sequence = 8, .base = 7, .now = {2 * ms}}),
              "{\"type\":\"delta\",\"sequence\":8,\"base\":7,\"now_ms\":2,\"made_ns\":2000000,\"objects\":{\"b\":3},"
              "\"lists\":{\"l\":{\"rows\":[5,21],\"gone\":[\"x\"]}}}");
    EXPECT_EQ(delta_text(after, after, {.sequence = 9, .base = 8}), std::nullopt);
    StreamState same = after;
    same.lists["l"] = list({{"w", "5"}, {"y", "21"}, {"z", "30"}});
    EXPECT_EQ(delta_text(after, same, {.sequence = 9, .base = 8}), std::nullopt);
}

bool begins(const StreamHub::Text& text, const std::string& begin) {
    return text && text->starts_with(begin);
}

TEST(StreamHub, AClientIsToldTheStateOnceThenDeltasAndTheWholeStateWhereItMissedOne) {
    StreamHub hub(10);
    const auto first = hub.open(), second = hub.open();
    EXPECT_EQ(hub.client_count(), 2U);
    EXPECT_EQ(first->take(), nullptr);
    const auto publish = [&](int number) {
        StreamState state;
        state.objects["n"] = std::to_string(number);
        return hub.publish(std::move(state), {static_cast<std::uint64_t>(number)});
    };
    EXPECT_TRUE(publish(1));
    EXPECT_FALSE(publish(1));
    const auto whole = first->take();
    EXPECT_TRUE(begins(whole, "{\"type\":\"state\",\"sequence\":1,"));
    EXPECT_EQ(first->take(), nullptr);
    EXPECT_EQ(second->take(), whole);  // the very same text
    EXPECT_TRUE(publish(2));
    EXPECT_TRUE(begins(first->take(), "{\"type\":\"delta\",\"sequence\":2,\"base\":1,"));
    EXPECT_TRUE(publish(3));
    EXPECT_TRUE(begins(first->take(), "{\"type\":\"delta\",\"sequence\":3,\"base\":2,"));
    EXPECT_TRUE(begins(second->take(), "{\"type\":\"state\",\"sequence\":3,"));
    hub.beat({9 * ms});
    EXPECT_EQ(*first->take(), "{\"type\":\"beat\",\"sequence\":3,\"now_ms\":9}");
    EXPECT_EQ(first->take(), nullptr);
    EXPECT_EQ(hub.counters().deltas.get(), 2U);
}

TEST(StreamHub, ForgetsTheStateWhenNobodyListens) {
    StreamHub hub(10);
    StreamState state;
    state.objects["n"] = "1";
    EXPECT_TRUE(hub.publish(state, {1}));
    hub.clear();
    const auto client = hub.open();
    EXPECT_EQ(client->take(), nullptr);  // never an old one
    EXPECT_TRUE(hub.publish(state, {2}));
    EXPECT_TRUE(begins(client->take(), "{\"type\":\"state\",\"sequence\":2,"));
}

TEST(SilenceBook, HoldsUntilItsTimeAlsoOverAStart) {
    const Directory directory;
    std::vector<std::string> faults;
    const WallNs now{1'000'000 * ms};
    {
        SilenceBook book(directory.path(), faults);
        EXPECT_TRUE(book.add(
            {.name = "busy", .key = "k", .until_ms = 1'000'100, .reason = "\"road\nworks\"", .who = "a"}, now));
        EXPECT_TRUE(
            book.add({.name = "open", .key = std::nullopt, .until_ms = 1'000'200, .reason = "x", .who = "a"}, now));
        EXPECT_TRUE(book.of("busy", "k", now));
        EXPECT_FALSE(book.of("busy", "other", now));
        EXPECT_TRUE(book.of("open", "any", now));
        EXPECT_TRUE(book.add({.name = "busy", .key = "k", .until_ms = 1'000'300, .reason = "longer", .who = "b"}, now));
        EXPECT_EQ(book.holding(now).size(), 2U);
    }
    SilenceBook book(directory.path(), faults);
    EXPECT_EQ(faults, std::vector<std::string>{});
    ASSERT_EQ(book.holding(now).size(), 2U);
    EXPECT_EQ(book.of("busy", "k", now)->reason, "longer");
    EXPECT_FALSE(book.of("open", "any", {1'000'200 * ms}));
    const std::uint64_t id = book.of("busy", "k", now)->id;
    EXPECT_TRUE(book.end(id, now).value());
    EXPECT_FALSE(book.end(id, now).value());
    EXPECT_FALSE(book.of("busy", "k", now));
}

TEST(SilenceBook, IsFullAtItsBound) {
    const Directory directory;
    std::vector<std::string> faults;
    SilenceBook book(directory.path(), faults);
    const WallNs now{1'000'000 * ms};
    for (std::size_t index = 0; index < SilenceBook::silences_max; ++index) {
        ASSERT_TRUE(book.add(
            {.name = "n" + std::to_string(index), .key = {}, .until_ms = 1'000'100, .reason = "x", .who = "a"}, now));
    }
    const auto more = book.add({.name = "m", .key = {}, .until_ms = 1'000'100, .reason = "x", .who = "a"}, now);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code, SilenceBook::full_code);
    // Those whose time is over make room.
    EXPECT_TRUE(book.add({.name = "m", .key = {}, .until_ms = 1'000'300, .reason = "x", .who = "a"}, {1'000'200 * ms}));
}

}  // namespace
}  // namespace weir::central::test
