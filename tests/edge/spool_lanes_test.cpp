// Lanes beside each other in the spool: one that may not be sent holds up no other; a live_first lane's backlog and its live part.
#include <gtest/gtest.h>

#include "edge/recovery.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

std::size_t segments_of(const SpoolBench& bench, std::string_view lane) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(stream_directory(bench.config.data_dir, lane))) {
        if (entry.path().extension() == ".seg") ++count;
    }
    return count;
}

void feed_when_free(SpoolBench& bench, LaneId lane, std::uint32_t count, std::uint32_t event_bytes) {
    ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
    bench.feed(lane, count, event_bytes);
}

TEST(Lanes, OneThatCentralGrantsNothingHoldsUpNeitherAnothersDeliveriesNorItsDisk) {
    ScriptedCentral central;
    central.lane_credit[0] = 0;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 120; ++i) {
        ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, 0, 100, 1000));
        ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, 1, 100, 1000));
        if (i % 10 == 0) bench.cover_durable();
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable) && bench.delivered[1] == bench.fed[1]; }));
    EXPECT_EQ(bench.delivered[0], 0U);
    EXPECT_EQ(central.positions[0], 0U);
    bench.cover_durable();
    EXPECT_TRUE(bench.until([&] { return segments_of(bench, "alarms") <= 3; })) << segments_of(bench, "alarms");
    EXPECT_GE(segments_of(bench, "default"), 12U) << "what is stuck is kept";
    // With credit all of it comes, in order.
    central.grant_lane(0, 1ULL << 40);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered) && bench.free_buffers.size() == 8; }));
    EXPECT_EQ(central.duplicates, 0U);
    EXPECT_EQ(bench.counters.gap_events.get(), 0U);
}

// Intake's checkpoint waits for the batches that are out, and only what it covers makes room.
TEST(Lanes, OneOnADiskWithoutRoomIsHeldWhileWhatIsOutStillFits) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()}, {.buffers = 4, .segment_bytes = 4U << 20});
    bench.centrals = {&central};
    bench.open();
    bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    bench.disk_is_full = true;
    ASSERT_TRUE(bench.until([&] {
        while (bench.fill[0] < fill_full && !bench.free_buffers.empty()) bench.feed(0, 100, 1000);
        return bench.fill[0] == fill_full;
    }));
    const Sequence fed = bench.fed[0];
    EXPECT_GT(fed, 1500U) << "half a segment was used at least";
    EXPECT_TRUE(bench.until([&] { return bench.durable[0] == fed; }));
    // With room it goes on by itself.
    bench.disk_is_full = false;
    bench.feed(0, 100, 1000);
    for (int i = 0; i < 60; ++i) ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, 0, 100, 1000));
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.durable) && bench.fill[0] < fill_full; }));
}

TEST(Lanes, BesideLiveBatchesWhatIsReadBackGoesNoFurtherAheadOfItsAcksThanItsWindow) {
    struct Case {
        std::uint64_t queue_ms;
        bool is_beside_live;
    };
    for (const auto& [queue_ms, is_beside_live] : {Case{5, true}, Case{5, false}, Case{0, true}}) {
        ScriptedCentral central;
        SpoolBench bench({central.address()});
        bench.config.uplink.catch_up_queue_us = queue_ms * 1000;
        bench.centrals = {&central};
        bench.open();
        bench.skew_ns += pace_live_ns;  // of no clock that began a moment ago
        if (is_beside_live) {
            bench.feed(1);
            ASSERT_TRUE(bench.until([&] { return bench.delivered[1] == bench.fed[1]; }));
        }
        central.answers_hello = false;
        central.cut();
        for (int i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, 0, 100, 1000));
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable) && bench.free_buffers.size() == 8; }));
        central.acks = false;
        central.answers_hello = true;
        central.cut();
        ASSERT_TRUE(bench.until([&] { return central.session_bytes > 0; }));
        bench.steps(300);
        if (queue_ms == 0 || !is_beside_live) {
            EXPECT_EQ(central.positions[0], bench.fed[0]) << "all that is granted";
        } else {
            EXPECT_LE(central.session_bytes, window_bytes_first);
            EXPECT_GT(central.session_bytes, window_bytes_first / 2);
        }
        central.acks = true;
        central.ack_all();
        EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    }
}

TEST(Lanes, ALanesCreditIsATotalOfTheConnectionAndBeginsAnewWithTheNext) {
    ScriptedCentral central;
    const std::uint64_t frame = wire::frame_bytes(sizeof(wire::BatchHeader) + 3 * wire::frame_bytes(40));
    central.lane_credit[0] = 2 * frame;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 5; ++i) bench.feed(0);
    for (int i = 0; i < 3; ++i) bench.feed(1);
    ASSERT_TRUE(bench.until([&] { return bench.delivered[1] == 9 && bench.delivered[0] == 6; }));
    bench.steps(100);
    EXPECT_EQ(bench.delivered[0], 6U);
    central.cut();
    ASSERT_TRUE(bench.until([&] { return bench.delivered[0] == 12; }));
    bench.steps(100);
    EXPECT_EQ(bench.delivered[0], 12U);
    central.grant_lane(0, 3 * frame);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
}

