// SpoolStart: what the spool stage begins with, as recovery found it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/journal/writer.hpp"
#include "edge/handover.hpp"
#include "edge/spool/lane_table.hpp"

namespace weir::edge {

struct SpoolStart {
    SpoolIdentity identity;
    std::vector<SpoolLane>
        lanes;               // configured ones in the order of the configuration, older ones, the dead-letter lane
    KnownCentrals centrals;  // whose acks the lanes remember
    std::uint64_t segment_bytes = 0;  // of the segments that exist; of the configuration if there are none
    journal::Tail tail;               // where the journal goes on
    Position durable_end{};           // of the last record
    std::uint32_t durable_crc = 0;    // of that record
    Position delivered{};             // every record before it is on central's disk
    Position kept_from{};             // start of the oldest segment
    Position covered{};               // by intake's checkpoint
    Position stored_start{};          // where a scan from the stored checkpoint begins
    std::uint64_t checkpoint_serial = 0;
};

[[nodiscard]] inline std::string spool_directory(const std::string& data_dir) {
    return data_dir + "/spool";
}
[[nodiscard]] inline std::string spool_checkpoint_path(const std::string& data_dir) {
    return data_dir + "/spool-checkpoint";
}

}  // namespace weir::edge
