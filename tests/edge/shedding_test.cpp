// What a lane's policy gives up: the oldest of a best_effort lane that is full, what is older than a lane keeps; named to central with its
// reason, and accounted to the event.
#include <gtest/gtest.h>

#include "core/journal/checkpoint.hpp"
#include "edge/recovery.hpp"
#include "edge/spool/spool_checkpoint.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

constexpr std::uint64_t lane_bytes_max = 2ULL << 20;
// Of what feed_many() feeds.
constexpr std::uint64_t batch_frame_bytes =
    wire::frame_bytes(sizeof(wire::BatchHeader) + 100 * wire::frame_bytes(1000));

void shed_oldest(LaneConfig& lane, std::uint64_t bytes_max = lane_bytes_max) {
    lane.lane_class = LaneClass::best_effort;
    lane.shed = ShedPolicy::oldest;
    lane.bytes_max = bytes_max;
}

std::uint64_t named(const ScriptedCentral& central, LaneId lane, std::uint8_t flags) {
    std::uint64_t events = 0;
    for (const auto& seen : central.stored) {
        if (seen.lane == lane && seen.kind == wire::BatchKind::gap && seen.flags == flags)
            events += seen.last - seen.first + 1;
    }
    return events;
}

std::uint64_t stored_events(const ScriptedCentral& central, LaneId lane) {
    std::uint64_t events = 0;
    for (const auto& seen : central.stored) {
        if (seen.lane == lane && seen.kind == wire::BatchKind::events) events += seen.last - seen.first + 1;
    }
    return events;
}

// As intake does, nothing while the lane is full: its checkpoint covers what is durable by then, and room is made.
void wait_while_full(SpoolBench& bench, LaneId lane) {
    const StreamIndex stream = bench.stream_of(lane);
    ASSERT_TRUE(bench.until([&] {
        const bool is_full = bench.fill[stream] == fill_full;
        if (is_full) bench.cover_durable();
        return !is_full;
    }));
}

void feed_one(SpoolBench& bench, LaneId lane) {
    ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
    bench.feed(lane, 100, 1000);
}

void until_durable(SpoolBench& bench) {
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
}

// However full the lane is.
void feed_many(SpoolBench& bench, LaneId lane, int batches) {
    for (int i = 0; i < batches; ++i) {
        feed_one(bench, lane);
        if (i % 8 == 0) bench.cover_durable();
    }
    until_durable(bench);
}

// As much as the lane's bound allows at a time.
void feed_within_bound(SpoolBench& bench, LaneId lane, int batches) {
    for (int i = 0; i < batches; ++i) {
        ASSERT_NO_FATAL_FAILURE(wait_while_full(bench, lane));
        ASSERT_NO_FATAL_FAILURE(feed_one(bench, lane));
        if (i % 8 == 0) bench.cover_durable();
    }
    until_durable(bench);
}

// All that was accepted is at central, or named to it for what it is.
void expect_account_closes(const SpoolBench& bench, const ScriptedCentral& central, LaneId lane) {
    const LaneCounters& counters = bench.counters.lanes[bench.stream_of(lane)];
    EXPECT_EQ(counters.delivered.get() + counters.shed.get() + counters.expired.get() + counters.gap.get(),
              bench.fed.at(lane));
    EXPECT_EQ(stored_events(central, lane), counters.delivered.get());
    EXPECT_EQ(named(central, lane, wire::gap_shed), counters.shed.get());
    EXPECT_EQ(named(central, lane, wire::gap_expired), counters.expired.get());
    EXPECT_EQ(named(central, lane, wire::gap_not_kept), counters.gap.get());
}

// Lane 0 sheds its oldest, and central takes what it grants and acks none of it.
void open_without_acks(SpoolBench& bench, ScriptedCentral& central, std::uint64_t bytes_max = lane_bytes_max) {
    central.acks = false;
    shed_oldest(bench.configure(0), bytes_max);
    bench.centrals = {&central};
    bench.open();
}

