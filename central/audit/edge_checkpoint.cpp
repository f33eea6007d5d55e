#include "central/audit/edge_checkpoint.hpp"

#include "core/wire/batch.hpp"
#include "core/wire/control.hpp"

namespace weir::central::audit {
namespace {

constexpr std::uint32_t spool_checkpoint_magic = 0x31505357;  // "WSP1"
constexpr std::uint32_t spool_checkpoint_version = 1;

struct Head {
    std::uint32_t magic = 0;
    std::uint32_t version = 0;
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    std::uint64_t durable = 0;
    std::uint64_t delivered = 0;
    std::uint64_t trimmed = 0;
    std::uint32_t durable_crc = 0;
    std::uint16_t lanes = 0;
    std::uint16_t centrals = 0;
};
static_assert(sizeof(Head) == 56);

struct Lane {
    std::array<char, wire::lane_name_bytes_max> name{};
    LaneId id = 0;
    std::uint16_t is_diverged = 0;
    std::uint32_t previous_crc = 0;
    Sequence last_sequence = 0;
    Sequence delivered_sequence = 0;
    std::uint64_t gap_events = 0;
    wire::LedgerTotals totals;
};
static_assert(sizeof(Lane) == 112);

struct Central {
    std::uint32_t identity = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(Central) == 8);

}  // namespace

std::optional<EdgeCheckpoint> decode_edge_checkpoint(ConstBytes content) {
    if (content.size() < sizeof(Head)) return std::nullopt;
    const auto head = wire::load<Head>(content);
    if (head.magic != spool_checkpoint_magic || head.version != spool_checkpoint_version) return std::nullopt;
    if (head.lanes > wire::hello_lanes_max ||
        content.size() != sizeof(Head) + head.lanes * sizeof(Lane) +
                              head.centrals * (sizeof(Central) + head.lanes * sizeof(Sequence))) {
        return std::nullopt;
    }
    EdgeCheckpoint checkpoint{.lineage = head.lineage, .durable = {head.durable}, .lanes = {}};
    for (std::uint32_t index = 0; index < head.lanes; ++index) {
        const auto lane = wire::load<Lane>(content.subspan(sizeof(Head) + index * sizeof(Lane)));
        checkpoint.lanes.push_back({.lane = lane.id,
                                    .lane_name = std::string(wire::name_of(lane.name)),
                                    .last_sequence = lane.last_sequence,
                                    .delivered_sequence = lane.delivered_sequence,
                                    .header_crc = lane.previous_crc,
                                    .acks = {}});
    }
    std::size_t at = sizeof(Head) + head.lanes * sizeof(Lane);
    for (std::uint32_t central = 0; central < head.centrals; ++central) {
        const auto identity = wire::load<Central>(content.subspan(at)).identity;
        at += sizeof(Central);
        for (EdgeLane& lane : checkpoint.lanes) {
            lane.acks.push_back({identity, wire::load<Sequence>(content.subspan(at))});
            at += sizeof(Sequence);
        }
    }
    return checkpoint;
}

}  // namespace weir::central::audit
