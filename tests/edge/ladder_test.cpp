#include "edge/intake/ladder.hpp"

#include <gtest/gtest.h>

#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

using wire::Rung;

MonotonicNs at_ms(std::uint64_t ms) {
    return MonotonicNs{}.plus_ns((1000 + ms) * ns_per_ms);
}

RoomMeasures spool_at(std::uint64_t percent) {
    return {.spool_percent = percent};
}

TEST(Ladder, GoesUpAtOnceAndDownOneRungAfterEachDwellTime) {
    Ladder ladder(LadderConfig{.dwell_ms = 1000});
    EXPECT_FALSE(ladder.look(spool_at(69), at_ms(0)));
    EXPECT_TRUE(ladder.look(spool_at(95), at_ms(100)));
    EXPECT_EQ(ladder.rung(), Rung::critical);
    EXPECT_FALSE(ladder.look(spool_at(10), at_ms(200)));
    EXPECT_FALSE(ladder.look(spool_at(10), at_ms(1199)));
    EXPECT_TRUE(ladder.look(spool_at(10), at_ms(1200)));
    EXPECT_EQ(ladder.rung(), Rung::degraded);
    EXPECT_FALSE(ladder.look(spool_at(10), at_ms(2199)));
    EXPECT_TRUE(ladder.look(spool_at(10), at_ms(2200)));
    EXPECT_EQ(ladder.rung(), Rung::healthy);
}

TEST(Ladder, DoesNotSwingWithAMeasureThatSwingsAroundAThreshold) {
    Ladder ladder(LadderConfig{.dwell_ms = 1000});
    std::uint64_t changes = 0;
    for (std::uint64_t ms = 0; ms < 60'000; ms += 100) {
        // Below the threshold most of the time, and below the lower one never for the whole of the dwell time.
        const std::uint64_t percent = ms % 900 == 0 ? 71 : 55;
        changes += ladder.look(spool_at(percent), at_ms(ms)) ? 1 : 0;
    }
    EXPECT_EQ(changes, 1U);
    // Between the two thresholds it stays for ever.
    for (std::uint64_t ms = 60'000; ms < 90'000; ms += 100) {
        changes += ladder.look(spool_at(65), at_ms(ms)) ? 1 : 0;
    }
    EXPECT_EQ(changes, 1U);
    EXPECT_EQ(ladder.rung(), Rung::degraded);
}

TEST(Ladder, LooksAtBuffersAndAtStallsToo) {
    const LadderConfig config{.dwell_ms = 1000};
    Ladder short_of_buffers(config);
    EXPECT_FALSE(short_of_buffers.look({.buffers_free_percent = 6}, at_ms(0)));
    EXPECT_TRUE(short_of_buffers.look({.buffers_free_percent = 5}, at_ms(0)));
    EXPECT_EQ(short_of_buffers.rung(), Rung::degraded);
    EXPECT_FALSE(short_of_buffers.look({.buffers_free_percent = 15}, at_ms(5000)));
    EXPECT_FALSE(short_of_buffers.look({.buffers_free_percent = 15}, at_ms(9000)));

    Ladder stalled(config);
    EXPECT_FALSE(stalled.look({.stalled_ms = 249}, at_ms(0)));
    EXPECT_TRUE(stalled.look({.stalled_ms = 250}, at_ms(1)));
    EXPECT_TRUE(stalled.look({.stalled_ms = 5000}, at_ms(2)));
    EXPECT_EQ(stalled.rung(), Rung::critical);
    // Short stalls, as under any flood, do not hold it.
    EXPECT_FALSE(stalled.look({.stalled_ms = 20}, at_ms(100)));
    EXPECT_TRUE(stalled.look({.stalled_ms = 20}, at_ms(1100)));
    EXPECT_TRUE(stalled.look({.stalled_ms = 20}, at_ms(2100)));
    EXPECT_EQ(stalled.rung(), Rung::healthy);

    LadderConfig deaf = config;
    deaf.degraded_buffers_free_percent = 0;
    deaf.degraded_stall_ms = deaf.critical_stall_ms = 0;
    Ladder none(deaf);
    EXPECT_FALSE(none.look({.spool_percent = 0, .buffers_free_percent = 0, .stalled_ms = 1'000'000}, at_ms(0)));
}

