// The promises, one test each, by their numbers (README, "What is promised"): test_promises --gtest_filter='*P3*'.
//
// Each runs worlds with the faults that threaten it; the oracle judges all promises in each of them. That these tests can fail is what
// weir-sim-planted shows.
#include <gtest/gtest.h>

#include "tests/simulation/world.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t worlds = 60;

void hold(std::uint64_t first_seed, const std::vector<std::string>& faults) {
    std::uint64_t injected = 0, events = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + worlds; ++seed) {
        WorldOptions options;
        options.seed = seed;
        options.only = faults;
        const Outcome outcome = run_world(options);
        ASSERT_EQ(outcome.wrong, "") << "seed " << seed;
        injected += outcome.faults;
        events += outcome.events;
    }
    EXPECT_GT(injected, worlds);
    EXPECT_GT(events, worlds * 20);
}

TEST(Promise, P1_WhatIsAnsweredSpooledIsOnTheDisk) {
    hold(1000, {"edge_end", "edge_crash_point"});
}
TEST(Promise, P2_CentralAcksDataAndPositionTogether) {
    hold(2000, {"central_end", "central_crash_point"});
}
TEST(Promise, P3_EachEventIsStoredOnce) {
    hold(3000, {"reset", "replay", "drop", "hold_back", "cut_both", "cut_one_way", "edge_end", "wall_jump"});
}
TEST(Promise, P4_LanesKeepTheirOrderWithoutHoles) {
    hold(4000, {"drop", "hold_back", "replay", "reset", "slow_network"});
}
TEST(Promise, P5_ACrashCostsTimeOnly) {
    hold(5000, {"edge_end", "central_end", "edge_crash_point", "central_crash_point", "pause"});
}
TEST(Promise, P6_TheAccountIsExactAcrossCrashes) {
    hold(6000, {"edge_end", "central_end", "reset", "replay"});
}

TEST(Promise, P7_ACentralRestoredFromABackupGetsEverythingThatIsKeptAndTheRestByName) {
    hold(7000, {"central_restored", "edge_end", "reset"});
}

// A world that ran in fair weather, with records in the edge's spool.
struct Spool {
    Spool() : edge(clock, network, Random(7), 1, Scale{}) {}
    Clock clock;
    Network network{Random(3)};
    EdgeNode edge;
};

TEST(Promise, P8_TheFirstFailedWriteEndsAcksAndNothingAcknowledgedIsLost) {
    hold(8000, {"write_error", "sync_error", "edge_end", "disk_stall"});
}
TEST(Promise, P10_ASecondProcessOnADirectoryIsRefused) {
    Spool spool;
    ASSERT_TRUE(spool.edge.start()) << spool.edge.failure;
    const io::UseFiles use(spool.edge.machine.disk);
    const auto second = edge::recover(spool.edge.config);
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.error().what.find("another process"), std::string::npos) << second.error().what;
}
TEST(Promise, P10_EachLifeOfAnEdgeHasItsOwnEpoch) {
    Spool spool;
    std::uint64_t last = 0;
    for (int life = 0; life < 5; ++life) {
        {
            const io::UseFiles use(spool.edge.machine.disk);
            const auto recovered = edge::recover(spool.edge.config);
            ASSERT_TRUE(recovered.ok());
            EXPECT_GT(recovered.value().spool.identity.epoch, last);
            last = recovered.value().spool.identity.epoch;
        }
        spool.edge.end(End::power_none);
    }
}
TEST(Promise, P12_AFullDiskIsBackpressureAndEndsByItself) {
    hold(12'000, {"disk_full", "disk_stall", "pause", "slow_network"});
}
TEST(Promise, P13_DeadLettersAreDurableBeforeTheyAreAnswered) {
    hold(13'000, {"edge_end", "central_end", "reset"});
}

}  // namespace
}  // namespace weir::sim
