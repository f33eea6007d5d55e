#include "edge/spool/spool_checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/base/assert.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/wire/control.hpp"

namespace weir::edge {
namespace {

struct Head {
    std::uint32_t magic = spool_checkpoint_magic;
    std::uint32_t version = spool_checkpoint_version;
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    std::uint64_t running_ms = 0;
    std::uint16_t streams = 0;
    std::uint16_t centrals = 0;
    std::uint32_t marks = 0;  // of all streams
};
static_assert(sizeof(Head) == 40);

constexpr std::uint8_t diverged_flag = 1;
// Then last_sequence is what is promised, durable_crc how far that was ahead, and all places are that of the journal's begin.
constexpr std::uint8_t in_memory_flag = 2;

struct Row {
    std::array<char, wire::lane_name_bytes_max> name{};
    LaneId id = 0;
    wire::Part part = wire::Part::live;
    std::uint8_t flags = 0;  // diverged_flag, in_memory_flag
    std::uint32_t previous_crc = 0;
    Sequence last_sequence = 0;
    Sequence delivered_sequence = 0;
    std::uint64_t gap_events = 0;
    std::uint64_t shed_events = 0;
    std::uint64_t expired_events = 0;
    std::uint64_t durable = 0;  // places in the stream's journal
    std::uint64_t delivered = 0;
    std::uint64_t kept_from = 0;
    std::uint32_t durable_crc = 0;
    std::uint32_t marks = 0;
    wire::LedgerTotals totals;
    std::array<GivenUp, given_up_max> given_up{};
};
static_assert(sizeof(GivenUp) == 16 && sizeof(Mark) == 24 && sizeof(Row) == 224);
struct Central {
    std::uint32_t identity = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(Central) == 8);

constexpr std::size_t checkpoint_bytes(std::size_t streams, std::size_t marks, std::size_t centrals) {
    return sizeof(Head) + streams * sizeof(Row) + marks * sizeof(Mark) +
           centrals * (sizeof(Central) + streams * sizeof(Sequence));
}
static_assert(checkpoint_bytes(wire::hello_lanes_max, wire::hello_lanes_max* marks_max, known_centrals_max) <=
              spool_checkpoint_bytes_max);
static_assert(spool_checkpoint_bytes_max <= journal::checkpoint_content_bytes_max);

// Places in memory mean nothing to a later start.
std::size_t marks_of(const SpoolLane& lane) {
    return lane.state.in_memory ? 0 : lane.marks.count();
}

Row row_of(const SpoolLane& from) {
    Row row;
    row.name = wire::name_field<wire::lane_name_bytes_max>(from.state.name);
    row.id = from.state.id;
    row.part = from.state.part;
    row.flags = from.is_diverged ? diverged_flag : std::uint8_t{0};
    row.previous_crc = from.state.previous_crc;
    row.last_sequence = from.state.last_sequence;
    row.delivered_sequence = from.state.delivered_sequence;
    row.gap_events = from.gap_events;
    row.shed_events = from.shed_events;
    row.expired_events = from.expired_events;
    row.durable = from.journal.durable_end.value;
    row.delivered = from.journal.delivered.value;
    row.kept_from = from.journal.kept_from.value;
    row.durable_crc = from.journal.durable_crc;
    row.marks = static_cast<std::uint32_t>(marks_of(from));
    row.totals = from.state.totals;
    row.given_up = from.given_up;
    if (!from.state.in_memory) return row;
    row.flags |= in_memory_flag;
    row.last_sequence = from.promise.promised();
    row.delivered_sequence = std::min(row.delivered_sequence, row.last_sequence);
    row.totals.accepted = row.last_sequence + from.state.totals.shed_unsequenced(from.state.last_sequence);
    row.durable = row.delivered = row.kept_from = from.journal.tail.end.value;
    row.durable_crc = static_cast<std::uint32_t>(from.promise.ahead());
    return row;
}

std::optional<SpoolLane> lane_of(const Row& row) {
    SpoolLane lane;
    lane.state.id = row.id;
    lane.state.part = row.part;
    lane.state.name = wire::name_of(row.name);
    lane.state.last_sequence = row.last_sequence;
    lane.state.delivered_sequence = row.delivered_sequence;
    lane.state.previous_crc = row.previous_crc;
    lane.state.totals = row.totals;
    lane.given_up = row.given_up;
    lane.gap_events = row.gap_events;
    lane.shed_events = row.shed_events;
    lane.expired_events = row.expired_events;
    lane.is_diverged = (row.flags & diverged_flag) != 0;
    lane.state.in_memory = (row.flags & in_memory_flag) != 0;
    lane.journal.durable_end = {row.durable};
    lane.journal.durable_crc = row.durable_crc;
    lane.journal.delivered = {row.delivered};
    lane.journal.kept_from = {row.kept_from};
    if (!wire::is_name(lane.state.name, wire::lane_name_bytes_max)) return std::nullopt;
    if (wire::name_field<wire::lane_name_bytes_max>(lane.state.name) != row.name) return std::nullopt;
    if (row.part != wire::Part::live && row.part != wire::Part::backlog) return std::nullopt;
    if (row.flags > (diverged_flag | in_memory_flag) || row.marks > marks_max) return std::nullopt;
    if (row.delivered_sequence > row.last_sequence) return std::nullopt;
    Sequence below = 0;
    for (const GivenUp& one : row.given_up) {
        if (one == GivenUp{}) continue;
        const bool is_reason =
            one.why() == wire::gap_shed || one.why() == wire::gap_expired || one.why() == wire::gap_not_kept;
        const bool is_range = one.count > 0 && one.first_sequence > below &&
                              one.last_sequence() >= one.first_sequence && one.last_sequence() <= row.last_sequence;
        if (!is_reason || !is_range || one.reason > (given_up_settled | wire::gap_expired)) return std::nullopt;
        below = one.last_sequence();
    }
    if (!lane.state.in_memory) return lane;
    // It has less to say than others: whatever else stands in its row was not written by this.
    if (row.durable_crc < promise_events_min || row.durable_crc > promise_events_max) return std::nullopt;
    lane.promise = SequencePromise(row.last_sequence, row.durable_crc);
    lane.journal.tail.end = lane.journal.durable_end;
    const Row again = row_of(lane);
    static_assert(std::has_unique_object_representations_v<Row>);
    if (row.marks > 0 || std::memcmp(&again, &row, sizeof row) != 0) return std::nullopt;
    return lane;
}

}  // namespace

std::size_t encode(const SpoolCheckpoint& head, const LaneTable& lanes, Bytes into) {
    const KnownCentrals& centrals = lanes.centrals();
    std::size_t marks = 0;
    for (std::size_t index = 0; index < lanes.count(); ++index) marks += marks_of(lanes[index]);
    const std::size_t streams = lanes.named_count();
    const std::size_t bytes = checkpoint_bytes(streams, marks, centrals.count);
    WEIR_ASSERT(into.size() >= bytes);
    Head out;
    out.lineage = head.lineage;
    out.epoch = head.epoch;
    out.running_ms = head.running_ms;
    out.marks = static_cast<std::uint32_t>(marks);
    out.streams = static_cast<std::uint16_t>(streams);
    out.centrals = static_cast<std::uint16_t>(centrals.count);
    wire::store(into, out);
    std::size_t at = sizeof(Head);
    for (std::size_t index = 0; index < lanes.count(); ++index) {
        if (!lanes.is_named(index)) continue;
        wire::store(into.subspan(at), row_of(lanes[index]));
        at += sizeof(Row);
    }
    for (std::size_t index = 0; index < lanes.count(); ++index) {
        for (std::size_t i = 0; i < marks_of(lanes[index]); ++i, at += sizeof(Mark)) {
            wire::store(into.subspan(at), lanes[index].marks[i]);
        }
    }
    for (std::size_t central = 0; central < centrals.count; ++central) {
        wire::store(into.subspan(at), Central{.identity = centrals.identities[central]});
        at += sizeof(Central);
        for (std::size_t index = 0; index < lanes.count(); ++index) {
            if (!lanes.is_named(index)) continue;
            const Sequence acked = lanes[index].acked_by[central];
            wire::store(into.subspan(at),
                        lanes[index].state.in_memory ? std::min(acked, lanes[index].promise.promised()) : acked);
            at += sizeof(Sequence);
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
    if (head.streams > wire::hello_lanes_max || head.centrals > known_centrals_max ||
        head.marks > wire::hello_lanes_max * marks_max ||
        content.size() != checkpoint_bytes(head.streams, head.marks, head.centrals)) {
        return std::nullopt;
    }
    SpoolCheckpoint checkpoint;
    checkpoint.lineage = head.lineage;
    checkpoint.epoch = head.epoch;
    checkpoint.running_ms = head.running_ms;
    std::vector<std::uint32_t> marks;
    std::size_t all_marks = 0;
    for (std::uint32_t index = 0; index < head.streams; ++index) {
        const auto row = wire::load<Row>(content.subspan(sizeof(Head) + index * sizeof(Row)));
        auto lane = lane_of(row);
        if (!lane) return std::nullopt;
        marks.push_back(row.marks);
        all_marks += row.marks;
        checkpoint.lanes.push_back(std::move(*lane));
    }
    if (all_marks != head.marks) return std::nullopt;
    std::size_t at = sizeof(Head) + head.streams * sizeof(Row);
    for (std::size_t index = 0; index < marks.size(); ++index) {
        for (std::uint32_t i = 0; i < marks[index]; ++i, at += sizeof(Mark)) {
            if (!checkpoint.lanes[index].marks.restore(wire::load<Mark>(content.subspan(at)))) return std::nullopt;
        }
    }
    checkpoint.centrals.count = head.centrals;
    for (std::size_t central = 0; central < head.centrals; ++central) {
        const auto known = wire::load<Central>(content.subspan(at));
        if (known.identity == 0 || known.reserved != 0) return std::nullopt;
        checkpoint.centrals.identities[central] = known.identity;
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
