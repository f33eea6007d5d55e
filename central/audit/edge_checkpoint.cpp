#include "central/audit/edge_checkpoint.hpp"

#include "core/wire/batch.hpp"
#include "core/wire/control.hpp"

namespace weir::central::audit {
namespace {

constexpr std::uint32_t spool_checkpoint_magic = 0x31505357;  // "WSP1"
constexpr std::uint32_t spool_checkpoint_version = 2;

struct Head {
    std::uint32_t magic = 0;
    std::uint32_t version = 0;
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    std::uint64_t running_ms = 0;
    std::uint16_t streams = 0;
    std::uint16_t centrals = 0;
    std::uint32_t marks = 0;
};
static_assert(sizeof(Head) == 40);

constexpr std::size_t mark_bytes = 24;     // position, last sequence, running time
constexpr std::uint32_t marks_max = 1024;  // of all streams

struct GivenUp {
    Sequence first_sequence = 0;
    std::uint32_t count = 0;
    std::uint32_t reason = 0;
};
static_assert(sizeof(GivenUp) == 16);

constexpr std::uint8_t in_memory_flag = 2;

struct Row {
    std::array<char, wire::lane_name_bytes_max> name{};
    LaneId id = 0;
    wire::Part part = wire::Part::live;
    std::uint8_t flags = 0;
    std::uint32_t previous_crc = 0;
    Sequence last_sequence = 0;
    Sequence delivered_sequence = 0;
    std::uint64_t gap_events = 0;
    std::uint64_t shed_events = 0;
    std::uint64_t expired_events = 0;
    std::uint64_t durable = 0;
    std::uint64_t delivered = 0;
    std::uint64_t kept_from = 0;
    std::uint32_t durable_crc = 0;
    std::uint32_t marks = 0;
    wire::LedgerTotals totals;
    std::array<GivenUp, 4> given_up{};
};
static_assert(sizeof(Row) == 224);

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
    if (head.streams > wire::hello_lanes_max || head.marks > marks_max ||
        content.size() != sizeof(Head) + head.streams * sizeof(Row) + head.marks * mark_bytes +
                              head.centrals * (sizeof(Central) + head.streams * sizeof(Sequence))) {
        return std::nullopt;
    }
    EdgeCheckpoint checkpoint{.lineage = head.lineage, .lanes = {}};
    for (std::uint32_t index = 0; index < head.streams; ++index) {
        const auto row = wire::load<Row>(content.subspan(sizeof(Head) + index * sizeof(Row)));
        EdgeLane& lane = checkpoint.lanes.emplace_back();
        lane.lane = row.id;
        lane.part = row.part;
        lane.lane_name = wire::name_of(row.name);
        lane.last_sequence = row.last_sequence;
        lane.delivered_sequence = row.delivered_sequence;
        lane.header_crc = row.previous_crc;
        lane.durable = {row.durable};
        lane.in_memory = (row.flags & in_memory_flag) != 0;
        for (const GivenUp& one : row.given_up) {
            if (one.count > 0) {
                lane.given_up.push_back({one.first_sequence, one.count, static_cast<std::uint8_t>(one.reason)});
            }
        }
    }
    std::size_t at = sizeof(Head) + head.streams * sizeof(Row) + head.marks * mark_bytes;
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
