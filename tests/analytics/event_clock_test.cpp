#include "central/analytics/event_clock.hpp"

#include <gtest/gtest.h>

#include "tests/simulation/random.hpp"

namespace weir::analytics::test {
namespace {

constexpr std::uint64_t second = ns_per_second;
constexpr std::uint64_t minute = 60 * second;
constexpr std::uint64_t year = 365 * 24 * 3600 * second;
constexpr std::uint64_t start = 1'700'000'000 * second;

struct ClockBench {
    EventClock clock{EventClockSpec{}};
    std::uint64_t now = start;
    std::uint64_t tick(std::uint64_t step_ns) {
        now += step_ns;
        clock.arrive({now});
        return clock.advance();
    }
    EventClock::Dated hear(std::string_view source, std::uint64_t time_ns) {
        clock.arrive({now});
        const auto dated = clock.date(source, {time_ns});
        static_cast<void>(clock.advance());
        return dated;
    }
};

}  // namespace

TEST(EventClock, TheSlowestOfTheSourcesThatKeepPaceHoldsTheWatermark) {
    ClockBench bench;
    for (int index = 0; index < 100; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
        bench.hear("south", bench.now - 3 * second);
    }
    EXPECT_EQ(bench.clock.watermark(), bench.now - 5 * second);
}

TEST(EventClock, ASilentSourceHoldsNothingAfterItsTimeAndMissesNothingWhenItIsBackInTime) {
    ClockBench bench;
    for (int index = 0; index < 10; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
        bench.hear("south", bench.now);
    }
    const std::uint64_t silent_from = bench.now;
    for (int index = 0; index < 29; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
    }
    EXPECT_EQ(bench.clock.watermark(), silent_from - 2 * second);
    for (int index = 0; index < 3; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
    }
    EXPECT_EQ(bench.clock.watermark(), bench.now - 2 * second);
    bench.hear("south", bench.now);
    bench.tick(second);
    bench.hear("north", bench.now);
    EXPECT_EQ(bench.clock.watermark(), bench.now - 3 * second) << "south holds it again";
}

TEST(EventClock, WithAllSourcesSilentTicksLetTimePass) {
    ClockBench bench;
    bench.hear("north", bench.now);
    for (int index = 0; index < 6; ++index) bench.tick(10 * second);
    EXPECT_EQ(bench.clock.watermark(), bench.now - 2 * second);
    // Also when nobody ever said a time.
    ClockBench unsaid;
    EXPECT_EQ(unsaid.hear("north", 0).dating, Dating::by_arrival_unsaid);
    unsaid.tick(minute);
    EXPECT_EQ(unsaid.clock.watermark(), unsaid.now - 2 * second);
}

TEST(EventClock, AClockTenYearsAheadCountsAtArrivalAndMovesNobodysWatermark) {
    ClockBench alone;
    ClockBench disturbed;
    for (int index = 0; index < 300; ++index) {
        alone.tick(second);
        alone.hear("north", alone.now - second);
        disturbed.tick(second);
        const auto dated = disturbed.hear("broken", disturbed.now + 10 * year);
        EXPECT_EQ(dated.time_ns, disturbed.now);
        EXPECT_EQ(dated.dating, Dating::by_arrival_future);
        disturbed.hear("north", disturbed.now - second);
        ASSERT_EQ(alone.clock.watermark(), disturbed.clock.watermark());
    }
    EXPECT_EQ(disturbed.clock.counts().future, 300U);
}

TEST(EventClock, AClockThatStandsHoldsNobodyForLongAndIsThenDatedByArrival) {
    ClockBench bench;
    const std::uint64_t stands_at = bench.now;
    for (int index = 1; index <= 700; ++index) {
        bench.tick(second);
        const auto dated = bench.hear("stands", stands_at);
        bench.hear("north", bench.now);
        if (index > 32) {
            ASSERT_EQ(bench.clock.watermark(), bench.now - 2 * second) << index;
        }
        const bool is_known = index > 601;  // standing_ns_max after its first event
        ASSERT_EQ(dated.dating, is_known ? Dating::by_arrival_standing : Dating::as_said) << index;
        ASSERT_EQ(dated.time_ns, is_known ? bench.now : stands_at);
    }
}

TEST(EventClock, ABacklogHoldsTheWatermarkForNoLongerThanItMayAndJoinsWhenItHasCaughtUp) {
    ClockBench bench;
    for (int index = 0; index < 10; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
    }
    std::uint64_t behind = bench.now - 3600 * second;
    for (int index = 0; index < 20; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
        bench.hear("south", behind += minute);
        if (index > 5) {
            ASSERT_EQ(bench.clock.watermark(), bench.now - 2 * second);
        }
    }
    while (behind < bench.now) {
        bench.tick(second);
        bench.hear("north", bench.now);
        bench.hear("south", behind += minute);
    }
    bench.tick(minute / 6);
    bench.hear("north", bench.now);
    EXPECT_LE(bench.clock.watermark(), behind - 2 * second) << "south holds it";
}

TEST(EventClock, ASourceWhoseClockWasSetBackJoinsAgain) {
    ClockBench bench;
    for (int index = 0; index < 100; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
        bench.hear("south", bench.now + 200 * second);  // ahead, within future_ns_max
    }
    for (int index = 0; index < 400; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
        bench.hear("south", bench.now);
    }
    bench.tick(20 * second);
    bench.hear("north", bench.now);
    EXPECT_EQ(bench.clock.watermark(), bench.now - 22 * second) << "south holds it";
}

TEST(EventClock, CentralsOwnClockMayJump) {
    ClockBench bench;
    for (int index = 0; index < 10; ++index) {
        bench.tick(second);
        bench.hear("north", bench.now);
        bench.hear("south", bench.now);
    }
    const std::uint64_t before = bench.clock.watermark();
    bench.clock.arrive({bench.now - 3 * 24 * 3600 * second});
    EXPECT_EQ(bench.clock.advance(), before) << "set back";
    bench.clock.arrive({bench.now});
    // Set ahead: one step counts at most step_ns_max, so that what is on time then is not late by days.
    bench.clock.arrive({bench.now + 3 * 24 * 3600 * second});
    EXPECT_LE(bench.clock.advance(), before + 2 * 3600 * second);
}

TEST(EventClock, SourcesAreBoundedAndStateReloadsToTheSameBytes) {
    EventClockSpec spec;
    spec.sources_max = 4;
    sim::Random random(7);
    EventClock straight(spec);
    EventClock reloaded(spec);
    std::uint64_t now = start;
    std::uint64_t last = 0;
    for (int index = 0; index < 2000; ++index) {
        now += random.below(40) * second / 4;
        const std::string source = "edge-" + std::to_string(random.below(6));
        const std::uint64_t said =
            random.chance(100) ? 0 : now + random.below(20 * second) - random.below(600 * second);
        for (EventClock* clock : {&straight, &reloaded}) {
            clock->arrive({now});
            static_cast<void>(clock->date(source, {said}));
        }
        const std::uint64_t watermark = straight.advance();
        ASSERT_EQ(watermark, reloaded.advance());
        ASSERT_GE(watermark, last);
        last = watermark;
        StateWriter one;
        straight.save(one);
        StateWriter two;
        reloaded.save(two);
        ASSERT_EQ(one.bytes(), two.bytes());
        if (index % 10 != 0) continue;
        reloaded = EventClock(spec);
        StateReader in(two.bytes());
        reloaded.load(in);
        ASSERT_TRUE(in.is_done());
    }
    EXPECT_GT(straight.counts().sources_forgotten, 0U);
}

}  // namespace weir::analytics::test
