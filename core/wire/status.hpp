// What an edge says of itself when a central asks: how much of its work it does, and of each stream how far it is durable there
// (FORMAT.md §5). With it central knows what the edge holds: what is durable there and not yet here.
//
// Thread    Any.
// Law       check_status is the only gate: nothing else here looks at a status that has not passed it.
// Bounds    hello_lanes_max streams; status_interval_ms_min between two that are asked for.
#pragma once

#include <array>
#include <cstdint>

#include "core/wire/control.hpp"

namespace weir::wire {

// EdgeHello::features: a status may be asked for on this connection.
inline constexpr std::uint64_t edge_feature_status = 2;
inline constexpr std::uint32_t status_interval_ms_min = 100;

// How a lane answers pressure: by waiting, by shedding, or as the place of dead letters.
enum class LaneClass : std::uint8_t { durable = 0, best_effort = 1, dead_letters = 2 };

[[nodiscard]] std::string_view text(LaneClass lane_class) noexcept;
// One from outside may hold anything.
[[nodiscard]] constexpr bool is_known(LaneClass lane_class) noexcept {
    return lane_class <= LaneClass::dead_letters;
}
[[nodiscard]] constexpr bool is_known(Rung rung) noexcept {
    return rung <= Rung::critical;
}

// A status now, and one after each interval_ms until the session ends.
struct StatusAsk {
    std::uint32_t interval_ms = 0;  // at least status_interval_ms_min
    std::uint32_t reserved = 0;
};
static_assert(sizeof(StatusAsk) == 8);

struct EdgeStatusHead {
    std::uint64_t wall_ns = 0;  // the edge's clock, ns since 1970
    Rung rung = Rung::healthy;
    std::array<std::uint8_t, 3> reserved{};
    std::uint32_t lanes = 0;  // LaneStatus records that follow
};
static_assert(sizeof(EdgeStatusHead) == 16);
struct LaneStatus {
    LaneId lane = 0;
    Part part = Part::live;
    LaneClass lane_class = LaneClass::durable;
    std::uint32_t reserved = 0;
    Sequence last_sequence = 0;    // durable at the edge
    std::uint64_t held_bytes = 0;  // of its spool's journal, not acked yet
};
static_assert(sizeof(LaneStatus) == 24);
inline constexpr std::uint32_t status_body_bytes_max = sizeof(EdgeStatusHead) + hello_lanes_max * sizeof(LaneStatus);

// Whether the body of a frame is one; nullptr, or why not. Unknown rungs and classes are no fault.
[[nodiscard]] const char* check_status(ConstBytes body, EdgeStatusHead& head) noexcept;
// The record at `index` of a checked status.
[[nodiscard]] LaneStatus lane_status(ConstBytes body, std::uint32_t index) noexcept;

}  // namespace weir::wire
