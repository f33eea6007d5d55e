#include "edge/flash_budget.hpp"

#include <gtest/gtest.h>

namespace weir::edge {
namespace {

constexpr std::uint64_t second = ns_per_second;
constexpr std::uint64_t hour = 3600 * second;
constexpr std::uint64_t midnight = 20'000 * 24 * hour;  // of some day
constexpr std::uint64_t mib = 1U << 20;

// A day of an edge: time, bytes and events are what the test says.
struct Day {
    explicit Day(std::uint64_t limit_bytes, std::uint64_t begins_at = midnight)
        : budget(limit_bytes), wall_ns(begins_at) {}
    bool pass(std::uint64_t ns, std::uint64_t bytes_per_s, std::uint64_t events_per_s = 0) {
        bool has_changed = false;
        for (std::uint64_t passed = 0; passed < ns; passed += 10 * second) {
            now_ns += 10 * second;
            wall_ns += 10 * second;
            written += 10 * bytes_per_s;
            events += 10 * events_per_s;
            has_changed = look() || has_changed;
        }
        return has_changed;
    }
    bool look() {
        return budget.look(
            {.now = MonotonicNs{now_ns}, .wall = WallNs{wall_ns}, .written_bytes = written, .events = events});
    }
    FlashBudget budget;
    std::uint64_t now_ns = 1;
    std::uint64_t wall_ns;
    std::uint64_t written = 0;
    std::uint64_t events = 0;
};

TEST(FlashBudget, ADayGoesOnAsItsLastHourDid) {
    Day day(0);
    ASSERT_FALSE(day.look());
    day.pass(6 * hour, 1000, 10);
    const FlashCounters& counters = day.budget.counters();
    EXPECT_EQ(counters.today_bytes.get(), 6U * 3600 * 1000);
    EXPECT_NEAR(static_cast<double>(counters.projected_bytes.get()), 24.0 * 3600 * 1000, 1000.0);
    EXPECT_EQ(counters.event_bytes.get(), 100U);
    day.pass(2 * hour, 0);
    EXPECT_EQ(counters.projected_bytes.get(), counters.today_bytes.get()) << "nothing was written for an hour";
    EXPECT_FALSE(day.budget.is_over()) << "there is no limit";
}

TEST(FlashBudget, IsOverOnceTheDayIsOnCoursePastItsLimitAndSaysSoOnce) {
    Day day(1000 * mib);
    ASSERT_FALSE(day.look());
    EXPECT_FALSE(day.pass(3 * hour, 10'000)) << "824 MiB in a day";
    EXPECT_TRUE(day.pass(hour, 20'000));
    EXPECT_TRUE(day.budget.is_over());
    EXPECT_FALSE(day.pass(hour, 20'000)) << "it was said";
    EXPECT_TRUE(day.pass(3 * hour, 1000));
    EXPECT_FALSE(day.budget.is_over());
}

TEST(FlashBudget, WhatAStartWritesIsNotTakenForTheDaysRate) {
    Day day(1000 * mib);
    day.written = 100 * mib;  // files made ready
    EXPECT_FALSE(day.look());
    EXPECT_FALSE(day.pass(6 * hour, 100));
    EXPECT_EQ(day.budget.counters().today_bytes.get(), 100 * mib + 6U * 3600 * 100);
}

TEST(FlashBudget, IsOverAtOnceWhenTheDayIsPastItsLimitAlready) {
    Day day(100 * mib);
    day.written = 101 * mib;
    EXPECT_TRUE(day.look());
    EXPECT_TRUE(day.budget.is_over());
}

TEST(FlashBudget, ANewDayBeginsAtMidnight) {
    Day day(1000 * mib, midnight + 23 * hour);
    ASSERT_FALSE(day.look());
    day.pass(hour - 10 * second, mib, 1);
    EXPECT_TRUE(day.budget.is_over());
    const std::uint64_t yesterday = day.written;
    EXPECT_TRUE(day.pass(10 * second, 0) || day.pass(2 * hour, 0));
    EXPECT_EQ(day.budget.counters().today_bytes.get(), day.written - yesterday);
    EXPECT_FALSE(day.budget.is_over());
    EXPECT_EQ(day.budget.counters().event_bytes.get(), 0U);
}

}  // namespace
}  // namespace weir::edge