TEST(Shedding, ABestEffortLaneWithoutACentralGivesUpItsOldestAndKeepsToItsBytes) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    shed_oldest(bench.configure(0));
    bench.centrals = {&central};
    bench.open();
    feed_within_bound(bench, 0, 100);
    feed_within_bound(bench, 1, 10);
    const LaneCounters& lane = bench.counters.lanes[0];
    EXPECT_LE(lane.bytes.get(), lane_bytes_max);
    EXPECT_GT(lane.shed.get(), 6000U);
    EXPECT_LT(lane.shed.get(), 9900U) << "the newest stay";
    EXPECT_EQ(bench.shed[0].shed_events, lane.shed.get());
    EXPECT_EQ(bench.shed[0].last_sequence, lane.shed.get()) << "the oldest, without a hole";
    EXPECT_EQ(bench.counters.lanes[1].shed.get(), 0U) << "a durable lane sheds nothing";
    bench.cover_durable();
    EXPECT_TRUE(bench.until([&] {
        bench.cover_durable();
        return bench.counters.journal_bytes_held.get() < 6U << 20;
    })) << "what is given up is deleted: "
        << bench.counters.journal_bytes_held.get();
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
    expect_account_closes(bench, central, 1);
    EXPECT_EQ(lane.gap.get(), 0U);
    EXPECT_EQ(bench.counters.gap_events.get(), 0U);
}

TEST(Shedding, WhatWasSentIsNeverGivenUpAndWhatLiesBehindItIs) {
    ScriptedCentral central;
    central.lane_credit[0] = 5 * batch_frame_bytes;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    open_without_acks(bench, central);
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    bench.steps(10);
    // All that it has credit for goes out first: what is sent behind a hole would hold up the next one.
    feed_within_bound(bench, 0, 5);
    ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == 500; }));
    feed_within_bound(bench, 0, 75);
    EXPECT_GT(bench.counters.lanes[0].shed.get(), 5000U);
    EXPECT_LE(bench.counters.lanes[0].bytes.get(), lane_bytes_max);
    central.acks = true;
    central.ack_all();
    central.grant_lane(0, 1ULL << 40);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
    for (const auto& seen : central.stored) {
        if (seen.kind == wire::BatchKind::gap) {
            EXPECT_EQ(seen.flags, wire::gap_shed);
            EXPECT_EQ(seen.first, 501U);
            break;
        }
    }
}

// Of segments that take one batch each no record begins where the one before it ends, which is where the hole ends.
TEST(Shedding, WhatWasGivenUpGrowsOverTheEndOfASegment) {
    ScriptedCentral central;
    central.lane_credit[0] = batch_frame_bytes;
    SpoolBench bench({central.address()}, {.segment_bytes = 128U << 10});
    // Two batches fill it: the one that central has not acked, and the next.
    open_without_acks(bench, central, 256U << 10);
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    bench.steps(10);
    feed_within_bound(bench, 0, 1);
    ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == 100; }));
    ASSERT_NO_FATAL_FAILURE(feed_within_bound(bench, 0, 20));
    EXPECT_GE(bench.counters.lanes[0].shed.get(), 1900U);
    central.acks = true;
    central.ack_all();
    central.grant_lane(0, 1ULL << 40);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
}

// A central whose disk is full answers pings for days. What is given up meanwhile is many times what the lane holds.
TEST(Shedding, WhatWasGivenUpGrowsForAsLongAsCentralAcksNothing) {
    ScriptedCentral central;
    central.lane_credit[0] = batch_frame_bytes;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    open_without_acks(bench, central, 512U << 10);
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    bench.steps(10);
    feed_within_bound(bench, 0, 1);
    ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == 100; }));
    ASSERT_NO_FATAL_FAILURE(feed_within_bound(bench, 0, 200));
    EXPECT_GE(bench.counters.lanes[0].shed.get(), 19'000U);
    central.acks = true;
    central.ack_all();
    central.grant_lane(0, 1ULL << 40);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
}

