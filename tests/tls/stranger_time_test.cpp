#include "core/tls/stranger_time.hpp"

#include <gtest/gtest.h>

#include <random>

namespace weir::tls {
namespace {

TEST(StrangerTimeTest, TakesItsShareOfAnyStretchAndNoMore) {
    std::mt19937_64 dice(7);
    for (const std::uint32_t share : {1U, 10U, 20U, 100U}) {
        StrangerTime time(share, ns_per_ms);
        MonotonicNs now{5 * ns_per_second};
        static_cast<void>(time.has_room(now));
        std::uint64_t spent = 0;
        const MonotonicNs begin = now;
        while (now < begin.plus_ns(10 * ns_per_second)) {
            if (time.has_room(now)) {
                const std::uint64_t piece = 1 + dice() % ns_per_ms;
                time.spend(piece);
                spent += piece;
                now = now.plus_ns(piece);
            } else {
                ASSERT_GT(time.next_room(), now);
                now = time.next_room();
                ASSERT_TRUE(time.has_room(now));  // so a wait until then is not in vain
            }
        }
        const std::uint64_t passed = now.since(begin);
        EXPECT_LE(spent, passed * share / 100 + 2 * ns_per_ms) << share;
        EXPECT_GE(spent, passed * share / 100 * 9 / 10) << share;
    }
}

TEST(StrangerTimeTest, AnHourWithoutStrangersIsNoReserve) {
    StrangerTime time(20, ns_per_ms);
    MonotonicNs now{3600 * ns_per_second};
    int pieces = 0;
    while (time.has_room(now)) {
        time.spend(100 * ns_per_us);
        ++pieces;
    }
    EXPECT_EQ(pieces, 10);
}

TEST(StrangerTimeTest, ALongStallIsNotPaidForByEveryoneWhoComes) {
    StrangerTime time(20, ns_per_ms);
    const MonotonicNs now{ns_per_second};
    ASSERT_TRUE(time.has_room(now));
    for (int i = 0; i < 100; ++i) time.spend(10 * ns_per_second);
    EXPECT_TRUE(time.has_room(now.plus_ns(10 * StrangerTime::piece_ns_max + ns_per_ms)));
}

}  // namespace
}  // namespace weir::tls
