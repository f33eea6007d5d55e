#include "edge/intake/batcher.hpp"

#include <algorithm>
#include <cstring>

#include "core/journal/at_rest.hpp"

namespace weir::edge {
namespace {

BufferShares::Lanes lanes_in_use(const std::vector<LaneState>& streams) {
    BufferShares::Lanes lanes{};
    for (std::size_t index = 0; index < streams.size(); ++index) {
        const bool is_first = index == 0 || streams[index].id != streams[index - 1].id;
        lanes[index] = is_first && (streams[index].is_configured || streams[index].id == dead_letter_lane);
    }
    return lanes;
}

// With room for the seal that an encrypted record ends with.
std::uint64_t body_bytes_to_block_end(std::uint32_t body_bytes) {
    constexpr std::uint64_t around_body = batch_body_at + sizeof(journal::RecordSeal);
    return round_up(around_body + body_bytes, journal::block_bytes) - around_body;
}

// As memcpy, in pieces: above a few KiB the C library copies by `rep movsb`, which some processors (Zen 3) do many times more slowly
// where the places are not aligned to 64, and these lie anyhow. So would the compiler, if it saw how short a piece is.
void copy_in_pieces(std::byte* to, const std::byte* from, std::uint64_t bytes) noexcept {
    constexpr std::uint64_t piece_bytes_max = 1024;
    while (bytes > 0) {
        std::uint64_t piece = std::min(bytes, piece_bytes_max);
        asm("" : "+r"(piece));
        std::memcpy(to, from, piece);
        to += piece;
        from += piece;
        bytes -= piece;
    }
}

}  // namespace

Batcher::Batcher(Parts parts)
    : identity_(parts.identity),
      pool_(parts.pool),
      to_spool_(parts.to_spool),
      doorbell_(parts.spool_doorbell),
      counters_(parts.counters),
      shares_(parts.pool.count(), lanes_in_use(parts.streams)),
      lane_of_buffer_(parts.pool.count()),
      closed_(parts.pool.count()),
      in_flight_(parts.pool.count()),
      covered_(parts.streams.size()) {
    WEIR_ASSERT(parts.streams.size() <= lanes_max);
    for (const LaneState& from : parts.streams) {
        const auto index = static_cast<std::uint8_t>(streams_.size());
        const bool is_second = !streams_.empty() && streams_.back().id == from.id;
        Stream& stream = streams_.emplace_back();
        stream.id = from.id;
        stream.part = from.part;
        stream.lane = is_second ? static_cast<std::uint8_t>(index - 1) : index;
        stream.opens_in = index;
        stream.name = wire::name_field<wire::lane_name_bytes_max>(from.name);
        stream.last_sequence = stream.durable = from.last_sequence;
        stream.previous_crc = from.previous_crc;
        stream.totals = from.totals;
        stream.shed_unsequenced = from.totals.shed_unsequenced(from.last_sequence);
        stream.shed_sequences = from.totals.shed - std::min(from.totals.shed, stream.shed_unsequenced);
        if (from.id == dead_letter_lane) dead_lane_ = index;
    }
    WEIR_ASSERT(!streams_.empty() && streams_[dead_lane_].id == dead_letter_lane);
    free_.reserve(pool_.count());
    for (std::uint32_t buffer = pool_.count(); buffer > 0; --buffer) free_.push_back(buffer - 1);
    counters_.buffers_free.set(free_.size());
}

void Batcher::configure(const std::vector<BatchLimits>& limits, std::uint64_t digest) noexcept {
    WEIR_ASSERT(limits.size() == streams_.size());
    close_all();
    BufferShares::Lanes lanes{};
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        lanes[index] = limits[index].is_in_use && streams_[index].lane == index;
        streams_[index].name = limits[index].lane_name;
        streams_[index].batch_bytes = limits[index].batch_bytes;
        streams_[index].block_end_bytes = body_bytes_to_block_end(limits[index].batch_bytes);
        streams_[index].batch_events = limits[index].batch_events;
        const bool is_backlog = streams_[index].part == wire::Part::backlog;
        streams_[index].linger_ns = std::max(limits[index].linger_ns, is_backlog ? backlog_linger_ns : 0);
    }
    shares_.divide_among(lanes);
    identity_.config_digest = digest;
}

