// What an edge says of itself, to a scripted central that asks, or does not.
#include <chrono>

#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

using Lane = std::pair<LaneId, wire::Part>;
constexpr Lane main_lane{0, wire::Part::live}, alarms_lane{1, wire::Part::live};
constexpr Lane letters_lane{dead_letter_lane, wire::Part::live};

struct StatusTest : ::testing::Test {
    void open(std::optional<std::uint32_t> asks_status_ms) {
        central.asks_status_ms = asks_status_ms;
        bench.centrals = {&central};
        bench.config.uplink.ping_ms = 500'000;  // time is moved on by more than a silence is allowed
        bench.config.uplink.silent_ms_max = 600'000;
        bench.open();
        ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    }
    void pass_ms(std::uint64_t count) {
        bench.skew_ns += count * ns_per_ms;
        bench.steps(30);
    }
    ScriptedCentral central;
    SpoolBench bench{{central.address()}};
};

TEST_F(StatusTest, IsSaidAtOnceAndThenAsOftenAsItIsAskedForAndNoOftener) {
    bench.config.spool.checkpoint_ms = 600'000;
    open(60'000);
    ASSERT_TRUE(bench.until([&] { return !central.statuses.empty(); }));
    for (std::size_t seen = 1; seen < 5; ++seen) {
        pass_ms(30'000);
        EXPECT_EQ(central.statuses.size(), seen);
        pass_ms(30'000);
        EXPECT_EQ(central.statuses.size(), seen + 1);
    }
    EXPECT_EQ(bench.counters.statuses.get(), central.statuses.size());
    EXPECT_EQ(central.pings, 0U);
    // Nothing else moves: it is its deadline that wakes the runner, and no earlier one.
    EXPECT_GT(bench.stage->next_deadline(), bench.now().plus_ns(50 * ns_per_second));
    EXPECT_LE(bench.stage->next_deadline(), bench.now().plus_ns(60 * ns_per_second));
}

TEST_F(StatusTest, IsNeverSaidUnasked) {
    open(std::nullopt);
    for (int i = 0; i < 5; ++i) {
        bench.feed(0);
        pass_ms(60'000);
    }
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.statuses.get(), 0U);
    // It can: its hello says so.
    EXPECT_EQ(central.hellos.at(0).features & wire::edge_feature_status, wire::edge_feature_status);
    // Asked in one session, it is not in the next.
    central.asks_status_ms = 100;
    central.cut();
    ASSERT_TRUE(bench.until([&] { return central.statuses.size() == 1; }));
    central.cut();
    central.asks_status_ms.reset();
    ASSERT_TRUE(bench.until([&] { return central.hellos.size() == 3; }));
    pass_ms(1000);
    EXPECT_EQ(central.statuses.size(), 1U);
}

TEST_F(StatusTest, SaysHowFarEachLaneIsWhatWaitsAndHowTheEdgeStands) {
    bench.configure(1).lane_class = LaneClass::best_effort;
    bench.configure(0);
    bench.rung.set(static_cast<std::uint64_t>(wire::Rung::critical));
    central.lane_credit[1] = 0;  // nothing of it is sent
    open(1000);
    for (int i = 0; i < 3; ++i) {
        bench.feed(0);
        bench.feed(1, 5);
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable) && bench.delivered[0] == 9; }));
    const std::size_t seen = central.statuses.size();
    pass_ms(1000);
    ASSERT_EQ(central.statuses.size(), seen + 1);
    const auto& said = central.statuses.back();
    EXPECT_EQ(said.head.rung, wire::Rung::critical);
    const auto wall_ns = static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
    EXPECT_LT(wall_ns - said.head.wall_ns, 60 * ns_per_second);
    ASSERT_EQ(said.lanes.size(), 3U);
    EXPECT_EQ(said.lanes.at(main_lane).last_sequence, 9U);
    EXPECT_EQ(said.lanes.at(main_lane).held_bytes, 0U);
    EXPECT_EQ(said.lanes.at(main_lane).lane_class, wire::LaneClass::durable);
    EXPECT_EQ(said.lanes.at(alarms_lane).last_sequence, 15U);
    EXPECT_EQ(said.lanes.at(alarms_lane).held_bytes, bench.counters.lanes[1].bytes.get());
    EXPECT_GT(said.lanes.at(alarms_lane).held_bytes, 0U);
    EXPECT_EQ(said.lanes.at(alarms_lane).lane_class, wire::LaneClass::best_effort);
    EXPECT_EQ(said.lanes.at(letters_lane).lane_class, wire::LaneClass::dead_letters);
    EXPECT_EQ(said.lanes.at(letters_lane).last_sequence, 0U);
}

TEST_F(StatusTest, WhileNothingCanBeSentWhatIsDueIsOneAndSaysHowThingsStandThen) {
    open(1000);
    ASSERT_TRUE(bench.until([&] { return central.statuses.size() == 1; }));
    bench.centrals.clear();  // it reads no more: the connection fills up
    const auto fill = [&] {
        if (!bench.free_buffers.empty()) bench.feed(0, 1, 250'000);
        const auto sent = bench.counters.sent_batches.get();
        bench.steps(20);
        return bench.counters.sent_batches.get() == sent;
    };
    int stuck = 0;
    for (int i = 0; i < 200 && stuck < 5; ++i) stuck = fill() ? stuck + 1 : 0;
    ASSERT_EQ(stuck, 5);
    const auto before = bench.counters.statuses.get();
    for (int i = 0; i < 20; ++i) pass_ms(5000);
    EXPECT_EQ(bench.counters.statuses.get(), before);
    bench.centrals = {&central};
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    ASSERT_TRUE(bench.until([&] { return central.statuses.size() == bench.counters.statuses.get(); }));
    EXPECT_EQ(bench.counters.statuses.get(), before + 1);
    EXPECT_EQ(central.statuses.back().lanes.at(main_lane).last_sequence, bench.fed[0]);
}

TEST_F(StatusTest, AnAskThatIsNoneEndsTheSessionAndAnotherIntervalTakesThePlaceOfTheFirst) {
    open(1000);
    ASSERT_TRUE(bench.until([&] { return central.statuses.size() == 1; }));
    central.ask_status(10'000);
    ASSERT_TRUE(bench.until([&] { return central.statuses.size() == 2; }));
    pass_ms(9000);
    EXPECT_EQ(central.statuses.size(), 2U);
    EXPECT_EQ(bench.counters.refusals.get(), 0U);
    central.ask_status(wire::status_interval_ms_min - 1);
    ASSERT_TRUE(bench.until([&] { return bench.counters.refusals.get() == 1; }));
    EXPECT_EQ(central.statuses.size(), 2U);
}

}  // namespace
}  // namespace weir::edge::test
