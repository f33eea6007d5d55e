// SpoolStart: what the spool stage begins with, as recovery found it, and where its files are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edge/config.hpp"
#include "edge/handover.hpp"
#include "edge/spool/lane_table.hpp"
#include "edge/stream_segments.hpp"

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

}  // namespace weir::edge
