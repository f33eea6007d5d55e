#include "edge/spool/endpoint_plan.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace weir::edge {
namespace {

// The model: where one is in a list, and the list of pauses that rounds without a session cost.
TEST(EndpointPlan, GoesRoundAsAListOfCentralsAndAListOfPausesDo) {
    for (std::uint32_t seed = 1; seed <= 50; ++seed) {
        std::mt19937 random(seed);
        const std::size_t endpoints = 1 + random() % 4;
        const std::uint64_t pause_min = 1 + random() % 200;
        const std::uint64_t pause_max = pause_min + random() % 20'000;
        EndpointPlan plan(endpoints, pause_min, pause_max, seed);
        std::vector<std::uint64_t> pauses;
        for (std::uint64_t pause = pause_min; pauses.size() < 40; pause = std::min(pause * 2, pause_max))
            pauses.push_back(pause);
        std::size_t at = 0, rounds = 0;
        for (int step = 0; step < 500; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            std::uint64_t waited = 0, pause = 0;
            switch (random() % 8) {
                case 0:
                    plan.succeeded();
                    rounds = 0;
                    break;
                case 1:
                    waited = plan.lost();
                    at = 0;
                    pause = pause_min;
                    break;
                case 2:
                    waited = plan.turned_away();
                    at = (at + 1) % endpoints;
                    pause = pause_max;
                    break;
                default:
                    waited = plan.failed();
                    at = (at + 1) % endpoints;
                    if (at == 0) pause = pauses[std::min(rounds++, pauses.size() - 1)];
                    break;
            }
            ASSERT_EQ(plan.endpoint(), at);
            ASSERT_LE(waited, pause);
            ASSERT_GE(waited, pause - pause / 2);
        }
    }
}

TEST(EndpointPlan, EdgesWithOtherSeedsDoNotComeBackInStep) {
    EndpointPlan one(1, 1000, 60'000, 1), again(1, 1000, 60'000, 1), other(1, 1000, 60'000, 1'000'003);
    int equal = 0;
    for (int round = 0; round < 20; ++round) {
        const std::uint64_t waited = one.failed();
        EXPECT_EQ(waited, again.failed());
        equal += waited == other.failed() ? 1 : 0;
    }
    EXPECT_LT(equal, 5);
}

}  // namespace
}  // namespace weir::edge