// Its welcome says so; the records are passed over when they are read, and the session ends before.
TEST(Shedding, WhatCentralHasAndWasNotPassedOverDoesNotHoldUpWhatIsGivenUp) {
    ScriptedCentral central;
    central.acks = false;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    shed_oldest(bench.configure(0));
    bench.config.uplink.reader_bytes = read_buffer_bytes_min;
    bench.centrals = {&central};
    bench.open();
    feed_many(bench, 0, 12);
    ASSERT_TRUE(bench.until([&] { return central.positions[0] == bench.fed[0]; }));
    central.cut();
    ASSERT_TRUE(bench.until([&] { return bench.delivered[0] == bench.fed[0]; }));
    central.answers_hello = false;
    central.cut();
    bench.steps(50);
    EXPECT_GT(bench.counters.lanes[0].bytes.get(), 300'000U) << "it counts as if it were still needed";
    central.acks = true;
    feed_many(bench, 0, 60);
    EXPECT_LE(bench.counters.lanes[0].bytes.get(), lane_bytes_max);
    EXPECT_GT(bench.counters.lanes[0].shed.get(), 1000U);
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
}

TEST(Shedding, WhatCentralTurnsOutToHaveIsNotCountedAsShed) {
    ScriptedCentral central;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    open_without_acks(bench, central);
    feed_many(bench, 0, 5);
    ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == 500; }));
    central.answers_hello = false;  // its acks are lost, and it is away
    central.cut();
    feed_many(bench, 0, 60);
    ASSERT_GT(bench.counters.lanes[0].shed.get(), 1000U);
    central.acks = central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
}

// Its journal was full when the edge came back: what it had taken was written after its welcome.
TEST(Shedding, WhatCentralHasAfterAWelcomeThatWasNotItsLastWordIsNotCountedAsShed) {
    ScriptedCentral central;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    open_without_acks(bench, central);
    feed_many(bench, 0, 5);
    ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == 500; }));
    central.answers_hello = false;
    central.cut();
    feed_many(bench, 0, 60);
    ASSERT_GT(bench.counters.lanes[0].shed.get(), 1000U);
    central.positions[0] = 0;
    central.answers_hello = central.is_unsettled = true;
    central.lane_credit[0] = 0;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    feed_many(bench, 0, 60);
    bench.steps(100);
    EXPECT_EQ(named(central, 0, wire::gap_shed), 0U);
    central.positions[0] = 500;
    central.is_unsettled = false;
    central.acks = true;
    central.lane_credit.clear();
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(stored_events(central, 0) % 100, 0U);
    expect_account_closes(bench, central, 0);
}

TEST(Shedding, WhatAWelcomeThatIsNotTheLastWordSaysIsThereIsDelivered) {
    ScriptedCentral central;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    open_without_acks(bench, central);
    feed_many(bench, 0, 12);
    ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == 1200; }));
    central.answers_hello = false;
    central.cut();
    while (bench.counters.lanes[0].shed.get() == 0) ASSERT_NO_FATAL_FAILURE(feed_many(bench, 0, 1));
    ASSERT_LT(bench.counters.lanes[0].shed.get(), 1000U);
    central.answers_hello = central.is_unsettled = central.acks = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.lanes[0].shed.get(), 0U);
    expect_account_closes(bench, central, 0);
}

