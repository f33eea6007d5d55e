// What an edge knows when it starts, from what a spool stage left on a real disk.
#include <gtest/gtest.h>

#include <fstream>

#include "edge/recovery.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

EdgeConfig config_of(const std::string& data_dir, std::vector<std::string> lanes) {
    EdgeConfig config;
    config.edge_id = "north";
    config.data_dir = data_dir;
    config.uplink.centrals = {"127.0.0.1:1"};
    config.spool.segment_bytes = 1U << 20;
    config.cache.ids_max = 1024;
    for (auto& name : lanes) {
        LaneConfig lane;
        lane.name = std::move(name);
        config.lanes.push_back(std::move(lane));
    }
    return config;
}

const SpoolLane& lane_of(const Recovered& found, std::string_view name) {
    for (const SpoolLane& lane : found.spool.lanes) {
        if (lane.state.name == name) return lane;
    }
    ADD_FAILURE() << "no lane " << name;
    return found.spool.lanes.front();
}

class SpoolRecovery : public ::testing::Test {
  protected:
    // Recovers, spools `batches` batches on two lanes for `central`, and goes away, drained or not.
    void live(int batches, ScriptedCentral& central, bool drains) {
        auto found = recover(config_of(directory.path, {"default", "alarms"}));
        ASSERT_TRUE(found.ok()) << found.error().what;
        SpoolBench bench({central.address()}, {.data_dir = directory.path});
        bench.centrals = {&central};
        bench.begin_with(found.value().spool);
        bench.open();
        for (int i = 0; i < batches; ++i) {
            ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
            bench.feed(static_cast<LaneId>(i % 2), 5, 1000);
        }
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
        durable_end = bench.durable_position;
        if (drains) {
            bench.stage->drain({});
            bench.skew_ns += ns_per_second;
            ASSERT_TRUE(bench.until([&] {
                bench.skew_ns += ns_per_ms;
                return bench.stage->is_drained();
            }));
        }
    }
    [[nodiscard]] Recovered recovered(std::vector<std::string> lanes = {"default", "alarms"}) {
        auto found = recover(config_of(directory.path, std::move(lanes)));
        EXPECT_TRUE(found.ok()) << found.error().what;
        return std::move(found.value());
    }
    void remove_checkpoint() {
        std::filesystem::remove(spool_checkpoint_path(directory.path) + ".0");
        std::filesystem::remove(spool_checkpoint_path(directory.path) + ".1");
    }

    TemporaryDirectory directory;
    std::map<StreamIndex, Position> durable_end;
};

TEST_F(SpoolRecovery, BeginsALineageInANewDirectory) {
    std::uint64_t lineage = 0;
    {
        const Recovered found = recovered();
        lineage = found.spool.identity.lineage;
        EXPECT_TRUE(found.is_new);
        EXPECT_TRUE(found.faults.empty());
        EXPECT_EQ(found.spool.identity.epoch, 1U);
        ASSERT_EQ(found.spool.lanes.size(), 3U);
        EXPECT_EQ(found.spool.lanes[0].state.id, 0U);
        EXPECT_EQ(found.spool.lanes[1].state.id, 1U);
        EXPECT_EQ(found.spool.lanes[2].state.id, dead_letter_lane);
    }
    const Recovered again = recovered();
    EXPECT_FALSE(again.is_new);
    EXPECT_EQ(again.spool.identity.lineage, lineage);
    EXPECT_EQ(again.spool.identity.epoch, 2U);
}

TEST_F(SpoolRecovery, RefusesADirectoryThatAnotherEdgeUses) {
    const Recovered first = recovered();
    EXPECT_FALSE(recover(config_of(directory.path, {"default"})).ok());
}

TEST_F(SpoolRecovery, GoesOnAfterACleanStop) {
    ScriptedCentral central;
    live(7, central, true);
    const Recovered found = recovered();
    EXPECT_TRUE(found.faults.empty());
    EXPECT_EQ(lane_of(found, "default").state.last_sequence, 20U);
    EXPECT_EQ(lane_of(found, "alarms").state.last_sequence, 15U);
    EXPECT_EQ(lane_of(found, "alarms").state.delivered_sequence, 15U);
    EXPECT_NE(lane_of(found, "alarms").state.previous_crc, 0U);
    for (const StreamIndex stream : {StreamIndex{0}, StreamIndex{1}}) {
        const StreamJournal& journal = found.spool.lanes[stream].journal;
        EXPECT_EQ(journal.durable_end, durable_end[stream]);
        EXPECT_EQ(journal.delivered, durable_end[stream]);
        EXPECT_GE(journal.tail.end, durable_end[stream]);
        EXPECT_NE(journal.tail.previous_crc, 0U);
    }
    EXPECT_FALSE(found.spool.lanes[2].journal.exists) << "a lane that was never used costs nothing on the disk";
}

TEST_F(SpoolRecovery, DeliversEverythingOnceAcrossCrashesAndRestarts) {
    ScriptedCentral central;
    for (int life = 0; life < 5; ++life) {
        central.acks = life % 2 == 0;
        live(6 + life * 7, central, life == 3);
    }
    central.acks = true;
    const Recovered found = recovered();
    SpoolBench bench({central.address()}, {.data_dir = directory.path});
    bench.centrals = {&central};
    bench.begin_with(found.spool);
    bench.open();
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    // Dense per lane: the central checks each batch as it comes.
    EXPECT_EQ(central.positions[0] + central.positions[1], (6U + 13 + 20 + 27 + 34) * 5);
}

