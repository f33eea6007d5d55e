// How long the segments of a stream's journal are, and how much of one a batch may take.
//
// Thread    Any: pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/journal/record.hpp"
#include "edge/config.hpp"
#include "edge/handover.hpp"

namespace weir::edge {

// Segments of a new journal: small where little is expected, so that a small disk has room for all of them.
inline constexpr std::uint64_t small_segment_bytes_max = 4ULL << 20;
inline constexpr std::uint64_t small_segment_bytes_min = 512ULL << 10;  // holds a batch or more
// A lane with a bound of its own has at least so many segments in it.
inline constexpr std::uint64_t segments_of_lane = 4;
// With a key a group may be a block longer.
static_assert(small_segment_bytes_min >= batch_buffer_bytes + journal::block_bytes + journal::segment_header_bytes);
[[nodiscard]] inline std::uint64_t stream_segment_bytes(const EdgeConfig& config, std::string_view lane) {
    std::uint64_t bytes = std::min(config.spool.segment_bytes, small_segment_bytes_max);
    for (const LaneConfig& one : config.lanes) {
        if (one.name != lane) continue;
        if (one.lane_class == LaneClass::durable) bytes = config.spool.segment_bytes;
        if (one.bytes_max == 0 || one.is_in_memory()) continue;
        const std::uint64_t share = one.bytes_max / segments_of_lane / journal::block_bytes * journal::block_bytes;
        bytes = std::min(bytes, std::max(share, small_segment_bytes_min));
    }
    return bytes;
}

// A lane on a disk without room is held while half of its open segment is free (edge/spool/lane_keeper.hpp). Half of these fit in there,
// twice what may be out at once (queued_batches_max): a batch may be longer than its bound by the vector that filled it. Where segments
// are shorter than about 4 MiB such vectors may be too much all the same.
inline constexpr std::uint64_t batches_of_segment = 32;
[[nodiscard]] inline std::uint32_t batch_bytes_within(std::uint64_t segment_bytes) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(segment_bytes / batches_of_segment, UINT32_MAX));
}

}  // namespace weir::edge