void Batcher::open_in(StreamIndex stream) noexcept {
    Stream& lane = streams_[streams_[stream].lane];
    if (lane.opens_in == stream) return;
    close(lane.opens_in);
    lane.opens_in = stream;
}

bool Batcher::fits(const Stream& stream, std::uint64_t bytes, std::uint32_t events) noexcept {
    return stream.buffer != none && stream.body_bytes + bytes <= batch_body_capacity &&
           stream.count + events <= wire::batch_events_max;
}

void Batcher::begin_vector(std::uint64_t bytes, std::uint32_t events) noexcept {
    vector_bytes_ = bytes;
    vector_events_ = events;
    reserved_lanes_ = refused_lanes_ = 0;
    reserved_buffers_ = 0;
}

bool Batcher::reserve(std::uint8_t lane) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << lane;
    if ((reserved_lanes_ & bit) != 0) return true;
    if ((refused_lanes_ & bit) != 0) return false;
    // All of the vector fits the open batch, or an empty one: a lane wants one more buffer at most. Those that others have reserved
    // are as good as taken.
    if (!fits(streams_[streams_[lane].opens_in], vector_bytes_, vector_events_)) {
        const std::uint64_t free = free_.size() - reserved_buffers_;
        if (!shares_.may_take(lane, free)) {
            refused_lanes_ |= bit;
            return false;
        }
        ++reserved_buffers_;
    }
    reserved_lanes_ |= bit;
    return true;
}

bool Batcher::has_room(std::uint8_t lane) const noexcept {
    return shares_.may_take(lane, free_.size());
}

Bytes Batcher::claim(Stream& stream, std::uint64_t bytes) noexcept {
    if (stream.buffer != none && !fits(stream, bytes, 1)) close(static_cast<StreamIndex>(&stream - streams_.data()));
    if (stream.buffer == none) {
        WEIR_ASSERT(!free_.empty());
        stream.buffer = free_.back();
        free_.pop_back();
        shares_.take(stream.lane);
        lane_of_buffer_[stream.buffer] = stream.lane;
        stream.body_bytes = 0;
        stream.count = 0;
        stream.opened_at = now_;
    }
    return pool_.buffer(stream.buffer).subspan(batch_body_at + stream.body_bytes, bytes);
}

Placed Batcher::placed(Stream& stream, std::uint64_t bytes, std::uint32_t events) noexcept {
    stream.body_bytes += static_cast<std::uint32_t>(bytes);
    stream.count += events;
    stream.last_sequence += events;
    stream.judged.add(clock_, events);
    copied_bytes_ += bytes;
    counters_.accepted.add(events);
    return {static_cast<StreamIndex>(&stream - streams_.data()), stream.last_sequence,
            stream.last_sequence - stream.count + 1};
}

Placed Batcher::append(std::uint8_t lane, const EventRef& event, std::uint16_t tag) noexcept {
    Stream& stream = streams_[streams_[lane].opens_in];
    if (event.is_edited) return append_edited(stream, event, tag);
    const std::uint64_t bytes = wire::frame_bytes(event.body_bytes);
    const Bytes place = claim(stream, bytes);
    std::memcpy(place.data(), event.frame, bytes);
    std::memcpy(place.data() + offsetof(wire::FrameHeader, tag), &tag, sizeof tag);
    return placed(stream, bytes);
}

Placed Batcher::append_row(std::uint8_t lane, std::span<const EventRef> events, std::uint16_t tag) noexcept {
    Stream& stream = streams_[streams_[lane].opens_in];
    const EventRef& last = events.back();
    const std::byte* const first = events[0].frame;
    const auto bytes = static_cast<std::uint64_t>(last.frame - first) + last.frame_bytes();
    const Bytes place = claim(stream, bytes);
    copy_in_pieces(place.data(), first, bytes);
    if (tag != 0) {  // as received it is 0
        for (const EventRef& event : events) {
            std::memcpy(place.data() + (event.frame - first) + offsetof(wire::FrameHeader, tag), &tag, sizeof tag);
        }
    }
    return placed(stream, bytes, static_cast<std::uint32_t>(events.size()));
}

