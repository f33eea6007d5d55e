// Lanes that are added, removed and changed while an edge runs: what the control thread decides, what the spool does with it, and that
// a later start knows it all.
#include "edge/lane_changes.hpp"

#include <gtest/gtest.h>

#include "edge/recovery.hpp"
#include "edge/spool/spare_lanes.hpp"
#include "tests/edge/intake_bench.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

EdgeConfig config_with(const std::vector<LaneConfig>& lanes) {
    EdgeConfig config;
    config.edge_id = "north";
    config.lanes = lanes;
    return config;
}

std::vector<SpoolLane> lanes_of(const EdgeConfig& config) {
    std::vector<SpoolLane> lanes;
    for (const LaneState& state : IntakeBench::lanes_of(config)) lanes.emplace_back().state = state;
    return lanes;
}

LaneChanges changes_of(const EdgeConfig& config) {
    auto lanes = lanes_of(config);
    add_spare_lanes(config, lanes);
    std::vector<LaneState> states;
    for (const SpoolLane& lane : lanes) states.push_back(lane.state);
    return {"/data", std::move(states)};
}

const LaneState& state_of(const LaneChanges& changes, std::string_view name) {
    const auto& all = changes.streams();
    return *std::find_if(all.begin(), all.end(), [&](const LaneState& one) { return one.name == name; });
}

TEST(LaneChanges, AnAddedLaneGetsASpareStreamWithANumberOfItsOwnAndKeepsIt) {
    const EdgeConfig now = config_with({{.name = "default"}});
    EdgeConfig next = now;
    next.lanes.push_back({.name = "alarms", .priority = 3});
    LaneChanges changes = changes_of(now);
    EXPECT_EQ(changes.spare_lanes(), spare_lanes_max);
    EXPECT_TRUE(changes.why_not(next).empty());
    const auto named = changes.take(next);
    ASSERT_EQ(named.size(), 1U);
    EXPECT_EQ(changes.streams()[named[0]].name, "alarms");
    EXPECT_TRUE(changes.streams()[named[0]].is_configured);
    EXPECT_NE(changes.streams()[named[0]].id, changes.streams()[0].id);
    EXPECT_EQ(changes.directory_of(named[0]), "/data/spool/alarms");
    EXPECT_EQ(changes.spare_lanes(), spare_lanes_max - 1);
    EXPECT_EQ(changes.streams().back().id, dead_letter_lane) << "the dead letters' stays the last";
    EXPECT_TRUE(changes.streams().back().is_configured);
    const auto orders = changes.orders(next);
    EXPECT_EQ(orders->streams[named[0]].turns.priority, 3U);
    EXPECT_TRUE(changes.take(next).empty()) << "once";
}

TEST(LaneChanges, ALiveFirstLaneGetsBothItsParts) {
    const EdgeConfig now = config_with({{.name = "default"}});
    EdgeConfig next = now;
    next.lanes.push_back({.name = "a"});
    next.lanes.push_back({.name = "b", .drain = Drain::live_first});
    LaneChanges changes = changes_of(now);
    const auto named = changes.take(next);
    ASSERT_EQ(named.size(), 3U);
    EXPECT_EQ(changes.directory_of(named[2]), "/data/spool/b.backlog");
    EXPECT_EQ(changes.streams()[named[1]].id, changes.streams()[named[2]].id);
}