// All of what was in doubt arrived: to its last event it counts as delivered, and none of it is named.
TEST(Shedding, WhatCentralHasToTheLastEventThatWasGivenUpIsDelivered) {
    ScriptedCentral central;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    open_without_acks(bench, central);
    // One by one: together they fill the lane, and what is not sent by then would be shed.
    for (std::uint64_t sent = 100; sent <= 1500; sent += 100) {
        feed_many(bench, 0, 1);
        ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == sent; }));
    }
    central.answers_hello = false;
    central.cut();
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 0; }));
    for (int i = 0; bench.counters.lanes[0].shed.get() == 0; ++i) {
        ASSERT_LT(i, 100);
        feed_many(bench, 0, 1);
        bench.steps(5);
    }
    bench.steps(200);
    const std::uint64_t in_doubt = bench.counters.lanes[0].shed.get();
    ASSERT_LT(in_doubt, 1500U);
    // It stored exactly what the edge has given up by now, and lost what it had not yet written.
    central.positions[0] = in_doubt;
    std::erase_if(central.stored, [&](const auto& seen) { return seen.lane == 0 && seen.last > in_doubt; });
    central.acks = central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.lanes[0].shed.get(), 0U);
    EXPECT_EQ(bench.shed[0].shed_events, 0U) << "intake's totals are put right too";
    expect_account_closes(bench, central, 0);
}

// What was sent lies before what was given up; the outage must not pass over it.
TEST(Shedding, WhatWasSentBeforeWhatWasGivenUpIsNotForgottenInAnOutage) {
    ScriptedCentral central;
    central.lane_credit[0] = 5 * batch_frame_bytes;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    open_without_acks(bench, central);
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    bench.steps(10);
    feed_many(bench, 0, 60);
    ASSERT_GT(bench.counters.lanes[0].shed.get(), 1000U);
    // Nothing of it was written there after all, and it is away for long.
    central.positions.clear();
    central.stored.clear();
    central.answers_hello = false;
    central.cut();
    feed_many(bench, 0, 60);
    central.acks = central.answers_hello = true;
    central.lane_credit.clear();
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.lanes[0].gap.get(), 0U) << "nothing was lost";
    expect_account_closes(bench, central, 0);
}

TEST(Shedding, ADurableLanesOldestExpireAfterItsTimeAndNotBefore) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()});
    bench.config.uplink.silent_ms_max = 600'000;
    bench.configure(0).keep_undelivered_s = 80;
    bench.centrals = {&central};
    bench.open();
    feed_many(bench, 0, 10);
    feed_many(bench, 1, 3);
    bench.skew_ns += 60 * ns_per_second;
    bench.steps(5);
    feed_many(bench, 0, 10);
    bench.steps(5);
    EXPECT_EQ(bench.counters.lanes[0].expired.get(), 0U);
    bench.skew_ns += 21 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.counters.lanes[0].expired.get() > 0; }));
    EXPECT_LE(bench.counters.lanes[0].expired.get(), 1000U) << "what came later is younger";
    bench.skew_ns += 80 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.counters.lanes[0].expired.get() == 2000U; }));
    EXPECT_EQ(bench.counters.lanes[1].expired.get(), 0U);
    EXPECT_TRUE(bench.shed.empty()) << "expired is not shed";
    feed_many(bench, 0, 1);
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 600 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
}

// There are four places for what central has not acked; an outage may bring more turns than that.
TEST(Shedding, ALaneThatShedsAndExpiresByTurnsGoesOnWithBothThroughAnOutage) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10});
    bench.config.uplink.silent_ms_max = 6'000'000;
    shed_oldest(bench.configure(0));
    bench.config.lanes[0].keep_undelivered_s = 80;
    bench.centrals = {&central};
    bench.open();
    const LaneCounters& lane = bench.counters.lanes[0];
    for (int turn = 0; turn < 4; ++turn) {
        SCOPED_TRACE("turn " + std::to_string(turn));
        const std::uint64_t given_up = lane.shed.get() + lane.expired.get();
        ASSERT_NO_FATAL_FAILURE(feed_within_bound(bench, 0, 40));
        EXPECT_GT(lane.shed.get() + lane.expired.get(), given_up + 1000) << "what is too much is shed";
        EXPECT_LE(lane.bytes.get(), lane_bytes_max);
        bench.skew_ns += 100 * ns_per_second;
        ASSERT_TRUE(bench.until([&] { return lane.bytes.get() == 0; })) << "what is too old expires";
    }
    EXPECT_GT(lane.shed.get(), 0U);
    EXPECT_GT(lane.expired.get(), 0U);
    EXPECT_EQ(bench.shed[0].shed_events, lane.shed.get());
    feed_many(bench, 0, 1);
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 6000 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    expect_account_closes(bench, central, 0);
}