Placed Batcher::append_edited(Stream& stream, const EventRef& event, std::uint16_t tag) noexcept {
    const auto body_bytes = static_cast<std::uint32_t>(event.edited.size());
    WEIR_ASSERT(body_bytes > 0);
    const std::uint64_t bytes = wire::frame_bytes(body_bytes);
    const Bytes place = claim(stream, bytes);
    auto header = wire::load<wire::FrameHeader>({event.frame, sizeof(wire::FrameHeader)});
    header.body_bytes = body_bytes;
    header.tag = tag;
    wire::store(place, header);
    std::memcpy(place.data() + sizeof header, event.edited.data(), body_bytes);
    std::fill(place.begin() + static_cast<std::ptrdiff_t>(sizeof header + body_bytes), place.end(), std::byte{0});
    return placed(stream, bytes);
}

Placed Batcher::append_dead_letter(const EventRef& event, std::uint16_t tag, std::string_view producer) noexcept {
    Stream& stream = streams_[dead_lane_];
    const ConstBytes original = event.stored_body();
    const auto original_bytes = static_cast<std::uint32_t>(original.size());
    const auto body_bytes = static_cast<std::uint32_t>(sizeof(wire::DeadLetterHead)) + original_bytes;
    const std::uint64_t bytes = wire::frame_bytes(body_bytes);
    const Bytes place = claim(stream, bytes);
    wire::store(place, wire::FrameHeader{.body_bytes = body_bytes,
                                         .tag = tag,
                                         .kind = wire::FrameKind::dead_letter,
                                         .flags = 0,
                                         .number = event.number});
    wire::DeadLetterHead head;
    head.reason = event.reason;
    head.stage = event.stage;
    head.rule = event.rule;
    head.original_bytes = original_bytes;
    head.received_wall_ns = wall_.value;
    head.producer = wire::name_field<64>(producer);
    wire::store(place.subspan(sizeof(wire::FrameHeader)), head);
    constexpr std::size_t original_at = sizeof(wire::FrameHeader) + sizeof(wire::DeadLetterHead);
    if (!original.empty()) std::memcpy(place.data() + original_at, original.data(), original.size());
    std::fill(place.begin() + static_cast<std::ptrdiff_t>(original_at + original.size()), place.end(), std::byte{0});
    return placed(stream, bytes);
}

void Batcher::note_shed(std::uint8_t lane) noexcept {
    const StreamIndex stream = streams_[lane].opens_in;
    counters_.accepted.add(1);
    counters_.shed[stream].unsequenced.set(++streams_[stream].shed_unsequenced);
}

void Batcher::note_shed_sequences(StreamIndex index, std::uint64_t shed_events) noexcept {
    Stream& stream = streams_[index];
    stream.shed_sequences = shed_events;
    counters_.shed[index].sequences.set(stream.shed_sequences);
}

wire::LedgerTotals Batcher::totals_of(const Stream& stream) const noexcept {
    wire::LedgerTotals totals = stream.totals;
    totals.offered = counters_.offered.get();
    totals.duplicates = counters_.duplicates.get();
    totals.rejected = counters_.rejected.get();
    totals.accepted = stream.last_sequence + stream.shed_unsequenced;
    totals.dead_lettered = streams_[dead_lane_].last_sequence;
    totals.shed = stream.shed_unsequenced + stream.shed_sequences;
    return totals;
}

