#include "core/io/thread_bell.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace weir::io {
namespace {

// Two threads hand a number to and fro, each asleep whenever it is not its turn: one ring that is lost and both sleep to the end.
TEST(ThreadBell, NoRingIsLostHoweverSleepAndRingMeet) {
    constexpr std::uint64_t rounds = 30'000;
    constexpr std::uint64_t lost_ns = 10 * ns_per_second;
    ThreadBell bells[2];
    std::atomic<std::uint64_t> number{0};
    std::atomic<int> lost{0};
    const auto play = [&](std::uint64_t side) {
        const auto is_mine = [&] { return number.load(std::memory_order_acquire) % 2 == side; };
        while (number.load(std::memory_order_relaxed) < rounds && lost == 0) {
            const MonotonicNs until = monotonic_now().plus_ns(lost_ns);
            while (!is_mine() && lost == 0) {
                bells[side].prepare_sleep();
                if (is_mine()) {
                    bells[side].end_sleep();
                    break;
                }
                bells[side].sleep(until);
                if (monotonic_now() >= until) ++lost;
            }
            number.fetch_add(1, std::memory_order_release);
            bells[1 - side].ring();
        }
    };
    std::thread other(play, 1);
    play(0);
    other.join();
    EXPECT_EQ(lost, 0);
}

TEST(ThreadBell, WithoutARingItSleepsToItsTime) {
    ThreadBell bell;
    bell.ring();  // it is awake: nothing is kept for later
    const MonotonicNs until = monotonic_now().plus_ns(20 * ns_per_ms);
    bell.prepare_sleep();
    bell.sleep(until);
    EXPECT_GE(monotonic_now(), until);
    bell.prepare_sleep();
    bell.ring();
    bell.sleep(monotonic_now().plus_ns(60 * ns_per_second));  // returns at once
    EXPECT_LT(monotonic_now(), until.plus_ns(50 * ns_per_second));
}

}  // namespace
}  // namespace weir::io