TEST(Ladder, SaysWhatEachRungLeavesOutAndNothingWhenItIsSwitchedOff) {
    Ladder ladder(LadderConfig{});
    EXPECT_EQ(ladder.effects(), LadderEffects{});
    ASSERT_TRUE(ladder.look(spool_at(70), at_ms(0)));
    EXPECT_EQ(ladder.effects(), (LadderEffects{.enrich = false, .linger_us_min = 2000, .sheds_best_effort = false}));
    ASSERT_TRUE(ladder.look(spool_at(90), at_ms(0)));
    EXPECT_EQ(ladder.effects(), (LadderEffects{.enrich = false, .linger_us_min = 2000, .sheds_best_effort = true}));
    ladder.configure(LadderConfig{.enabled = false});
    EXPECT_TRUE(ladder.look(spool_at(100), at_ms(1)));
    EXPECT_EQ(ladder.rung(), Rung::healthy);
}

TEST(Ladder, TakesWhatTheDiskHasLeftForTheSpoolsRoomWhereThatIsLess) {
    constexpr std::uint64_t mib = 1U << 20;
    EXPECT_EQ(spool_fill_percent(0, 0, 100 * mib, UINT64_MAX), 0U);
    EXPECT_EQ(spool_fill_percent(50 * mib, 64 * mib, 100 * mib, UINT64_MAX), 49U);
    EXPECT_EQ(spool_fill_percent(100 * mib, 128 * mib, 100 * mib, UINT64_MAX), 100U);
    // 16 MiB left beside 64 held: 80 in all.
    EXPECT_EQ(spool_fill_percent(60 * mib, 64 * mib, 100 * mib, 16 * mib), 74U);
    // The disk is full; what is held and not needed can still be had.
    EXPECT_EQ(spool_fill_percent(8 * mib, 64 * mib, 100 * mib, 0), 12U);
    EXPECT_EQ(spool_fill_percent(64 * mib, 64 * mib, 100 * mib, 0), 100U);
    EXPECT_EQ(spool_fill_percent(0, 0, 0, 0), 100U);
}

EdgeConfig config_with_ladder(const std::string& directory) {
    EdgeConfig config = IntakeBench::config_at(directory);
    config.ladder.dwell_ms = 1000;
    return config;
}

// Until the spool gives nothing back: every batch buffer is used, and the next vector waits.
void stall(IntakeBench& bench, TestProducer& producer) {
    bench.is_durable_at_once = false;
    for (int n = 0; bench.counters.stalls.get() == 0; ++n) {
        ASSERT_LT(n, 1000);
        producer.send_event("stall-" + std::to_string(n), 0, std::string(60'000, ' ') + "{}");
    }
}

TEST(Intake, TellsItsRungInAcksWhenItStallsAndWhenItRecovers) {
    IntakeDirectory directory;
    IntakeBench bench(config_with_ladder(directory.path));
    TestProducer producer(bench);
    TestProducer idle(bench);
    producer.hello(wire::AckLevel::spooled);
    idle.hello(wire::AckLevel::spooled);
    producer.send_event("first");
    ASSERT_TRUE(producer.wait_acked(1));
    EXPECT_EQ(producer.rung, Rung::healthy);

    stall(bench, producer);
    bench.step();
    bench.added_ns += 6 * ns_per_second;
    // A producer that has nothing to be acked hears of it too.
    ASSERT_TRUE(bench.step_until([&] { return idle.look() && idle.rung == Rung::critical; }));
    EXPECT_EQ(bench.counters.rung.get(), 2U);
    EXPECT_EQ(bench.counters.rung_changes[2].get(), 1U);

    bench.is_durable_at_once = true;
    const auto recovers_to = [&](Rung rung) {
        return bench.step_until([&] {
            bench.added_ns += 50 * ns_per_ms;
            return idle.look() && idle.rung == rung;
        });
    };
    ASSERT_TRUE(recovers_to(Rung::degraded));
    ASSERT_TRUE(recovers_to(Rung::healthy));
    EXPECT_EQ(bench.counters.rung_changes[0].get(), 1U);
    EXPECT_EQ(bench.counters.rung_changes[1].get(), 1U);
}

TEST(Intake, LetsItsBatchesLingerWhileItIsNotHealthy) {
    IntakeDirectory directory;
    EdgeConfig config = config_with_ladder(directory.path);
    config.ladder.linger_us = 900'000;
    IntakeBench bench(config);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    stall(bench, producer);
    bench.step();
    bench.added_ns += 6 * ns_per_second;
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.rung.get() == 2; }));
    bench.is_durable_at_once = true;
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == bench.counters.offered.get(); }));
    bench.added_ns += ns_per_second;
    for (int i = 0; i < 20; ++i) bench.step();
    const std::size_t before = bench.stored.size();
    producer.send_event("lingers");
    for (int i = 0; i < 20; ++i) bench.step();
    EXPECT_EQ(bench.stored.size(), before);
    bench.added_ns += ns_per_second;
    ASSERT_TRUE(bench.step_until([&] { return bench.stored.size() > before; }));
}

}  // namespace
}  // namespace weir::edge::test