TEST_F(SpoolRecovery, ReadsTheWholeSpoolWhenBothCopiesOfTheCheckpointAreLost) {
    ScriptedCentral central;
    live(9, central, true);
    const std::uint64_t lineage = recovered().spool.identity.lineage;
    remove_checkpoint();
    const Recovered found = recovered();
    EXPECT_FALSE(found.is_new);
    EXPECT_EQ(found.spool.identity.lineage, lineage);
    EXPECT_GT(found.spool.identity.epoch, 100U);  // Beyond every epoch that may have been used.
    EXPECT_EQ(lane_of(found, "default").state.last_sequence, 25U);
    EXPECT_EQ(lane_of(found, "default").state.delivered_sequence, 0U);
    EXPECT_EQ(found.spool.lanes[0].journal.durable_end, durable_end[0]);
    EXPECT_EQ(found.spool.lanes[1].journal.durable_end, durable_end[1]);
}

TEST_F(SpoolRecovery, StartsWithDamagedCopiesOfTheCheckpointAndSaysSo) {
    ScriptedCentral central;
    live(9, central, true);
    for (const char* copy : {".0", ".1"}) {
        std::fstream file(spool_checkpoint_path(directory.path) + copy,
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(30);
        file.write("damaged!", 8);
    }
    const Recovered found = recovered();
    EXPECT_FALSE(found.faults.empty());
    EXPECT_EQ(lane_of(found, "alarms").state.last_sequence, 20U);
}

TEST_F(SpoolRecovery, KeepsLanesByNameAndDrainsThoseThatAreNoLongerConfigured) {
    ScriptedCentral central;
    live(4, central, true);
    const Recovered found = recovered({"sirens", "default"});
    ASSERT_EQ(found.spool.lanes.size(), 4U);
    EXPECT_EQ(found.spool.lanes[0].state.name, "sirens");
    EXPECT_EQ(found.spool.lanes[0].state.id, 2U);
    EXPECT_EQ(found.spool.lanes[1].state.id, 0U);
    EXPECT_EQ(found.spool.lanes[1].state.last_sequence, 10U);
    EXPECT_EQ(found.spool.lanes[2].state.name, "alarms");
    EXPECT_FALSE(found.spool.lanes[2].state.is_configured);
    EXPECT_EQ(found.spool.lanes[2].state.last_sequence, 10U);
    EXPECT_EQ(found.spool.lanes[3].state.id, dead_letter_lane);
}

TEST_F(SpoolRecovery, BeginsANewLineageWhenTheSegmentsAreGone) {
    ScriptedCentral central;
    live(4, central, true);
    const std::uint64_t lineage = recovered().spool.identity.lineage;
    std::filesystem::remove_all(spool_directory(directory.path));
    const Recovered found = recovered();
    EXPECT_TRUE(found.is_new);
    EXPECT_NE(found.spool.identity.lineage, lineage);
    EXPECT_FALSE(found.faults.empty());
    EXPECT_EQ(lane_of(found, "default").state.last_sequence, 0U);
}

TEST_F(SpoolRecovery, ForgetsWhatIntakeKnewWhenTheSegmentsAreGoneSoThatRetriesAreTaken) {
    ScriptedCentral central;
    live(4, central, true);
    std::uint64_t seed = 0;
    std::uint64_t known = 0;
    {
        Recovered before = recovered();
        seed = before.memory.filter().options().seed;
        known = before.memory.filter().count();
        ASSERT_TRUE(std::filesystem::exists(filter_path(directory.path)));
    }
    {
        Recovered same = recovered();
        ASSERT_EQ(same.memory.filter().options().seed, seed);  // With its segments it goes on with what it knew.
        ASSERT_EQ(same.memory.filter().count(), known);
    }
    std::filesystem::remove_all(spool_directory(directory.path));
    Recovered found = recovered();
    EXPECT_NE(found.memory.filter().options().seed, seed);  // Entries of another seed are no entries.
    EXPECT_EQ(found.memory.filter().count(), 0U);
    EXPECT_EQ(found.memory.covered(0, wire::Part::live), Position{});
}

TEST_F(SpoolRecovery, NeverUsesASequenceTwiceWhenTheEndOfTheSpoolIsUnreadable) {
    ScriptedCentral central;
    live(6, central, true);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(spool_directory(directory.path))) {
        if (entry.path().filename() != journal::segment_file_name(0)) continue;
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(journal::segment_header_bytes);
        const std::vector<char> zeros(900'000);
        file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
    }
    const Recovered found = recovered();
    EXPECT_EQ(lane_of(found, "default").state.last_sequence, 15U);
    EXPECT_EQ(lane_of(found, "alarms").state.last_sequence, 15U);
    EXPECT_GE(found.spool.lanes[0].journal.tail.end, durable_end[0]);
    EXPECT_GE(found.spool.lanes[1].journal.tail.end, durable_end[1]);
}

}  // namespace
}  // namespace weir::edge::test
