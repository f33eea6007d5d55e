// SpoolStart: what the spool stage begins with, as recovery found it, and where its files are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edge/config.hpp"
#include "edge/handover.hpp"
#include "edge/spool/lane_table.hpp"

namespace weir::edge {

struct SpoolStart {
    SpoolIdentity identity;
    // Configured ones in the order of the configuration, a live_first lane's backlog behind its live part; older ones; the
    // dead-letter lane.
    std::vector<SpoolLane> lanes;
    KnownCentrals centrals;        // whose acks the lanes remember
    std::uint64_t running_ms = 0;  // that edges of this lineage have run
    std::uint64_t checkpoint_serial = 0;
};

[[nodiscard]] inline std::string spool_directory(const std::string& data_dir) {
    return data_dir + "/spool";
}
inline constexpr std::string_view backlog_suffix = ".backlog";
// The directory of a stream's journal.
[[nodiscard]] inline std::string stream_directory(const std::string& data_dir, std::string_view lane,
                                                  wire::Part part = wire::Part::live) {
    return spool_directory(data_dir) + "/" + std::string(lane) +
           std::string(part == wire::Part::backlog ? backlog_suffix : std::string_view());
}
[[nodiscard]] inline std::string spool_checkpoint_path(const std::string& data_dir) {
    return data_dir + "/spool-checkpoint";
}

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
        if (one.bytes_max == 0) continue;
        const std::uint64_t share = one.bytes_max / segments_of_lane / journal::block_bytes * journal::block_bytes;
        bytes = std::min(bytes, std::max(share, small_segment_bytes_min));
    }
    return bytes;
}

}  // namespace weir::edge
