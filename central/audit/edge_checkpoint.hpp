// EdgeCheckpoint: what an edge's spool-checkpoint says of its lanes, as an auditor reads it.
//
// Central shares no code with the edge: the layout stands here a second time, and tests/audit holds the two together.
//
// Format    edge/spool/spool_checkpoint.hpp, version 2; little-endian, fixed layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::central::audit {

// How far one central has acked; `identity` as in wire::EdgeWelcome.
struct CentralAck {
    std::uint32_t identity = 0;
    Sequence last_sequence = 0;
};
// What the edge has given up of its own accord and not named yet, or not been acked for; `reason` as wire::gap_shed.
struct GivenUpRange {
    Sequence first_sequence = 0;
    std::uint32_t count = 0;
    std::uint8_t reason = 0;
};
// Of one stream.
struct EdgeLane {
    LaneId lane = 0;
    wire::Part part = wire::Part::live;
    std::string lane_name;
    Sequence last_sequence = 0;       // durable in the spool; of a lane in memory, promised
    Sequence delivered_sequence = 0;  // acked by central
    std::uint32_t header_crc = 0;     // of the batch that ends with last_sequence
    Position durable{};               // the end of the last record that it knows, in the stream's journal
    std::vector<CentralAck> acks{};
    std::vector<GivenUpRange> given_up{};
    bool in_memory = false;  // then last_sequence is what is promised: used perhaps, and by now in memory or gone
};

struct EdgeCheckpoint {
    std::uint64_t lineage = 0;
    std::vector<EdgeLane> lanes;
};

// nullopt if it is not of this form.
[[nodiscard]] std::optional<EdgeCheckpoint> decode_edge_checkpoint(ConstBytes content);

}  // namespace weir::central::audit