TEST(LaneChanges, ARemovedLaneIsNoLongerConfiguredAndComesBackAsWhatItWas) {
    const EdgeConfig now = config_with({{.name = "default"}, {.name = "old"}});
    const EdgeConfig without = config_with({{.name = "default"}});
    LaneChanges changes = changes_of(now);
    const LaneId id = state_of(changes, "old").id;
    EXPECT_TRUE(changes.why_not(without).empty());
    EXPECT_TRUE(changes.take(without).empty());
    EXPECT_FALSE(state_of(changes, "old").is_configured);
    EXPECT_TRUE(changes.take(now).empty());
    EXPECT_TRUE(state_of(changes, "old").is_configured);
    EXPECT_EQ(state_of(changes, "old").id, id);
    EdgeConfig other = now;
    other.lanes[1].drain = Drain::live_first;
    (void)changes.take(without);
    EXPECT_EQ(changes.why_not(other), (std::vector<std::string>{"lanes[old].drain"}));
    LaneChanges both = changes_of(other);
    EXPECT_TRUE(both.why_not(now).empty()) << "of a lane that is configured keys_that_need_a_restart says it";
    (void)both.take(without);
    EXPECT_EQ(both.why_not(now), (std::vector<std::string>{"lanes[old].drain"}));
    EXPECT_TRUE(both.why_not(other).empty());
}

TEST(LaneChanges, ALaneInMemoryIsMadeAtAStartAndStaysWhereItIs) {
    const LaneConfig fast{.name = "fast", .lane_class = LaneClass::best_effort, .spool = LaneSpool::memory};
    const EdgeConfig now = config_with({{.name = "default"}});
    const EdgeConfig next = config_with({{.name = "default"}, fast});
    const auto reasons = changes_of(now).why_not(next);
    ASSERT_EQ(reasons.size(), 1U);
    EXPECT_NE(reasons[0].find("lanes[fast]"), std::string::npos);

    EdgeConfig on_disk = next, larger = next;
    on_disk.lanes[1].spool = LaneSpool::disk;
    larger.lanes[1].bytes_max = 2 * memory_lane_bytes_default;
    EXPECT_EQ(keys_that_need_a_restart(next, on_disk), (std::vector<std::string>{"lanes[fast].spool"}));
    EXPECT_EQ(keys_that_need_a_restart(on_disk, next), (std::vector<std::string>{"lanes[fast].spool"}));
    EXPECT_EQ(keys_that_need_a_restart(next, larger), (std::vector<std::string>{"lanes[fast].bytes_max"}));
    EXPECT_TRUE(keys_that_need_a_restart(next, next).empty());
}

TEST(LaneChanges, MoreLanesThanAreSpareAreRefusedByName) {
    const EdgeConfig now = config_with({{.name = "default"}});
    EdgeConfig next = now;
    for (std::size_t i = 0; i < spare_lanes_max; ++i) next.lanes.push_back({.name = "lane-" + std::to_string(i)});
    LaneChanges changes = changes_of(now);
    EXPECT_TRUE(changes.why_not(next).empty());
    next.lanes.push_back({.name = "one-more"});
    ASSERT_EQ(changes.why_not(next).size(), 1U);
    EXPECT_NE(changes.why_not(next)[0].find("one-more"), std::string::npos);
    next.lanes.pop_back();
    (void)changes.take(next);
    EXPECT_EQ(changes.spare_lanes(), 0U);
}

TEST(LaneChanges, SpareLanesLeaveRoomForAsManyStreamsAsAHelloHolds) {
    EdgeConfig config = config_with({});
    for (std::size_t i = 0; i < wire::hello_lanes_max - 3; ++i) config.lanes.push_back({.name = std::to_string(i)});
    auto lanes = lanes_of(config);
    add_spare_lanes(config, lanes);
    EXPECT_EQ(lanes.size(), wire::hello_lanes_max);
}

// Adds the lane "added" as orders from a control thread do.
struct Adding {
    explicit Adding(SpoolBench& bench) : bench_(bench) {
        add_spare_lanes(bench.config, bench.start.lanes);
        std::vector<LaneState> states;
        for (const SpoolLane& lane : bench.start.lanes) states.push_back(lane.state);
        changes_.emplace(bench.config.data_dir, std::move(states));
    }
    void take(const EdgeConfig& next) {
        for (const std::size_t stream : changes_->take(next)) {
            bench_.name_stream(stream, changes_->streams()[stream].name, changes_->directory_of(stream));
        }
        bench_.orders.take_back();
        bench_.orders.offer(changes_->orders(next));
    }

