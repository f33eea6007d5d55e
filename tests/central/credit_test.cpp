#include "central/ingest/credit.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "central/ingest/hello_pace.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t floor_bytes = 1000;
constexpr CreditShare::Options options{
    .total = 20 * floor_bytes, .floor = floor_bytes, .connection_max = 8 * floor_bytes, .connections_max = 10};

// Sends all it may and gets it done, until it is granted no more than before.
void run_until_steady(CreditShare& share, std::vector<CreditAccount*> accounts) {
    for (int round = 0; round < 100; ++round) {
        for (CreditAccount* one : accounts) {
            const std::uint64_t bytes = one->granted - one->used;
            ASSERT_TRUE(CreditShare::use(*one, bytes));
            share.done(*one, bytes);
            static_cast<void>(share.grant(*one));
        }
    }
}

TEST(CreditShare, AnEdgeAloneGrowsToItsOwnLimitAndAnIdleOneHasOnlyItsLargestBatch) {
    CreditShare share(options);
    CreditAccount busy, idle;
    share.open(busy);
    share.open(idle);
    run_until_steady(share, {&busy});
    EXPECT_EQ(busy.on_the_way(), 6 * floor_bytes);  // half of the rest, and its own
    EXPECT_EQ(idle.on_the_way(), floor_bytes);
    share.close(idle);
    run_until_steady(share, {&busy});
    EXPECT_EQ(busy.on_the_way(), 8 * floor_bytes);
}

TEST(CreditShare, WhoComesLaterGetsAsMuchOnceTheOthersHaveUsedWhatTheyHad) {
    CreditShare share(options);
    std::vector<CreditAccount> all(10);
    std::vector<CreditAccount*> present;
    for (CreditAccount& one : all) {
        share.open(one);
        present.push_back(&one);
        run_until_steady(share, present);
    }
    for (const CreditAccount& one : all) EXPECT_EQ(one.on_the_way(), 2 * floor_bytes);
}

// The model: for each connection the words it was told and what it sent; no word less than the one before it, all that was told and is
// not done within the total, and always room for a largest batch for who has nothing on its way.
TEST(CreditShare, NeverTakesBackAndNeverExceedsItsTotal) {
    struct Told {
        CreditAccount account;
        std::uint64_t credit = 0, sent = 0, done = 0;
        bool is_here = false;
    };
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        std::mt19937 random(seed);
        CreditShare share(options);
        std::vector<Told> all(options.connections_max);
        std::uint64_t most = 0;
        for (int step = 0; step < 4000; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            Told& one = all[random() % all.size()];
            if (!one.is_here) {
                one = Told{};
                one.is_here = true;
                share.open(one.account);
                one.credit = one.account.granted;
            } else if (random() % 200 == 0) {
                share.close(one.account);
                one.is_here = false;
            } else if (random() % 2 == 0) {
                const std::uint64_t bytes = random() % (one.credit - one.sent + 2);
                ASSERT_EQ(CreditShare::use(one.account, bytes), one.sent + bytes <= one.credit);
                if (one.sent + bytes <= one.credit) one.sent += bytes;
            } else {
                const std::uint64_t bytes = one.sent == one.done ? 0 : random() % (one.sent - one.done + 1);
                share.done(one.account, bytes);
                one.done += bytes;
                static_cast<void>(share.grant(one.account));
                ASSERT_GE(one.account.granted, one.credit);
                one.credit = one.account.granted;
                ASSERT_GE(one.credit - one.done, floor_bytes);
                ASSERT_LE(one.credit - one.done, options.connection_max);
            }
            std::uint64_t sum = 0;
            for (const Told& each : all) sum += each.is_here ? each.credit - each.done : 0;
            ASSERT_LE(sum, options.total);
            most = std::max(most, sum);
        }
        EXPECT_GT(most, options.total * 3 / 4) << "seed " << seed;  // the bound was felt
    }
}

TEST(HelloPace, AdmitsATenthOfASecondAtOnceAndThenItsRate) {
    HelloPace pace(1000);
    MonotonicNs now{5 * ns_per_second};
    int admitted = 0;
    while (pace.admit(now)) ++admitted;
    EXPECT_EQ(admitted, 100);
    for (int ms = 1; ms <= 2000; ++ms)
        admitted += pace.admit({now.value + static_cast<std::uint64_t>(ms) * ns_per_ms}) ? 1 : 0;
    EXPECT_EQ(admitted, 2100);
    EXPECT_FALSE(pace.admit({now.value + 2000 * ns_per_ms}));
}

TEST(HelloPace, ACrowdThatComesAtTheTurnsItWasToldIsAdmittedAtTheFullRate) {
    HelloPace pace(2000);
    const MonotonicNs now{5 * ns_per_second};
    std::vector<std::uint64_t> turns;
    while (pace.admit(now)) {
    }
    for (int i = 0; i < 800; ++i) turns.push_back(pace.take_turn(now));
    for (int i = 0; i < 2000; ++i) static_cast<void>(pace.take_turn(now));
    for (const std::uint64_t turn : turns) EXPECT_TRUE(pace.admit(now.plus_ns(turn)));
    EXPECT_EQ(turns.back(), 800 * ns_per_second / 2000);
    // Nobody used the rest: the next one that is refused does not come behind them.
    const MonotonicNs later{now.value + 4 * ns_per_second};
    while (pace.admit(later)) {
    }
    EXPECT_EQ(pace.take_turn(later), ns_per_second / 2000);
    // More than can be promised: none is told to stay away for longer than so.
    for (int i = 0; i < 30'000; ++i) EXPECT_LE(pace.take_turn(now), HelloPace::turn_ns_max);
}

}  // namespace
}  // namespace weir::central