TEST(Lanes, MoreStreamsThanReadersAreAllReadBackInTheirOrder) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()}, {.buffers = 16});
    for (LaneId lane = 2; lane < 2 + 2 * readers_max; ++lane) {
        SpoolLane more = bench.start.lanes.front();
        more.state.id = lane;
        more.state.name = "lane-" + std::to_string(lane);
        bench.start.lanes.insert(bench.start.lanes.end() - 1, more);
    }
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 20; ++i) {
        for (LaneId lane = 0; lane < 2 + 2 * readers_max; ++lane) {
            ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, lane, 1 + static_cast<std::uint32_t>(i), 500));
        }
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(central.duplicates, 0U);
}

// As in the profile "small": one reader, and buffers that just hold the largest batch.
TEST(Lanes, OneReaderWithTheLeastBuffersReadsAllStreamsBackInTheirOrder) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()}, {.buffers = 8});
    bench.config.uplink.readers_max = 1;
    bench.config.uplink.reader_bytes = read_buffer_bytes_min;
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 12; ++i) {
        for (const LaneId lane : {LaneId{0}, LaneId{1}}) {
            ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, lane, 1, i % 3 == 0 ? 256U << 10 : 700));
        }
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(central.duplicates, 0U);
    EXPECT_EQ(bench.counters.damaged_records.get(), 0U);
}

struct LiveFirst : ::testing::Test {
    void begin() {
        bench.configure(0).drain = Drain::live_first;
        bench.config.lanes.back().backlog_weight = 2;
        bench.add_backlog(0);
        bench.centrals = {&central};
        // Time is moved on by seconds: no silence counts.
        bench.config.uplink.ping_ms = 500'000;
        bench.config.uplink.silent_ms_max = 600'000;
    }
    ScriptedCentral central;
    SpoolBench bench{{central.address()}, {.buffers = 16}};
};

TEST_F(LiveFirst, OpensTheBacklogWhenNoSessionIsLiveAndTheLivePartAgainWhenItHasCaughtUp) {
    begin();
    central.answers_hello = false;
    bench.open();
    bench.steps(20);
    EXPECT_TRUE(bench.opens_in.empty());
    bench.feed(0);
    bench.skew_ns += part_outage_ns;
    ASSERT_TRUE(bench.until([&] { return bench.opens_in.size() == 1; }));
    EXPECT_EQ(bench.opens_in[0], bench.stream_of(backlog_of(0)));
    // A session at once: not back before the dwell is over.
    central.answers_hello = true;
    central.cut();
    ASSERT_TRUE(bench.until([&] { return bench.delivered[0] == bench.fed[0]; }));
    bench.steps(50);
    EXPECT_EQ(bench.opens_in.size(), 1U);
    bench.skew_ns += part_dwell_ns;
    ASSERT_TRUE(bench.until([&] { return bench.opens_in.size() == 2; }));
    EXPECT_EQ(bench.opens_in[1], bench.stream_of(0));
    EXPECT_EQ(bench.counters.part_changes.get(), 2U);
}

TEST_F(LiveFirst, AThousandBatchesOfBacklogDrainWhileLiveBatchesPassThem) {
    begin();
    central.answers_hello = false;
    bench.open();
    for (int i = 0; i < 1000; ++i) ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, backlog_of(0), 3, 900));
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    central.credit_bytes = 0;
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += part_outage_ns;
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    // The live part has its turn within a few frames, however much is behind it.
    const std::uint64_t frame = wire::frame_bytes(sizeof(wire::BatchHeader) + 3 * wire::frame_bytes(900));
    for (int i = 0; i < 40; ++i) {
        ASSERT_NO_FATAL_FAILURE(feed_when_free(bench, 0, 3, 900));
        ASSERT_TRUE(bench.until([&] { return bench.durable[0] == bench.fed[0]; }));
        central.grant(central.credit_bytes + live_turns * frame);
        ASSERT_TRUE(bench.until([&] { return bench.delivered[0] == bench.fed[0]; }));
        ASSERT_TRUE(bench.until([&] { return central.session_bytes == central.credit_bytes; }));
    }
    EXPECT_GE(central.backlog_positions[0], 3U * 200) << "the backlog goes on beside it";
    central.grant(1ULL << 40);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(central.backlog_positions[0], 3000U);
    EXPECT_EQ(central.positions[0], 120U);
    EXPECT_EQ(central.duplicates, 0U);
    for (const auto& seen : central.stored) EXPECT_EQ(seen.kind, wire::BatchKind::events);
}

TEST_F(LiveFirst, BothPartsComeOnceAndInOrderAcrossCuts) {
    begin();
    bench.open();
    std::mt19937 random(5);
    for (int i = 0; i < 600; ++i) {
        if (!bench.free_buffers.empty())
            bench.feed(random() % 2 == 0 ? LaneId{0} : backlog_of(0), 1 + static_cast<std::uint32_t>(random() % 9),
                       300);
        if (random() % 40 == 0) central.cut();
        if (random() % 30 == 0) central.acks = !central.acks;
        bench.step();
    }
    central.acks = true;
    central.cut();
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered) && bench.free_buffers.size() == 16; }));
    EXPECT_EQ(central.positions[0], bench.fed[0]);
    EXPECT_EQ(central.backlog_positions[0], bench.fed[backlog_of(0)]);
    EXPECT_EQ(bench.counters.gap_events.get(), 0U);
}

}  // namespace
}  // namespace weir::edge::test