  private:
    SpoolBench& bench_;
    std::optional<LaneChanges> changes_;
};

TEST(AddedLane, IsSpooledAndDeliveredInTheSessionAtHandAndKnownToTheNextStart) {
    TemporaryDirectory directory;
    ScriptedCentral central;
    EdgeConfig next;
    std::uint64_t lineage = 0;
    {
        SpoolBench bench({central.address()}, {.data_dir = directory.path});
        bench.configure(0);
        bench.configure(1);
        bench.centrals = {&central};
        Adding adding(bench);
        bench.open();
        ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
        bench.steps(5);
        EXPECT_EQ(central.offers.size(), 3U) << "nobody hears of a lane without a name";
        bench.feed(0);
        next = bench.config;
        next.lanes.push_back({.name = "added", .keep_undelivered_s = 100});
        adding.take(next);
        const LaneId added = bench.lane_named("added");
        for (int i = 0; i < 5; ++i) {
            ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
            bench.feed(added);
        }
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
        EXPECT_EQ(central.hellos.size(), 1U);
        EXPECT_EQ(central.positions[added], 15U);
        central.cut();
        ASSERT_TRUE(bench.until([&] { return central.hellos.size() == 2; }));
        bench.steps(5);
        EXPECT_EQ(central.offers.size(), 4U);
        central.acks = false;
        bench.feed(added);
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
        bench.steps(400);  // a checkpoint
        lineage = bench.start.identity.lineage;
    }
    next.data_dir = directory.path;
    const auto found = recover(next);
    ASSERT_TRUE(found.ok()) << found.error().what;
    EXPECT_EQ(found.value().spool.identity.lineage, lineage);
    EXPECT_EQ(found.value().spool.lanes.size(), 4U) << "spare ones are nowhere on the disk";
    const SpoolLane& added = found.value().spool.lanes[2];
    EXPECT_EQ(added.state.name, "added");
    EXPECT_TRUE(added.state.is_configured);
    EXPECT_EQ(added.state.last_sequence, 18U);
    EXPECT_EQ(added.state.delivered_sequence, 15U);
}

TEST(AddedLane, IsInAStatusOnceCentralKnowsIt) {
    ScriptedCentral central;
    central.asks_status_ms = 100;
    SpoolBench bench({central.address()});
    bench.configure(0);
    bench.configure(1);
    bench.centrals = {&central};
    Adding adding(bench);
    bench.open();
    ASSERT_TRUE(bench.until([&] { return !central.statuses.empty(); }));
    EdgeConfig next = bench.config;
    next.lanes.push_back({.name = "added", .lane_class = LaneClass::best_effort});
    adding.take(next);
    const LaneId added = bench.lane_named("added");
    central.grant_lane(added, 0);  // so that no batch of it comes
    bench.feed(added);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    const auto next_status = [&] {
        const std::size_t seen = central.statuses.size();
        bench.skew_ns += 100 * ns_per_ms;
        EXPECT_TRUE(bench.until([&] { return central.statuses.size() > seen; }));
        return central.statuses.back();
    };
    EXPECT_EQ(next_status().lanes.count({added, wire::Part::live}), 0U);
    central.grant_lane(added, 1U << 20);
    ASSERT_TRUE(bench.until([&] { return central.positions[added] == 3; }));
    const auto status = next_status();
    ASSERT_EQ(status.lanes.count({added, wire::Part::live}), 1U);
    EXPECT_EQ(status.lanes.at({added, wire::Part::live}).lane_class, wire::LaneClass::best_effort);
    EXPECT_EQ(status.lanes.at({added, wire::Part::live}).last_sequence, 3U);
    EXPECT_EQ(status.lanes.count({added, wire::Part::backlog}), 0U);
}

