#include "edge/spool/return_plan.hpp"

#include <gtest/gtest.h>

#include <random>

namespace weir::edge {
namespace {

constexpr ReturnPlan::Options usual{.return_ms = 30'000, .return_stable_ms = 10'000, .seed = 1};
constexpr std::uint16_t one_life = 7;
constexpr MonotonicNs ms(std::uint64_t value) {
    return {value * ns_per_ms};
}

// Lets time pass in steps of 10 ms until it asks, for `limit_ms` at most; the time of the ask, or 0.
std::uint64_t next_ask(ReturnPlan& plan, std::uint64_t now_ms, std::uint64_t limit_ms, std::size_t expected) {
    for (const std::uint64_t end = now_ms + limit_ms; now_ms < end; now_ms += 10) {
        if (const auto index = plan.ask(ms(now_ms))) {
            EXPECT_EQ(*index, expected);
            return now_ms;
        }
    }
    return 0;
}
// A trial that always has an answer: asks until the plan says to go; when that is.
std::uint64_t trial(ReturnPlan& plan, std::uint64_t asked_ms, std::size_t expected, int& asks) {
    asks = 1;
    while (!plan.answered(one_life, ms(asked_ms))) {
        asked_ms = next_ask(plan, asked_ms, 1'000'000, expected);
        if (asked_ms == 0 || asks > 100) return 0;
        ++asks;
    }
    return asked_ms;
}

TEST(ReturnPlan, NobodyIsAskedFromTheMostPreferredOrWithoutASession) {
    ReturnPlan plan(usual);
    EXPECT_EQ(next_ask(plan, 0, 200'000, 0), 0U);
    plan.settled(0, ms(1000));
    EXPECT_EQ(next_ask(plan, 1000, 200'000, 0), 0U);
    plan.settled(1, ms(1000));
    plan.lost(ms(2000));
    EXPECT_EQ(next_ask(plan, 2000, 200'000, 0), 0U);
}

TEST(ReturnPlan, GoesBackOnlyAfterFourAnswersOverTheWholeStableTime) {
    ReturnPlan plan(usual);
    plan.settled(1, ms(1000));
    const std::uint64_t began = next_ask(plan, 1000, 100'000, 0);
    EXPECT_GE(began, 16'000U);
    EXPECT_LE(began, 31'000U);
    int asks = 0;
    const std::uint64_t ended = trial(plan, began, 0, asks);
    EXPECT_GE(ended - began, 10'000U);
    EXPECT_LE(ended - began, 10'100U);
    EXPECT_EQ(asks, 4);
    EXPECT_EQ(plan.target(), 0U);
}

TEST(ReturnPlan, OneMissingAnswerBeginsAnew) {
    ReturnPlan plan(usual);
    plan.settled(1, ms(1000));
    std::uint64_t now_ms = next_ask(plan, 1000, 100'000, 0);
    for (int answer = 0; answer < 3; ++answer) {
        EXPECT_FALSE(plan.answered(one_life, ms(now_ms)));
        now_ms = next_ask(plan, now_ms, 100'000, 0);
    }
    EXPECT_FALSE(plan.answered(std::nullopt, ms(now_ms)));
    const std::uint64_t again = next_ask(plan, now_ms, 100'000, 0);
    EXPECT_GE(again - now_ms, 15'000U);
    int asks = 0;
    EXPECT_GE(trial(plan, again, 0, asks) - again, 10'000U);
    EXPECT_EQ(asks, 4);
}

// It was down for less than the time between two asks: each had its answer.
TEST(ReturnPlan, AnAnswerOfAnotherLifeEndsTheTrial) {
    ReturnPlan plan(usual);
    plan.settled(1, ms(1000));
    std::uint64_t now_ms = next_ask(plan, 1000, 100'000, 0);
    for (std::uint16_t life = 1; life <= 20; ++life) {
        EXPECT_FALSE(plan.answered(life, ms(now_ms)));
        const std::uint64_t asked_ms = next_ask(plan, now_ms, 4000, 0);
        ASSERT_GT(asked_ms, 0U);
        EXPECT_FALSE(plan.answered(life + 100, ms(asked_ms)));
        now_ms = next_ask(plan, asked_ms, 100'000, 0);
        EXPECT_GE(now_ms - asked_ms, 15'000U);
    }
    int asks = 0;
    EXPECT_GE(trial(plan, now_ms, 0, asks) - now_ms, 10'000U);
    EXPECT_EQ(asks, 4);
}

TEST(ReturnPlan, OneThatIsStartedAgainAndAgainDoesNotKeepTheNextFromBeingAsked) {
    ReturnPlan plan(usual);
    plan.settled(2, ms(1000));
    std::uint64_t now_ms = next_ask(plan, 1000, 100'000, 0);
    EXPECT_FALSE(plan.answered(1, ms(now_ms)));
    now_ms = next_ask(plan, now_ms, 100'000, 0);
    EXPECT_FALSE(plan.answered(2, ms(now_ms)));
    EXPECT_EQ(next_ask(plan, now_ms, 10, 1), now_ms);
    int asks = 0;
    EXPECT_GT(trial(plan, now_ms, 1, asks), now_ms);
    EXPECT_EQ(plan.target(), 1U);
}

TEST(ReturnPlan, AsksTheNextPreferredWhenTheFirstIsSilent) {
    ReturnPlan plan(usual);
    plan.settled(2, ms(1000));
    const std::uint64_t first = next_ask(plan, 1000, 100'000, 0);
    EXPECT_FALSE(plan.answered(std::nullopt, ms(first)));
    EXPECT_EQ(next_ask(plan, first, 10, 1), first);
    EXPECT_FALSE(plan.answered(std::nullopt, ms(first)));
    // Each no more often than return_ms with its jitter.
    EXPECT_GE(next_ask(plan, first, 100'000, 0) - first, 15'000U);
}

TEST(ReturnPlan, EachReturnThatDoesNotLastDoublesTheTimesUpToABoundAndOneThatLastsSetsThemBack) {
    ReturnPlan plan(usual);
    std::uint64_t now_ms = 1000;
    for (std::uint32_t losses = 0; losses < 7; ++losses) {
        const std::uint64_t factor = 1ULL << std::min(losses, 4U);
        plan.settled(1, ms(now_ms));
        const std::uint64_t began = next_ask(plan, now_ms, 600'000, 0);
        EXPECT_GE(began - now_ms, 15'000 * factor);
        EXPECT_LE(began - now_ms, 30'010 * factor);
        int asks = 0;
        now_ms = trial(plan, began, 0, asks);
        EXPECT_GE(now_ms - began, 10'000 * factor);
        EXPECT_EQ(asks, 4);
        plan.settled(0, ms(now_ms));
        // Lost at once, or before a session came about, is the same.
        now_ms += 59'000;
        plan.lost(ms(now_ms));
    }
    plan.settled(1, ms(now_ms));
    int asks = 0;
    now_ms = trial(plan, next_ask(plan, now_ms, 600'000, 0), 0, asks);
    plan.settled(0, ms(now_ms));
    plan.lost(ms(now_ms + 60'000));
    EXPECT_EQ(plan.doublings(), 0U);
    plan.settled(1, ms(now_ms));
    now_ms = trial(plan, next_ask(plan, now_ms, 600'000, 0), 0, asks);
    plan.lost(ms(now_ms));  // no session came about
    EXPECT_EQ(plan.doublings(), 1U);
}

// The laws, whatever happens: never two asks at once, never sooner than the plan said, and a return only after a whole stable time.
TEST(ReturnPlan, KeepsItsLawsWhateverTheAnswers) {
    int returns = 0;
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        std::mt19937 random(seed);
        ReturnPlan plan({.return_ms = 300, .return_stable_ms = random() % 200, .seed = seed});
        std::uint64_t now_ms = 1000, answered_since = 0;
        std::size_t current = 0;
        bool is_asked = false;
        for (int step = 0; step < 2000; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            now_ms += random() % 40;
            if (is_asked) {
                ASSERT_FALSE(plan.ask(ms(now_ms)));
                is_asked = false;
                const bool is_there = random() % 8 != 0;
                if (!is_there) answered_since = 0;
                if (is_there && answered_since == 0) answered_since = now_ms;
                if (plan.answered(is_there ? std::optional(one_life) : std::nullopt, ms(now_ms))) {
                    ASSERT_TRUE(is_there);
                    ASSERT_LT(*plan.target(), current);
                    ++returns;
                    current = *plan.target();
                    plan.settled(current, ms(now_ms));
                    answered_since = 0;
                }
            } else if (random() % 100 == 0) {
                plan.lost(ms(now_ms));
                current = random() % 4;
                plan.settled(current, ms(now_ms));
                answered_since = 0;
            } else if (const auto index = plan.ask(ms(now_ms))) {
                ASSERT_LT(*index, current);
                is_asked = true;
            } else if (current > 0) {
                ASSERT_GT(plan.next_at(), ms(now_ms));
            }
        }
    }
    EXPECT_GT(returns, 100);
}

}  // namespace
}  // namespace weir::edge
