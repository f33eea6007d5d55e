#include "edge/spool/endpoint_order.hpp"

#include <gtest/gtest.h>

#include <map>

namespace weir::edge {
namespace {

constexpr int edges = 20'000;

std::string edge_id(int index) {
    return "edge-" + std::to_string(index);
}

TEST(EndpointOrder, PrefersEachCentralInProportionToItsWeightAndDividesTheEdgesOfALostOneAlike) {
    const std::vector<std::string> centrals{"a:1", "b:1", "c:1", "d:1"};
    const std::vector<std::uint32_t> weights{5, 3, 2, 0};
    std::map<std::string, double> first, after_a, last;
    for (int i = 0; i < edges; ++i) {
        const auto order = endpoint_order(edge_id(i), centrals, weights);
        ASSERT_EQ(order.size(), 4U);
        first[order[0]] += 1.0 / edges;
        if (order[0] == "a:1") after_a[order[1]] += 1.0;
        last[order[3]] += 1;
    }
    EXPECT_NEAR(first["a:1"], 0.5, 0.02);
    EXPECT_NEAR(first["b:1"], 0.3, 0.02);
    EXPECT_NEAR(first["c:1"], 0.2, 0.02);
    EXPECT_NEAR(after_a["b:1"] / (after_a["b:1"] + after_a["c:1"]), 0.6, 0.02);
    EXPECT_EQ(last["d:1"], edges);  // weight 0: only when all others are gone
}

TEST(EndpointOrder, TheOrderInTheFileSaysNothing) {
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(endpoint_order(edge_id(i), {"a:1", "b:1", "c:1"}, {5, 3, 0}),
                  endpoint_order(edge_id(i), {"c:1", "b:1", "a:1"}, {0, 3, 5}));
    }
}

TEST(EndpointOrder, ANewCentralTakesItsShareAndMovesNobodyElse) {
    int moved = 0;
    for (int i = 0; i < edges; ++i) {
        const auto before = endpoint_order(edge_id(i), {"a:1", "b:1", "c:1"}, {1, 1, 1});
        const auto after = endpoint_order(edge_id(i), {"a:1", "b:1", "c:1", "d:1"}, {1, 1, 1, 1});
        if (before[0] == after[0]) continue;
        ASSERT_EQ(after[0], "d:1");
        ++moved;
    }
    EXPECT_NEAR(static_cast<double>(moved) / edges, 0.25, 0.02);
}

// Frozen: another value would send edges to other centrals after an upgrade.
TEST(EndpointOrder, TheHashStaysWhatItIs) {
    EXPECT_EQ(endpoint_hash("north", "127.0.0.1:7500"), 0xc79262d25ef18f5cU);
    EXPECT_EQ(endpoint_hash("", ""), 0x5509f800bdaef57eU);
}

}  // namespace
}  // namespace weir::edge