TEST(AddedLane, OfBestEffortShedsItsOldestAndAnOldLaneObeysItsNewBounds) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    bench.configure(0);
    bench.centrals = {&central};
    Adding adding(bench);
    bench.open();
    EdgeConfig next = bench.config;
    for (const char* name : {"default", "added"}) {
        LaneConfig lane{.name = name, .lane_class = LaneClass::best_effort, .bytes_max = 2ULL << 20};
        if (next.lanes[0].name == name) {
            next.lanes[0] = lane;
        } else {
            next.lanes.push_back(lane);
        }
    }
    adding.take(next);
    const LaneId added = bench.lane_named("added");
    for (int i = 0; i < 60; ++i) {
        for (const LaneId lane : {LaneId{0}, added}) {
            ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
            bench.feed(lane, 100, 1000);
        }
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    for (const LaneId lane : {LaneId{0}, added}) {
        const LaneCounters& counters = bench.counters.lanes[bench.stream_of(lane)];
        EXPECT_GT(counters.shed.get(), 1000U);
        EXPECT_LE(counters.bytes.get(), 2U << 20);
    }
}

TEST(AddedLane, TakesEventsFromTheReloadOnAndARemovedOneNone) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.lanes.push_back({.name = "old"});
    config.routes = {RouteConfig{.lane = "old", .types = {"alarm"}, .keys = {}, .sources = {}, .equals = {}}};
    auto lanes = lanes_of(config);
    add_spare_lanes(config, lanes);
    std::vector<LaneState> states;
    for (const SpoolLane& lane : lanes) states.push_back(lane.state);
    LaneChanges changes(config.data_dir, states);
    JudgementSlot reloads;
    IntakeBench bench(config, states);
    bench.intake->take_reloads_from(reloads);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("a", 0, "{}", "alarm");
    ASSERT_TRUE(producer.wait_acked(1));
    EXPECT_EQ(wire::name_of(bench.stored.back().header.lane_name), "old");

    EdgeConfig next = config;
    next.lanes[1].name = next.routes[0].lane = "new";
    (void)changes.take(next);
    reloads.offer(std::make_unique<Judgement>(next, changes.streams()));
    ASSERT_TRUE(bench.step_until([&] { return reloads.is_taken(); }));
    for (const char* id : {"b", "c", "d"}) producer.send_event(id, 0, "{}", "alarm");
    ASSERT_TRUE(producer.wait_acked(4));
    const wire::BatchHeader& last = bench.stored.back().header;
    EXPECT_EQ(wire::name_of(last.lane_name), "new");
    EXPECT_EQ(last.last_sequence(), 3U) << "from 1 on";
    EXPECT_NE(last.lane, bench.stored.front().header.lane);
    EXPECT_EQ(bench.counters.accepted.get(), 4U);
}

TEST(BufferShares, DividedAnewALaneThatHoldsMoreThanItsShareOwesNothing) {
    BufferShares::Lanes two{}, three{};
    two[0] = two[1] = three[0] = three[1] = three[2] = true;
    BufferShares shares(12, two);
    EXPECT_EQ(shares.guarantee(), 3U);
    for (int i = 0; i < 9; ++i) {
        ASSERT_TRUE(shares.may_take(0, 12U - static_cast<unsigned>(i)));
        shares.take(0);
    }
    EXPECT_FALSE(shares.may_take(0, 3));
    shares.divide_among(three);
    EXPECT_EQ(shares.guarantee(), 2U);
    EXPECT_TRUE(shares.may_take(2, 3));
    EXPECT_FALSE(shares.may_take(0, 3)) << "four are owed to the others";
    for (int i = 0; i < 9; ++i) shares.give_back(0);
    EXPECT_FALSE(shares.may_take(3, 6)) << "a lane that is not in use has no share";
    EXPECT_TRUE(shares.may_take(3, 7));
}

}  // namespace
}  // namespace weir::edge::test