// What a batch's header says of what was given up is as of its close; a start goes on with what the spool knows of it.
TEST(Shedding, AStartGoesOnWithAllThatWasShed) {
    TemporaryDirectory directory;
    ScriptedCentral central;
    central.answers_hello = false;
    EdgeConfig config = two_lanes_at(directory.path, central);
    shed_oldest(config.lanes[0]);
    std::uint64_t shed = 0;
    {
        auto found = recover(config);
        ASSERT_TRUE(found.ok()) << found.error().what;
        SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10, .data_dir = directory.path});
        bench.config.lanes = config.lanes;
        bench.centrals = {&central};
        bench.begin_with(found.value().spool);
        bench.open();
        feed_within_bound(bench, 0, 40);
        shed = bench.counters.lanes[0].shed.get();
        ASSERT_GT(shed, 1000U);
        bench.steps(200);
    }
    const auto found = recover(config);
    ASSERT_TRUE(found.ok()) << found.error().what;
    const SpoolLane& lane = found.value().spool.lanes[0];
    EXPECT_EQ(lane.shed_events, shed);
    EXPECT_EQ(lane.state.totals.shed, shed);
}

// A life may end in an outage, or with batches under way, acks on the way, gaps named and not acked, or before a checkpoint knew of it.
TEST(Shedding, TheAccountClosesAcrossLivesThatEndAnywhere) {
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        TemporaryDirectory directory;
        ScriptedCentral central;
        EdgeConfig config = two_lanes_at(directory.path, central);
        shed_oldest(config.lanes[0]);
        for (int life = 0; life < 6; ++life) {
            const bool is_last = life == 5;
            auto found = recover(config);
            ASSERT_TRUE(found.ok()) << found.error().what;
            for (const auto& fault : found.value().faults) ADD_FAILURE() << "life " << life << ": " << fault;
            SpoolBench bench({central.address()}, {.segment_bytes = 512U << 10, .data_dir = directory.path});
            bench.config.lanes = config.lanes;
            bench.centrals = {&central};
            bench.begin_with(found.value().spool);
            central.answers_hello = is_last || random() % 2 == 0;
            central.acks = is_last || random() % 2 == 0;
            central.lane_credit.clear();
            if (!is_last && random() % 2 == 0) central.lane_credit[0] = random() % 20 * batch_frame_bytes;
            bench.open();
            feed_many(bench, 0, is_last ? 1 : static_cast<int>(random() % 50));
            feed_many(bench, 1, 3);
            bench.steps(static_cast<int>(random() % 200));
            if (!is_last && random() % 2 == 0) {
                // Central goes away, and the lane fills up behind what it may have.
                central.answers_hello = false;
                central.cut();
                feed_many(bench, 0, static_cast<int>(random() % 40));
                bench.steps(static_cast<int>(random() % 100));
            }
            if (!is_last && random() % 2 == 0) {
                central.answers_hello = true;
                central.cut();
                bench.skew_ns += 10 * ns_per_second;
                bench.steps(static_cast<int>(random() % 60));
            }
            if (!is_last) {
                central.cut();
                continue;
            }
            ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
            expect_account_closes(bench, central, 0);
            expect_account_closes(bench, central, 1);
            EXPECT_EQ(bench.counters.lanes[0].gap.get(), 0U);
        }
    }
}

}  // namespace
}  // namespace weir::edge::test