void Batcher::close(StreamIndex index) noexcept {
    Stream& stream = streams_[index];
    if (stream.buffer == none) return;
    wire::BatchHeader header;
    header.part = stream.part;
    header.lane = stream.id;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>(identity_.edge_id);
    header.lane_name = stream.name;
    header.lineage = identity_.lineage;
    header.epoch = identity_.epoch;
    header.first_sequence = stream.last_sequence - stream.count + 1;
    header.count = stream.count;
    header.config_digest = identity_.config_digest;
    header.closed_wall_ns = wall_.value;
    header.totals = totals_of(stream);
    header.previous_crc = stream.previous_crc;
    const Bytes buffer = pool_.buffer(stream.buffer);
    const Bytes body = buffer.subspan(batch_body_at, stream.body_bytes);
    wire::seal(header, body);
    wire::store(buffer.subspan(sizeof(journal::RecordHeader)), header);
    const std::size_t end = batch_body_at + stream.body_bytes;
    std::memset(buffer.data() + end, 0, round_up(end, journal::block_bytes) - end);
    stream.previous_crc = header.header_crc;

    WEIR_ASSERT(closed_count_ < closed_.size());
    closed_[(closed_head_ + closed_count_++) % closed_.size()] = {
        .kind = ToSpool::Kind::batch,
        .stream = index,
        .buffer = stream.buffer,
        .batch_bytes = static_cast<std::uint32_t>(sizeof header) + stream.body_bytes,
        .due_at = due_at(stream),
        .closed_at = clock_};
    stream.judged.record(counters_.hops.batched, clock_);
    stream.judged.clear();
    note_in_flight(stream);
    counters_.batches.add(1);
    stream.buffer = none;
    stream.body_bytes = 0;
    stream.count = 0;
}

// Its first event waits for others as long as the lane's linger says; behind that, for those before it.
MonotonicNs Batcher::due_at(const Stream& stream) const noexcept {
    if (stream.judged.is_empty()) return clock_;
    return std::min(clock_, stream.judged.earliest().plus_ns(linger_ns(stream)));
}

void Batcher::note_in_flight(Stream& stream) noexcept {
    in_flight_[stream.buffer] = {{stream.last_sequence, stream.body_bytes, now_}, none};
    if (stream.in_flight_tail == none) {
        stream.in_flight_head = stream.buffer;
    } else {
        in_flight_[stream.in_flight_tail].next = stream.buffer;
    }
    stream.in_flight_tail = stream.buffer;
    ++stream.in_flight_count;
    stream.in_flight_bytes += stream.body_bytes;
}

void Batcher::close_full() noexcept {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        if (streams_[index].buffer != none && is_full(streams_[index])) close(static_cast<StreamIndex>(index));
    }
}

void Batcher::close_due(bool is_idle) noexcept {
    // More would only be smaller: what comes meanwhile shares the next write. Of each stream: one that is stuck holds back no other.
    constexpr std::uint32_t in_flight_max = 2;
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        const Stream& stream = streams_[index];
        if (stream.buffer == none) continue;
        const std::uint64_t linger = linger_ns(stream);
        const bool is_due =
            linger == 0 ? is_idle && stream.in_flight_count < in_flight_max : now_.since(stream.opened_at) >= linger;
        if (is_full(stream) || is_due) close(static_cast<StreamIndex>(index));
    }
}

void Batcher::close_all() noexcept {
    for (std::size_t index = 0; index < streams_.size(); ++index) close(static_cast<StreamIndex>(index));
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
    free_most_ = std::max(free_most_, free_.size());
    return published;
}

std::uint64_t Batcher::take_buffers_free_percent() noexcept {
    const std::size_t most = std::max(free_most_, free_.size());
    free_most_ = 0;
    return most * 100 / pool_.count();
}

void Batcher::cover(StreamIndex stream, Position position) noexcept {
    if (position.value == 0) return;
    if (covered_[stream].value == 0) ++to_cover_;
    covered_[stream] = position;
}

void Batcher::give_back(std::uint32_t buffer) noexcept {
    WEIR_ASSERT(buffer < pool_.count());
    WEIR_ASSERT(free_.size() < free_.capacity());
    shares_.give_back(lane_of_buffer_[buffer]);
    free_.push_back(buffer);
}

bool Batcher::is_all_durable() const noexcept {
    return std::all_of(streams_.begin(), streams_.end(),
                       [](const Stream& stream) { return stream.durable == stream.last_sequence; });
}

MonotonicNs Batcher::next_deadline() const noexcept {
    MonotonicNs next = never;
    for (const Stream& stream : streams_) {
        if (stream.buffer == none || linger_ns(stream) == 0) continue;
        next = std::min(next, stream.opened_at.plus_ns(linger_ns(stream)));
    }
    return next;
}

}  // namespace weir::edge
