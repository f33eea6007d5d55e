// Lanes: which lanes the edges of a world have, and what each of them may lose.
//
// Thread    One.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "edge/config.hpp"
#include "tests/simulation/random.hpp"

namespace weir::sim {

// Events of these types go to the lanes of these names; all others to "default".
inline constexpr std::string_view reading_type = "reading";
inline constexpr std::string_view alarm_type = "alarm", alarms_lane = "alarms";
inline constexpr std::string_view bulk_type = "bulk", bulk_lane = "bulk";

// Two durable lanes in order.
[[nodiscard]] std::vector<edge::LaneConfig> durable_lanes();
// Of every kind, with bounds so small that they are reached: in multiples of `unit_bytes`, what some batches take.
[[nodiscard]] std::vector<edge::LaneConfig> draw_lanes(Random& random, std::uint64_t unit_bytes);

// For a trace.
[[nodiscard]] std::string text_of(const edge::LaneConfig& lane);

// What an event of a lane may meet instead of being stored.
struct LaneLosses {
    bool at_intake = false;  // shed as it comes, and told so
    bool by_age = false;     // given up, and named to central
    bool for_room = false;   // the same of the oldest
    bool by_crash = false;   // it lived in memory
    [[nodiscard]] bool any() const { return at_intake || by_age || for_room || by_crash; }
};
[[nodiscard]] LaneLosses losses_of(const edge::LaneConfig& lane);

// What is left of a lane's bound when intake is told that it is full; UINT64_MAX: none of its own.
[[nodiscard]] std::uint64_t full_bytes_of(const edge::EdgeConfig& config, const edge::LaneConfig& lane);

}  // namespace weir::sim
