// Whose turn it is: priority, the bound against starving, weight, and the parts of a live_first lane.
#include <gtest/gtest.h>

#include <map>

#include "edge/spool/fill_gauge.hpp"
#include "edge/spool/part_choice.hpp"
#include "edge/spool/send_turns.hpp"

namespace weir::edge {
namespace {

std::map<std::size_t, int> count_turns(SendTurns& turns, int rounds, std::vector<bool> ready) {
    std::map<std::size_t, int> counts;
    const auto is_ready = [&](std::size_t index) { return static_cast<bool>(ready[index]); };
    for (int i = 0; i < rounds; ++i) {
        const auto chosen = turns.choose(is_ready);
        if (!chosen) break;
        turns.took_turn(*chosen, is_ready);
        ++counts[*chosen];
    }
    return counts;
}

TEST(SendTurns, AmongEqualsTurnsGoByWeightWhoeverIsReady) {
    SendTurns turns({{.lane = 0, .weight = 1}, {.lane = 1, .weight = 3}, {.lane = 2, .weight = 4}});
    auto counts = count_turns(turns, 800, {true, true, true});
    EXPECT_EQ(counts[0], 100);
    EXPECT_EQ(counts[1], 300);
    EXPECT_EQ(counts[2], 400);
    counts = count_turns(turns, 400, {true, true, false});
    EXPECT_NEAR(counts[0], 100, 1);
    EXPECT_NEAR(counts[1], 300, 1);
    EXPECT_FALSE(turns.choose([](std::size_t) { return false; }).has_value());
}

TEST(SendTurns, TheHigherPriorityGoesFirstAndTheLowerIsServedWithinItsBound) {
    SendTurns turns({{.lane = 0, .priority = 0}, {.lane = 1, .priority = 3}, {.lane = 2, .priority = 1}});
    std::vector<std::size_t> order;
    const auto all = [](std::size_t) { return true; };
    for (int i = 0; i < 400; ++i) {
        order.push_back(*turns.choose(all));
        turns.took_turn(order.back(), all);
    }
    EXPECT_EQ(order[0], 1U);
    std::size_t since[3] = {};
    for (const std::size_t chosen : order) {
        for (std::size_t one = 0; one < 3; ++one) since[one] = one == chosen ? 0 : since[one] + 1;
        EXPECT_LE(since[0], starved_turns_max + send_priorities);
        EXPECT_LE(since[2], starved_turns_max + send_priorities);
    }
    EXPECT_GE(std::count(order.begin(), order.end(), 1U), 340);
}

TEST(SendTurns, ABacklogHasItsTurnsForEveryEightOfTheLivePartAndALaneNoMoreForItsBacklog) {
    SendTurns turns({{.lane = 0, .weight = 1}, {.lane = 0, .weight = 1, .part_weight = 2}, {.lane = 2, .weight = 1}});
    auto counts = count_turns(turns, 2000, {true, true, true});
    EXPECT_EQ(counts[2], 1000);
    EXPECT_EQ(counts[0], 800);
    EXPECT_EQ(counts[1], 200);
}

TEST(PartChoice, NeverChangesFasterThanItsDwellWhateverTheSessionsDo) {
    PartChoice choice({0});
    MonotonicNs last{};
    int changes = 0;
    for (std::uint64_t at = 0; at < 200 * ns_per_second; at += ns_per_second / 10) {
        const bool is_live = at / ns_per_second % 3 == 0;
        if (!choice.look({.is_live = is_live, .is_caught_up = is_live, .undelivered_bytes = 0}, {at})) continue;
        if (changes++ > 0) {
            EXPECT_GE(at - last.value, part_dwell_ns);
        }
        last = {at};
    }
    EXPECT_GE(changes, 40);
}

TEST(PartChoice, GoesToTheBacklogForWantOfASessionOrForLagAndBackWhenAllIsSent) {
    PartChoice choice({0});
    MonotonicNs now{part_outage_ns - 1};
    EXPECT_FALSE(choice.look({}, now));
    EXPECT_EQ(choice.next_at(), MonotonicNs{part_outage_ns});
    EXPECT_TRUE(choice.look({}, {part_outage_ns}));
    EXPECT_EQ(choice.part(), wire::Part::backlog);
    now = {part_outage_ns + part_dwell_ns};
    EXPECT_FALSE(choice.look({.is_live = true, .is_caught_up = false}, now));
    EXPECT_FALSE(
        choice.look({.is_live = true, .is_caught_up = true, .undelivered_bytes = part_lag_bytes_max + 1}, now));
    EXPECT_TRUE(choice.look({.is_live = true, .is_caught_up = true}, now));
    EXPECT_EQ(choice.part(), wire::Part::live);
    now = now.plus_ns(part_dwell_ns);
    EXPECT_TRUE(choice.look({.is_live = true, .undelivered_bytes = part_lag_bytes_max + 1}, now));
}

TEST(FillGauge, SaysEveryFivePointsAndAHundredAtOnceAndLeavesItOnlyAtNinetyFive) {
    FillGauge gauge;
    std::vector<int> said;
    for (int fill : {0, 3, 4, 5, 9, 10, 97, 99, 100, 99, 96, 100, 95, 100, 0}) {
        if (const auto word = gauge.look(static_cast<std::uint8_t>(fill))) said.push_back(*word);
    }
    EXPECT_EQ(said, (std::vector<int>{5, 10, 97, 100, 95, 100, 0}));
    EXPECT_EQ(fill_of(0, 1000), 0);
    EXPECT_EQ(fill_of(999, 1000), 99);
    EXPECT_EQ(fill_of(1000, 1000), 100);
    EXPECT_EQ(fill_of(UINT64_MAX - 1, UINT64_MAX), 99);
}

}  // namespace
}  // namespace weir::edge
