#include "edge/intake/batcher.hpp"

#include <algorithm>
#include <cstring>

namespace weir::edge {

Batcher::Batcher(Parts parts)
    : identity_(parts.identity),
      pool_(parts.pool),
      to_spool_(parts.to_spool),
      doorbell_(parts.spool_doorbell),
      counters_(parts.counters),
      closed_(parts.pool.count()),
      in_flight_(parts.pool.count()),
      covered_(parts.lanes.size()) {
    for (const LaneState& from : parts.lanes) {
        Lane& lane = lanes_.emplace_back();
        lane.id = from.id;
        lane.name = wire::name_field<wire::lane_name_bytes_max>(from.name);
        lane.is_configured = from.is_configured || from.id == dead_letter_lane;
        lane.last_sequence = lane.durable = from.last_sequence;
        lane.previous_crc = from.previous_crc;
        lane.totals = from.totals;
        if (from.id == dead_letter_lane) dead_lane_ = static_cast<std::uint8_t>(lanes_.size() - 1);
    }
    WEIR_ASSERT(!lanes_.empty() && lanes_[dead_lane_].id == dead_letter_lane);
    free_.reserve(pool_.count());
    for (std::uint32_t buffer = pool_.count(); buffer > 0; --buffer) free_.push_back(buffer - 1);
    counters_.buffers_free.set(free_.size());
}

void Batcher::configure(const std::vector<BatchLimits>& limits, std::uint64_t digest) noexcept {
    WEIR_ASSERT(limits.size() == lanes_.size());
    close_all();
    for (std::size_t index = 0; index < lanes_.size(); ++index) {
        lanes_[index].batch_bytes = limits[index].batch_bytes;
        lanes_[index].batch_events = limits[index].batch_events;
        lanes_[index].linger_ns = limits[index].linger_ns;
    }
    identity_.config_digest = digest;
}

bool Batcher::fits(const Lane& lane, std::uint64_t bytes, std::uint32_t events) const noexcept {
    return lane.buffer != none && lane.body_bytes + bytes <= batch_body_capacity &&
           lane.count + events <= wire::batch_events_max;
}

bool Batcher::has_room(std::uint64_t bytes, std::uint32_t events) const noexcept {
    // Any lane may get it all: each that could not hold it in its open batch may want one more buffer, and one is enough.
    std::size_t needed = 0;
    for (const Lane& lane : lanes_) {
        if (lane.is_configured && !fits(lane, bytes, events)) ++needed;
    }
    // Never more lanes than events.
    return free_.size() >= std::min<std::size_t>(needed, events);
}

Bytes Batcher::claim(Lane& lane, std::uint64_t bytes) noexcept {
    if (lane.buffer != none && !fits(lane, bytes, 1)) close(static_cast<std::uint8_t>(&lane - lanes_.data()));
    if (lane.buffer == none) {
        WEIR_ASSERT(!free_.empty());
        lane.buffer = free_.back();
        free_.pop_back();
        lane.body_bytes = 0;
        lane.count = 0;
        lane.opened_at = now_;
    }
    return pool_.buffer(lane.buffer).subspan(batch_body_at + lane.body_bytes, bytes);
}

Placed Batcher::placed(Lane& lane, std::uint64_t bytes) noexcept {
    lane.body_bytes += static_cast<std::uint32_t>(bytes);
    ++lane.count;
    ++lane.last_sequence;
    copied_bytes_ += bytes;
    counters_.accepted.add(1);
    return {lane.last_sequence, lane.last_sequence - lane.count + 1};
}

Placed Batcher::append(std::uint8_t lane_index, const EventRef& event, std::uint16_t tag) noexcept {
    Lane& lane = lanes_[lane_index];
    const std::uint64_t bytes = wire::frame_bytes(event.body_bytes);
    const Bytes place = claim(lane, bytes);
    std::memcpy(place.data(), event.frame, bytes);
    std::memcpy(place.data() + offsetof(wire::FrameHeader, tag), &tag, sizeof tag);
    return placed(lane, bytes);
}

Placed Batcher::append_dead_letter(const EventRef& event, std::uint16_t tag, std::string_view producer) noexcept {
    Lane& lane = lanes_[dead_lane_];
    const auto body_bytes = static_cast<std::uint32_t>(sizeof(wire::DeadLetterHead)) + event.body_bytes;
    const std::uint64_t bytes = wire::frame_bytes(body_bytes);
    const Bytes place = claim(lane, bytes);
    wire::store(place, wire::FrameHeader{.body_bytes = body_bytes,
                                         .tag = tag,
                                         .kind = wire::FrameKind::dead_letter,
                                         .flags = 0,
                                         .number = event.number});
    wire::DeadLetterHead head;
    head.reason = event.reason;
    head.stage = event.stage;
    head.rule = event.rule;
    head.original_bytes = event.body_bytes;
    head.received_wall_ns = wall_.value;
    head.producer = wire::name_field<64>(producer);
    wire::store(place.subspan(sizeof(wire::FrameHeader)), head);
    constexpr std::size_t original_at = sizeof(wire::FrameHeader) + sizeof(wire::DeadLetterHead);
    const ConstBytes original = event.body();
    if (!original.empty()) std::memcpy(place.data() + original_at, original.data(), original.size());
    std::fill(place.begin() + static_cast<std::ptrdiff_t>(original_at + original.size()), place.end(), std::byte{0});
    return placed(lane, bytes);
}

wire::LedgerTotals Batcher::totals_of(const Lane& lane) const noexcept {
    wire::LedgerTotals totals = lane.totals;
    totals.offered = counters_.offered.get();
    totals.duplicates = counters_.duplicates.get();
    totals.rejected = counters_.rejected.get();
    totals.accepted = lane.last_sequence;
    totals.dead_lettered = lanes_[dead_lane_].last_sequence;
    return totals;
}

void Batcher::close(std::uint8_t lane_index) noexcept {
    Lane& lane = lanes_[lane_index];
    if (lane.buffer == none) return;
    wire::BatchHeader header;
    header.lane = lane.id;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>(identity_.edge_id);
    header.lane_name = lane.name;
    header.lineage = identity_.lineage;
    header.epoch = identity_.epoch;
    header.first_sequence = lane.last_sequence - lane.count + 1;
    header.count = lane.count;
    header.config_digest = identity_.config_digest;
    header.closed_wall_ns = wall_.value;
    header.totals = totals_of(lane);
    header.previous_crc = lane.previous_crc;
    const Bytes buffer = pool_.buffer(lane.buffer);
    const Bytes body = buffer.subspan(batch_body_at, lane.body_bytes);
    wire::seal(header, body);
    wire::store(buffer.subspan(sizeof(journal::RecordHeader)), header);
    const std::size_t end = batch_body_at + lane.body_bytes;
    std::memset(buffer.data() + end, 0, round_up(end, journal::block_bytes) - end);
    lane.previous_crc = header.header_crc;

    WEIR_ASSERT(closed_count_ < closed_.size());
    closed_[(closed_head_ + closed_count_++) % closed_.size()] = {
        .kind = ToSpool::Kind::batch,
        .stream = lane_index,
        .buffer = lane.buffer,
        .batch_bytes = static_cast<std::uint32_t>(sizeof header) + lane.body_bytes};
    WEIR_ASSERT(in_flight_count_ < in_flight_.size());
    in_flight_[in_flight_count_++] = {lane_index, lane.last_sequence};
    counters_.batches.add(1);
    lane.buffer = none;
    lane.body_bytes = 0;
    lane.count = 0;
}

void Batcher::close_due(bool is_idle) noexcept {
    constexpr std::uint32_t in_flight_max =
        2;  // more would only be smaller: what comes meanwhile shares the next write
    const bool may_close_idle = is_idle && in_flight_count_ < in_flight_max;
    for (std::size_t index = 0; index < lanes_.size(); ++index) {
        const Lane& lane = lanes_[index];
        if (lane.buffer == none) continue;
        const bool is_full = lane.body_bytes >= lane.batch_bytes || lane.count >= lane.batch_events;
        const bool is_due = lane.linger_ns == 0 ? may_close_idle : now_.since(lane.opened_at) >= lane.linger_ns;
        if (is_full || is_due) close(static_cast<std::uint8_t>(index));
    }
}

void Batcher::close_all() noexcept {
    for (std::size_t index = 0; index < lanes_.size(); ++index) close(static_cast<std::uint8_t>(index));
}

std::size_t Batcher::flush() noexcept {
    std::size_t published = 0;
    while (closed_count_ > 0 && to_spool_.publish(closed_[closed_head_])) {
        closed_head_ = (closed_head_ + 1) % static_cast<std::uint32_t>(closed_.size());
        --closed_count_;
        ++published;
    }
    for (std::size_t stream = 0; to_cover_ > 0 && closed_count_ == 0 && stream < covered_.size(); ++stream) {
        if (covered_[stream].value == 0) continue;
        if (!to_spool_.publish(ToSpool{.kind = ToSpool::Kind::covered,
                                       .stream = static_cast<StreamIndex>(stream),
                                       .position = covered_[stream]})) {
            break;
        }
        covered_[stream] = Position{};
        --to_cover_;
        ++published;
    }
    if (published > 0) doorbell_.ring();
    counters_.buffers_free.set(free_.size());
    return published;
}

void Batcher::cover(StreamIndex stream, Position position) noexcept {
    if (position.value == 0) return;
    if (covered_[stream].value == 0) ++to_cover_;
    covered_[stream] = position;
}

void Batcher::give_back(std::uint32_t buffer) noexcept {
    WEIR_ASSERT(buffer < pool_.count());
    WEIR_ASSERT(free_.size() < free_.capacity());
    free_.push_back(buffer);
}

void Batcher::durable(std::uint8_t lane_index, Sequence last_sequence) noexcept {
    WEIR_ASSERT(last_sequence <= lanes_[lane_index].last_sequence);
    lanes_[lane_index].durable = std::max(lanes_[lane_index].durable, last_sequence);
    // Streams become durable in any order: one that waits holds up no other's place here.
    std::uint32_t kept = 0;
    for (std::uint32_t at = 0; at < in_flight_count_; ++at) {
        const InFlight& one = in_flight_[at];
        if (lanes_[one.lane].durable < one.last_sequence) in_flight_[kept++] = one;
    }
    in_flight_count_ = kept;
}

bool Batcher::has_open() const noexcept {
    return std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.buffer != none; });
}

bool Batcher::is_all_durable() const noexcept {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [](const Lane& lane) { return lane.durable == lane.last_sequence; });
}

MonotonicNs Batcher::next_deadline() const noexcept {
    MonotonicNs next = never;
    for (const Lane& lane : lanes_) {
        if (lane.buffer != none && lane.linger_ns != 0) next = std::min(next, lane.opened_at.plus_ns(lane.linger_ns));
    }
    return next;
}

}  // namespace weir::edge
