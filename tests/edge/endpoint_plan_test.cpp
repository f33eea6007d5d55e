#include "edge/spool/endpoint_plan.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>
#include <vector>

namespace weir::edge {
namespace {

EndpointPlan::Options options_of(std::size_t endpoints, std::uint64_t seed = 1) {
    return {.endpoints = endpoints,
            .pause_ms_min = 100,
            .pause_ms_max = 10'000,
            .breaker_failures = 5,
            .breaker_ms = 5000,
            .seed = seed};
}

// The model: for each central its failures in a row and when it is due again, told from the plan's pauses alone; which ones were
// tried in this round; and the list of pauses that rounds without a proof cost.
struct Model {
    struct Central {
        std::uint32_t failures = 0;
        bool is_open = false;
        std::uint64_t due_from_ms = 0, due_to_ms = 0;  // jitter: somewhere in between
    };
    std::vector<Central> centrals;
    std::set<std::size_t> tried;
    std::size_t rounds = 0;

    [[nodiscard]] std::set<std::size_t> surely_not_open(std::uint64_t now_ms) const {
        std::set<std::size_t> found;
        for (std::size_t i = 0; i < centrals.size(); ++i) {
            if (!centrals[i].is_open || now_ms >= centrals[i].due_to_ms) found.insert(i);
        }
        return found;
    }
    [[nodiscard]] std::set<std::size_t> surely_open(std::uint64_t now_ms) const {
        std::set<std::size_t> found;
        for (std::size_t i = 0; i < centrals.size(); ++i) {
            if (centrals[i].is_open && now_ms < centrals[i].due_from_ms) found.insert(i);
        }
        return found;
    }
};

TEST(EndpointPlan, ChoosesAsAListOfCentralsWithFailuresAndTimesDoes) {
    int all_open = 0, passed_over = 0, new_rounds = 0;
    for (std::uint32_t seed = 1; seed <= 60; ++seed) {
        std::mt19937 random(seed);
        EndpointPlan::Options options = options_of(1 + random() % 4, seed);
        options.pause_ms_min = 1 + random() % 200;
        options.pause_ms_max = options.pause_ms_min + random() % 20'000;
        options.breaker_failures = 1 + static_cast<std::uint32_t>(random() % 5);
        options.breaker_ms = 1 + random() % 8000;
        EndpointPlan plan(options);
        Model model;
        model.centrals.resize(options.endpoints);
        std::uint64_t now_ms = 1000;
        for (int step = 0; step < 500; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            now_ms += random() % 3 == 0 ? random() % 6000 : random() % 50;
            const MonotonicNs now{now_ms * ns_per_ms};
            const std::size_t at = plan.endpoint();
            Model::Central& central = model.centrals[at];
            const auto open = [&](std::uint64_t ms) {
                central.is_open = true;
                central.due_from_ms = now_ms + ms - ms / 2;
                central.due_to_ms = now_ms + ms;
            };
            const auto count = [&] {
                if (++central.failures >= options.breaker_failures || central.is_open) open(options.breaker_ms);
            };
            std::uint64_t waited = 0;
            switch (random() % 8) {
                case 0:
                    plan.proved();
                    central = {};
                    model.tried.clear();
                    model.rounds = 0;
                    ASSERT_EQ(plan.endpoint(), at);
                    continue;
                case 1: {
                    const std::size_t there = random() % options.endpoints;
                    plan.go_to(there);
                    model.tried.clear();
                    ASSERT_EQ(plan.endpoint(), there);
                    continue;
                }
                case 2:
                    model.tried.clear();
                    count();
                    waited = plan.lost(now);
                    if (!central.is_open) {  // once more to the same
                        ASSERT_EQ(plan.endpoint(), at);
                        ASSERT_LE(waited, options.pause_ms_min);
                        ASSERT_GE(waited, 1U);
                        continue;
                    }
                    break;
                case 3:
                    ++central.failures;
                    open(options.pause_ms_max);
                    waited = plan.turned_away(now);
                    break;
                default:
                    count();
                    waited = plan.failed(now);
                    break;
            }
            model.tried.insert(at);
            const auto not_open = model.surely_not_open(now_ms), open_ones = model.surely_open(now_ms);
            // Between the two lies jitter: such a step is not judged, only followed.
            const bool is_sure = not_open.size() + open_ones.size() == options.endpoints;
            std::set<std::size_t> fresh;
            for (const std::size_t index : not_open) {
                if (!model.tried.contains(index)) fresh.insert(index);
            }
            const bool is_new_round = is_sure && fresh.empty();
            if (is_new_round || (!is_sure && waited > 0)) model.tried.clear();
            if (!is_sure) continue;
            if (open_ones.size() == options.endpoints) {
                // The one that is due first, no sooner and no later than it is due, or than the longest pause.
                ++all_open;
                const Model::Central& next = model.centrals[plan.endpoint()];
                for (const Model::Central& other : model.centrals) ASSERT_LE(next.due_from_ms, other.due_to_ms);
                ASSERT_GE(waited, std::min(next.due_from_ms - now_ms, options.pause_ms_max));
                ASSERT_LE(waited, std::min(next.due_to_ms - now_ms, options.pause_ms_max));
                continue;
            }
            ASSERT_FALSE(open_ones.contains(plan.endpoint()));
            if (!open_ones.empty()) ++passed_over;
            const auto& among = fresh.empty() ? not_open : fresh;
            std::size_t best = *among.begin();
            for (const std::size_t index : among) {
                if (model.centrals[index].failures < model.centrals[best].failures) best = index;
            }
            ASSERT_EQ(plan.endpoint(), best);
            if (is_new_round) {
                ++new_rounds;
                ASSERT_LE(waited, options.pause_ms_max);
            } else {
                ASSERT_EQ(waited, 0U);
            }
        }
    }
    // The model has judged each of these, often.
    EXPECT_GT(all_open, 100);
    EXPECT_GT(passed_over, 100);
    EXPECT_GT(new_rounds, 100);
}

TEST(EndpointPlan, PausesDoubleFromRoundToRoundUntilACentralProvesItself) {
    EndpointPlan::Options options = options_of(2);
    options.breaker_failures = 1000;
    EndpointPlan plan(options);
    const MonotonicNs now{ns_per_second};
    for (int again = 0; again < 2; ++again) {
        std::uint64_t pause = options.pause_ms_min;
        for (int round = 0; round < 20; ++round) {
            EXPECT_EQ(plan.failed(now), 0U);
            const std::uint64_t waited = plan.failed(now);
            EXPECT_LE(waited, pause);
            EXPECT_GE(waited, 1U);
            pause = std::min(pause * 2, options.pause_ms_max);
        }
        plan.proved();
    }
}

TEST(EndpointPlan, WhoIsToldItsTurnWaitsForItWhereNoOtherCanBeTried) {
    const MonotonicNs now{ns_per_second};
    EndpointPlan alone(options_of(1));
    for (int again = 0; again < 20; ++again) EXPECT_EQ(alone.told(now, 347), 347U) << "it is there: no breaker opens";
    EXPECT_EQ(alone.breaker(0, now), BreakerState::closed);
    EndpointPlan plan(options_of(2));
    EXPECT_EQ(plan.told(now, 900), 0U);
    EXPECT_EQ(plan.endpoint(), 1U);
    EXPECT_EQ(plan.told(now.plus_ns(5 * ns_per_ms), 300), 300U) << "the turn that comes first, at the one that told it";
    EXPECT_EQ(plan.endpoint(), 1U);
    EXPECT_EQ(plan.told(now.plus_ns(305 * ns_per_ms), 9000), 595U) << "now that of the other";
    EXPECT_EQ(plan.endpoint(), 0U);
    EXPECT_EQ(plan.told(now.plus_ns(900 * ns_per_ms), 9900), 8405U);
    EXPECT_EQ(plan.endpoint(), 1U);
}

TEST(EndpointPlan, AHalfOpenCentralThatTellsATurnIsWaitedForJustThatLong) {
    EndpointPlan plan(options_of(1));
    MonotonicNs now{ns_per_second};
    for (int failure = 0; failure < 5; ++failure) static_cast<void>(plan.failed(now));
    ASSERT_EQ(plan.breaker(0, now), BreakerState::open);
    now = now.plus_ns(5 * ns_per_second);
    EXPECT_EQ(plan.told(now, 400), 400U);
    EXPECT_EQ(plan.breaker(0, now), BreakerState::closed);
}

TEST(EndpointPlan, WhoIsToldMoreThanTheLongestPauseComesSpreadOverIt) {
    std::array<int, 10> tenths{};
    for (std::uint64_t edge = 0; edge < 1000; ++edge) {
        EndpointPlan plan(options_of(1, 0x5eed'0000 + edge));
        ++tenths[(plan.told({ns_per_second}, 60'000) - 1) / 1000];
    }
    for (const int one : tenths) EXPECT_GT(one, 60);
}

TEST(EndpointPlan, ACrowdThatLostItsCentralAtOnceComesBackSpreadOverTheWholePause) {
    std::array<int, 10> tenths{};
    for (std::uint64_t edge = 0; edge < 1000; ++edge) {
        EndpointPlan plan(options_of(1, 0x5eed'0000 + edge));
        const std::uint64_t waited = plan.lost({ns_per_second});
        ++tenths[(waited - 1) * 10 / 100];
    }
    for (const int one : tenths) {
        EXPECT_GT(one, 60);
        EXPECT_LT(one, 140);
    }
}

TEST(EndpointPlan, OpensAfterTheLastOfSoManyFailuresAndOneMoreOpensItAgain) {
    EndpointPlan plan(options_of(2));
    MonotonicNs now{ns_per_second};
    plan.go_to(0);
    for (int failure = 1; failure <= 4; ++failure) {
        (void)plan.lost(now);
        EXPECT_EQ(plan.endpoint(), 0U);
        EXPECT_EQ(plan.breaker(0, now), BreakerState::closed);
    }
    EXPECT_EQ(plan.lost(now), 0U);
    EXPECT_EQ(plan.endpoint(), 1U);
    EXPECT_EQ(plan.breaker(0, now), BreakerState::open);
    now = now.plus_ns(5 * ns_per_second);
    EXPECT_EQ(plan.breaker(0, now), BreakerState::half_open);
    plan.go_to(0);
    EXPECT_EQ(plan.failed(now), 0U);
    EXPECT_EQ(plan.endpoint(), 1U);
    EXPECT_EQ(plan.breaker(0, now), BreakerState::open);
    now = now.plus_ns(5 * ns_per_second);
    plan.go_to(0);
    plan.proved();
    EXPECT_EQ(plan.breaker(0, now), BreakerState::closed);
}

TEST(EndpointPlan, ACentralThatRefusesForGoodIsLeftForTheNextAtOnce) {
    EndpointPlan plan(options_of(2));
    const MonotonicNs now{ns_per_second};
    EXPECT_EQ(plan.turned_away(now), 0U);
    EXPECT_EQ(plan.endpoint(), 1U);
    EXPECT_EQ(plan.breaker(0, now), BreakerState::open);
    // Alone it waits the longest pause.
    EndpointPlan alone(options_of(1));
    const std::uint64_t waited = alone.turned_away(now);
    EXPECT_GE(waited, 5000U);
    EXPECT_LE(waited, 10'000U);
}

TEST(EndpointPlan, EdgesWithOtherSeedsDoNotComeBackInStep) {
    EndpointPlan one(options_of(1, 1)), again(options_of(1, 1)), other(options_of(1, 1'000'003));
    int equal = 0;
    for (std::uint64_t round = 1; round < 20; ++round) {
        const MonotonicNs now{round * ns_per_second};
        const std::uint64_t waited = one.failed(now);
        EXPECT_EQ(waited, again.failed(now));
        equal += waited == other.failed(now) ? 1 : 0;
    }
    EXPECT_LT(equal, 5);
}

}  // namespace
}  // namespace weir::edge
