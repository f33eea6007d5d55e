// The primitive words of weir: times, sequences and positions as types that cannot be mixed up.
//
// Cost      Each is a bare integer at run time.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

inline constexpr std::uint64_t ns_per_us = 1'000;
inline constexpr std::uint64_t ns_per_ms = 1'000'000;
inline constexpr std::uint64_t ns_per_second = 1'000'000'000;

// Nanoseconds of CLOCK_MONOTONIC: order, deadlines and ages. Never stored.
struct MonotonicNs {
    std::uint64_t value = 0;
    auto operator<=>(const MonotonicNs&) const = default;
    [[nodiscard]] constexpr MonotonicNs plus_ns(std::uint64_t ns) const { return {value + ns}; }
    // Nanoseconds since `earlier`; 0 if `earlier` is later than this.
    [[nodiscard]] constexpr std::uint64_t since(MonotonicNs earlier) const {
        return value > earlier.value ? value - earlier.value : 0;
    }
};
inline constexpr MonotonicNs never{UINT64_MAX};

// Nanoseconds since 1970-01-01T00:00:00Z: for people and for event time. No order or expiry in transit depends on it.
struct WallNs {
    std::uint64_t value = 0;
    auto operator<=>(const WallNs&) const = default;
};

// A byte place in a journal: segment index * segment_bytes + offset in the segment's file.
struct Position {
    std::uint64_t value = 0;
    auto operator<=>(const Position&) const = default;
};

// An event's number within (edge, lineage, lane, part): contiguous from 1; 0 means "none yet".
using Sequence = std::uint64_t;

// A lane's number within an edge's lineage.
using LaneId = std::uint16_t;
// Dead letters travel as a lane of their own.
inline constexpr LaneId dead_letter_lane = 0xffff;
inline constexpr std::string_view dead_letter_lane_name = "dead-letters";

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace weir
