#include "edge/spool/spool_checkpoint.hpp"

#include "core/base/assert.hpp"
#include "core/wire/control.hpp"

namespace weir::edge {
namespace {

struct Head {
    std::uint32_t magic = spool_checkpoint_magic;
    std::uint32_t version = spool_checkpoint_version;
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
    std::uint16_t is_diverged = 0;  // 0 or 1
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

constexpr std::size_t checkpoint_bytes(std::size_t lanes, std::size_t centrals) {
    return sizeof(Head) + lanes * sizeof(Lane) + centrals * (sizeof(Central) + lanes * sizeof(Sequence));
}
static_assert(checkpoint_bytes(wire::hello_lanes_max, known_centrals_max) <= spool_checkpoint_bytes_max);

}  // namespace

std::size_t encode(const SpoolCheckpoint& head, const LaneTable& lanes, Bytes into) {
    const KnownCentrals& centrals = lanes.centrals();
    const std::size_t bytes = checkpoint_bytes(lanes.count(), centrals.count);
    WEIR_ASSERT(into.size() >= bytes);
    Head out;
    out.lineage = head.lineage;
    out.epoch = head.epoch;
    out.durable = head.durable.value;
    out.delivered = head.delivered.value;
    out.trimmed = head.trimmed.value;
    out.durable_crc = head.durable_crc;
    out.lanes = static_cast<std::uint16_t>(lanes.count());
    out.centrals = static_cast<std::uint16_t>(centrals.count);
    wire::store(into, out);
    for (std::size_t index = 0; index < lanes.count(); ++index) {
        const SpoolLane& from = lanes[index];
        Lane lane;
        lane.name = wire::name_field<wire::lane_name_bytes_max>(from.state.name);
        lane.id = from.state.id;
        lane.previous_crc = from.state.previous_crc;
        lane.last_sequence = from.state.last_sequence;
        lane.delivered_sequence = from.state.delivered_sequence;
        lane.gap_events = from.gap_events;
        lane.is_diverged = from.is_diverged ? 1 : 0;
        lane.totals = from.state.totals;
        wire::store(into.subspan(sizeof(Head) + index * sizeof(Lane)), lane);
    }
    std::size_t at = sizeof(Head) + lanes.count() * sizeof(Lane);
    for (std::size_t central = 0; central < centrals.count; ++central) {
        wire::store(into.subspan(at), Central{.identity = centrals.identities[central]});
        at += sizeof(Central);
        for (std::size_t index = 0; index < lanes.count(); ++index, at += sizeof(Sequence)) {
            wire::store(into.subspan(at), lanes[index].acked_by[central]);
        }
    }
    return bytes;
}

std::vector<std::byte> encode(const SpoolCheckpoint& checkpoint) {
    std::vector<std::byte> bytes(spool_checkpoint_bytes_max);
    bytes.resize(encode(checkpoint, LaneTable(checkpoint.lanes, checkpoint.centrals), bytes));
    return bytes;
}

std::optional<SpoolCheckpoint> decode_spool_checkpoint(ConstBytes content) {
    if (content.size() < sizeof(Head)) return std::nullopt;
    const auto head = wire::load<Head>(content);
    if (head.magic != spool_checkpoint_magic || head.version != spool_checkpoint_version) return std::nullopt;
    if (head.lanes > wire::hello_lanes_max || head.centrals > known_centrals_max ||
        content.size() != checkpoint_bytes(head.lanes, head.centrals)) {
        return std::nullopt;
    }
    SpoolCheckpoint checkpoint;
    checkpoint.lineage = head.lineage;
    checkpoint.epoch = head.epoch;
    checkpoint.durable = {head.durable};
    checkpoint.durable_crc = head.durable_crc;
    checkpoint.delivered = {head.delivered};
    checkpoint.trimmed = {head.trimmed};
    for (std::uint32_t index = 0; index < head.lanes; ++index) {
        const auto from = wire::load<Lane>(content.subspan(sizeof(Head) + index * sizeof(Lane)));
        SpoolLane lane;
        lane.state.id = from.id;
        lane.state.name = wire::name_of(from.name);
        lane.state.last_sequence = from.last_sequence;
        lane.state.delivered_sequence = from.delivered_sequence;
        lane.state.previous_crc = from.previous_crc;
        lane.state.totals = from.totals;
        lane.gap_events = from.gap_events;
        lane.is_diverged = from.is_diverged != 0;
        if (!wire::is_name(lane.state.name, wire::lane_name_bytes_max)) return std::nullopt;
        if (wire::name_field<wire::lane_name_bytes_max>(lane.state.name) != from.name) return std::nullopt;
        if (from.is_diverged > 1) return std::nullopt;
        if (from.delivered_sequence > from.last_sequence) return std::nullopt;
        checkpoint.lanes.push_back(std::move(lane));
    }
    std::size_t at = sizeof(Head) + head.lanes * sizeof(Lane);
    checkpoint.centrals.count = head.centrals;
    for (std::size_t central = 0; central < head.centrals; ++central) {
        checkpoint.centrals.identities[central] = wire::load<Central>(content.subspan(at)).identity;
        if (checkpoint.centrals.identities[central] == 0) return std::nullopt;
        at += sizeof(Central);
        for (SpoolLane& lane : checkpoint.lanes) {
            lane.acked_by[central] = wire::load<Sequence>(content.subspan(at));
            if (lane.acked_by[central] > lane.state.last_sequence) return std::nullopt;
            at += sizeof(Sequence);
        }
    }
    return checkpoint;
}

}  // namespace weir::edge
