// Uplink: what is sent next, of which stream, and from where.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/wire/control.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {

namespace {
constexpr std::uint32_t gap_frame_bytes = wire::frame_bytes(sizeof(wire::BatchHeader));
}  // namespace

bool Uplink::offer(const DurableBatch& batch) {
    if (state_ != UplinkState::live || is_leaving_) return false;
    Stream& stream = streams_[batch.stream];
    JournalReader* reader = catch_up_.of(batch.stream);
    const bool has_passed =
        reader != nullptr ? reader->has_passed(batch.durable_before) : stream.cursor >= batch.durable_before;
    if (!has_passed) return false;
    if (memory_.is_full()) make_way(batch.stream);
    if (memory_.is_full()) return false;
    memory_.push(stream.memory, batch);
    stream.cursor = batch.end;
    if (reader != nullptr) reader->skip_to(batch.end);
    return true;
}

// Streams that may not send for want of their lane's credit give up what they have in memory: it is read back later.
void Uplink::make_way(std::size_t for_stream) {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        const bool is_sending = sending_ == Sending::memory_batch && sending_stream_ == index;
        Stream& stream = streams_[index];
        if (index == for_stream || is_sending || stream.memory.is_empty()) continue;
        if (has_lane_credit(index, wire::frame_bytes(memory_.front(stream.memory).batch_bytes))) continue;
        if (const JournalReader* reader = catch_up_.of(index)) {
            if (reader->is_reading() || reader->peek() != nullptr) continue;
            catch_up_.take_back(index);
        }
        drop_memory(index);
    }
}

void Uplink::drop_memory(std::size_t index) {
    Stream& stream = streams_[index];
    if (stream.memory.is_empty()) return;
    stream.cursor = memory_.front(stream.memory).begin;
    for (; !stream.memory.is_empty(); memory_.pop(stream.memory)) {
        notes_.returned(memory_.front(stream.memory).buffer);
    }
}

std::size_t Uplink::pump(MonotonicNs now) {
    std::size_t work = 0;
    pumped_at_ = now;
    if (state_ == UplinkState::live && !is_leaving_) work += pump_readers(now);
    if (sending_ != Sending::nothing) return work;
    if (state_ == UplinkState::live && tables_ != nullptr) {
        if (const auto pull = tables_->next_pull())
            queue_control(wire::FrameKind::table_pull, 0, std::as_bytes(std::span(&*pull, 1)));
    }
    if (may_ask_rows()) {
        const ConstBytes ask = row_asks_->next_ask(now);
        if (!ask.empty()) queue_control(wire::FrameKind::row_ask, 0, ask);
    }
    if (says_statuses() && now >= status_at_) put_status(now);
    if (!control_waiting_.empty()) {
        std::swap(control_waiting_, control_sending_);
        control_waiting_.clear();
        sending_ = Sending::control;
        io_.send(socket_, control_sending_,
                 {.owner = owner_, .kind = kinds_.send, .generation = generation_, .index = session_index});
        return work + 1;
    }
    if (state_ == UplinkState::live && !is_leaving_ && send_next(now)) ++work;
    return work;
}

std::size_t Uplink::pump_readers(MonotonicNs now) {
    std::size_t work = 0;
    bool others_wait = false;
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        others_wait = others_wait || (catch_up_.of(index) == nullptr && needs_reader(index));
    }
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        JournalReader* reader = catch_up_.of(index);
        if (reader == nullptr) continue;
        if (may_release_reader(index, others_wait)) {
            release_reader(index);
            continue;
        }
        const bool hands_on = others_wait && !catch_up_.has_free() && catch_up_.has_had_turn(index);
        if (hands_on || !streams_[index].memory.is_empty()) continue;
        const std::uint64_t piece_bytes =
            gives_way(index) ? pace_.piece_bytes(index, reader->read_took_ns(), now) : read_buffer_bytes;
        if (reader->pump(lanes_[index].journal.durable_end, now, piece_bytes)) ++work;
    }
    if (others_wait) lend_readers();
    return work;
}

// Those that wait get the free readers in turns.
void Uplink::lend_readers() {
    for (std::size_t i = 0; i < streams_.size() && catch_up_.has_free(); ++i) {
        reader_turn_ = (reader_turn_ + 1) % streams_.size();
        if (catch_up_.of(reader_turn_) != nullptr || !needs_reader(reader_turn_)) continue;
        (void)catch_up_.lend(reader_turn_, streams_[reader_turn_].cursor);
    }
}

bool Uplink::needs_reader(std::size_t index) const {
    const Stream& stream = streams_[index];
    return stream.kept == nullptr && stream.memory.is_empty() && stream.cursor < lanes_[index].journal.durable_end &&
           has_lane_credit(index, gap_frame_bytes) && has_unacked_room(index);
}

bool Uplink::may_release_reader(std::size_t index, bool others_wait) const {
    const JournalReader* reader = catch_up_.of(index);
    if (reader->is_reading() || (sending_ == Sending::read_batch && sending_stream_ == index)) return false;
    if (reader->peek() == nullptr) {
        // What is in memory is sent without it.
        if (reader->is_caught_up(lanes_[index].journal.durable_end)) return true;
        if (others_wait && !streams_[index].memory.is_empty()) return true;
        return others_wait && !catch_up_.has_free() && catch_up_.has_had_turn(index);
    }
    // It holds what may not be sent, and others could.
    const ReadRecord* record = reader->peek();
    return others_wait && !catch_up_.has_free() && streams_[index].memory.is_empty() &&
           !has_lane_credit(index, wire::frame_bytes(record->batch_bytes));
}

void Uplink::release_reader(std::size_t index) {
    const JournalReader* reader = catch_up_.of(index);
    const ReadRecord* record = reader->peek();
    if (streams_[index].memory.is_empty()) {
        streams_[index].cursor = record != nullptr ? record->position : reader->next_position();
    }
    catch_up_.take_back(index);
}

bool Uplink::is_caught_up(std::size_t index) const {
    const Stream& stream = streams_[index];
    const Position durable_end = lanes_[index].journal.durable_end;
    if (!stream.memory.is_empty()) return false;
    if (const JournalReader* reader = catch_up_.of(index)) return reader->is_caught_up(durable_end);
    return stream.cursor >= durable_end;
}

bool Uplink::is_caught_up_in_memory(std::size_t index) const {
    const Position durable_end = lanes_[index].journal.durable_end;
    if (const JournalReader* reader = catch_up_.of(index)) {
        return !reader->is_reading() && reader->peek() == nullptr && reader->next_position() >= durable_end;
    }
    return streams_[index].cursor >= durable_end;
}

Position Uplink::unsent_from(std::size_t index) const {
    if (!is_live()) return lanes_[index].journal.delivered;
    if (const JournalReader* reader = catch_up_.of(index)) {
        if (const ReadRecord* record = reader->peek()) return record->position;
    }
    const Stream& stream = streams_[index];
    if (!stream.memory.is_empty()) return memory_.front(stream.memory).begin;
    const JournalReader* reader = catch_up_.of(index);
    return reader != nullptr ? reader->next_position() : stream.cursor;
}

bool Uplink::may_give_up(std::size_t index) const {
    const JournalReader* reader = catch_up_.of(index);
    const bool is_sending = sending_ != Sending::nothing && sending_ != Sending::control && sending_stream_ == index;
    return state_ != UplinkState::closing && !is_sending && (reader == nullptr || !reader->is_reading());
}

Uplink::GaveUp Uplink::give_up(std::size_t index, const Mark& mark, std::uint8_t why) {
    SpoolLane& lane = lanes_[index];
    Stream& stream = streams_[index];
    const Position from = unsent_from(index);
    // A second hole waits until the first one is settled. Places do not tell: between two records may lie a segment's header.
    const bool is_sent_behind =
        lane.hole_end.value != 0 && is_live() && lane.next_sequence > lane.hole_last_sequence + 1;
    if (mark.position <= from || is_sent_behind) return {};
    // What this session has not sent central has not, said its welcome. Without such a word an earlier one may have sent it.
    // What an earlier life took along is a gap, and no policy's.
    const Sequence unsent = is_live() ? lane.next_sequence : lane.state.delivered_sequence + 1;
    const Sequence first = std::max(unsent, lane.before_this_life + 1);
    const std::uint32_t settled = is_live() && !lane.is_unsettled ? given_up_settled : 0;
    const Sequence kept = first_kept(lane.given_up, first);
    // Central has it by its welcome, or an earlier life gave it up behind what it had sent: only the places were not known to be done with.
    const bool is_known = mark.last_sequence < kept;
    PolicyGaveUp given_up;
    if (!is_known) {
        given_up = give_up_by_policy(lane.given_up, first, mark.last_sequence, why | settled);
        if (given_up.events == 0) return {};
        (given_up.why == wire::gap_shed ? lane.shed_events : lane.expired_events) += given_up.events;
        lane.given_up_stored = std::min(lane.given_up_stored, kept - 1);
    }
    drop_memory(index);
    if (catch_up_.of(index) != nullptr) catch_up_.take_back(index);
    stream.cursor = mark.position;
    if (stream.unacked.is_empty()) {
        lane.journal.delivered = std::max(lane.journal.delivered, mark.position);
        lane.hole_begin = lane.hole_end = {};
    } else {
        lane.hole_begin = lane.hole_end.value == 0 ? from : std::min(lane.hole_begin, from);
        lane.hole_end = mark.position;
        lane.hole_last_sequence = mark.last_sequence;
    }
    count_delivered(index);
    return {kept, given_up.why};
}

bool Uplink::is_all_sent() const {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        if (!is_caught_up(index) || next_of(index).what != Next::nothing) return false;
    }
    return true;
}

// What central has already still takes its turn, so that the delivered position passes over it in order.
void Uplink::pass_known_records(std::size_t index, MonotonicNs now) {
    if (streams_[index].kept != nullptr) {
        give_up_took_along_late(index);
        return pass_known_kept(index, now);
    }
    JournalReader* reader = catch_up_.of(index);
    if (reader == nullptr || (sending_ == Sending::read_batch && sending_stream_ == index)) return;
    for (const ReadRecord* record = reader->peek(); record != nullptr; record = reader->peek()) {
        if (lanes_[index].given_up_at(record->last_sequence) != nullptr) {
            reader->pop();  // a gap is named in its stead
            continue;
        }
        const bool is_known = record->last_sequence < lanes_[index].next_sequence;
        if (!is_known || !has_unacked_room(index)) return;
        unacked_.push(streams_[index].unacked, {.last_sequence = record->last_sequence, .end = record->end});
        reader->pop();
        retire_acked(index, now);
    }
}

Uplink::NextSend Uplink::gap_before(std::size_t index, Sequence first) const {
    const SpoolLane& lane = lanes_[index];
    const GivenUp* given_up = lane.is_next_elsewhere() ? nullptr : lane.given_up_at(lane.next_sequence);
    const bool may_name = given_up != nullptr ? given_up->is_settled() && lane.next_sequence <= lane.given_up_stored
                                              : !waits_to_be_given_up(index);
    if (!may_name) return {};
    return {.what = Next::gap, .bytes = gap_frame_bytes, .before = first};
}

Uplink::NextSend Uplink::next_of(std::size_t index) const {
    const SpoolLane& lane = lanes_[index];
    const Stream& stream = streams_[index];
    if (stream.kept != nullptr) return next_kept(index);
    const JournalReader* reader = catch_up_.of(index);
    if (const ReadRecord* record = reader != nullptr ? reader->peek() : nullptr) {
        if (lane.is_next_elsewhere() || lane.next_sequence < record->first_sequence)
            return gap_before(index, record->first_sequence);
        return {.what = Next::record, .bytes = wire::frame_bytes(record->batch_bytes)};
    }
    if (reader != nullptr && reader->is_reading()) return {};
    if (!stream.memory.is_empty()) {
        const DurableBatch& batch = memory_.front(stream.memory);
        if (lane.next_sequence < batch.first_sequence) return gap_before(index, batch.first_sequence);
        return {.what = Next::memory, .bytes = wire::frame_bytes(batch.batch_bytes)};
    }
    // What the journal should have held at its end but did not.
    if (is_caught_up(index) && lane.next_sequence <= lane.state.last_sequence) {
        return gap_before(index, lane.state.last_sequence + 1);
    }
    return {};
}

bool Uplink::has_lane_credit(std::size_t index, std::uint64_t frame_bytes) const {
    const LaneCredit& lane = lane_credit_[lane_of_[index]];
    return !lane.credit_bytes || lane.sent_bytes + frame_bytes <= *lane.credit_bytes;
}

bool Uplink::has_unacked_room(std::size_t index) const {
    return !unacked_.is_full() && streams_[index].unacked.count < unacked_of_stream_max;
}

// What is read back makes no long queue before what is live; a live part behind which its backlog waits is live itself.
bool Uplink::gives_way(std::size_t index) const {
    const bool has_backlog = index + 1 < lane_of_.size() && lane_of_[index + 1] == lane_of_[index];
    return lanes_[index].state.part == wire::Part::backlog || !has_backlog;
}

std::uint64_t Uplink::bytes_to_read_back() const {
    std::uint64_t bytes = 0;
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        const StreamJournal& journal = lanes_[index].journal;
        if (gives_way(index))
            bytes += journal.durable_end.value - std::min(journal.durable_end, journal.delivered).value;
    }
    return bytes;
}

bool Uplink::may_catch_up(std::size_t index, std::uint64_t frame_bytes, MonotonicNs now) {
    // Behind for a moment under full load, a stream would be kept by its own window from ever being live again.
    if (pace_.is_alone(index, now)) return true;
    if (pace_.wants_left(now)) pace_.left(bytes_to_read_back(), now);
    if (!window_.may_send(frame_bytes)) return false;
    const MonotonicNs free_at = pace_.free_at(index, now);
    if (free_at > now) paced_until_ = free_at;
    return free_at <= now;
}

bool Uplink::send_next(MonotonicNs now) {
    paced_until_ = never;
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        pass_known_records(index, now);
        next_[index] = has_unacked_room(index) ? next_of(index) : NextSend{};
        if (!has_lane_credit(index, next_[index].bytes)) next_[index] = {};
        const bool is_behind = next_[index].what == Next::record && gives_way(index);
        if (is_behind && !may_catch_up(index, next_[index].bytes, now)) next_[index] = {};
    }
    const auto is_ready = [this](std::size_t index) { return next_[index].what != Next::nothing; };
    const auto chosen = turns_.choose(is_ready);
    if (!chosen) return false;
    const std::size_t index = *chosen;
    const NextSend& next = next_[index];
    // The connection's credit binds all: nobody smaller slips past.
    if (sent_bytes_ + next.bytes > credit_bytes_) return false;
    turns_.took_turn(index, is_ready);
    switch (next.what) {
        case Next::nothing:
            return false;
        case Next::gap:
            if (const JournalReader* reader = catch_up_.of(index); reader != nullptr && reader->peek() != nullptr) {
                const SpoolLane& lane = lanes_[index];
                const bool is_lost = !lane.is_next_elsewhere() && lane.given_up_at(lane.next_sequence) == nullptr;
                if (is_lost) catch_up_.confirm_suspect(index, *reader->peek());
            }
            send_gap(index, next.before, now);
            return true;
        case Next::record: {
            const ReadRecord& record = *catch_up_.of(index)->peek();
            counters_.resent_batches.add(1);
            const auto counted = static_cast<std::uint32_t>(gives_way(index) ? next.bytes : 0);
            if (counted > 0) {
                window_.sent(counted);
                pace_.sent(index, counted, now);
            }
            send_batch(index, record.batch, record.batch_bytes,
                       {.last_sequence = record.last_sequence, .end = record.end, .catch_up_bytes = counted},
                       Sending::read_batch, now);
            return true;
        }
        case Next::memory: {
            const DurableBatch& batch = memory_.front(streams_[index].memory);
            counters_.hops.sent.record(now.since(batch.durable_at), batch.events());
            pace_.live_sent(index, now);
            send_batch(index, pool_.buffer(batch.buffer).data() + sizeof(journal::RecordHeader), batch.batch_bytes,
                       {.last_sequence = batch.last_sequence,
                        .end = batch.end,
                        .due_at = batch.due_at,
                        .events = static_cast<std::uint32_t>(batch.events())},
                       Sending::memory_batch, now);
            return true;
        }
        case Next::kept:
            send_kept(index, now);
            return true;
    }
    return false;
}

// Names the sequences before `before` that the spool no longer has; or all of those, if there it begins, that other centrals
// have.
void Uplink::send_gap(std::size_t index, Sequence before, MonotonicNs now) {
    SpoolLane& lane = lanes_[index];
    wire::BatchHeader gap;
    gap.kind = wire::BatchKind::gap;
    const bool is_elsewhere = lane.is_next_elsewhere();
    Sequence end = before;
    if (is_elsewhere) {
        end = lane.elsewhere_last + 1;
    } else if (lane.next_sequence < lane.elsewhere_first && lane.elsewhere_first <= lane.elsewhere_last) {
        end = std::min(end, lane.elsewhere_first);
    }
    const GivenUp* given_up = is_elsewhere ? nullptr : lane.given_up_at(lane.next_sequence);
    if (given_up != nullptr) {
        end = std::min({end, given_up->last_sequence() + 1, lane.given_up_stored + 1});
    } else if (!is_elsewhere) {
        for (const GivenUp& one : lane.given_up) {
            if (one.count > 0 && one.first_sequence > lane.next_sequence) end = std::min(end, one.first_sequence);
        }
    }
    gap.flags = is_elsewhere ? wire::gap_elsewhere : given_up != nullptr ? given_up->why() : wire::gap_not_kept;
    gap.lane = lane.state.id;
    gap.part = lane.state.part;
    gap.edge_id = wire::name_field<wire::edge_id_bytes_max>(identity_.edge_id);
    gap.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane.state.name);
    gap.lineage = identity_.lineage;
    gap.epoch = identity_.epoch;
    gap.first_sequence = lane.next_sequence;
    gap.count = static_cast<std::uint32_t>(std::min<Sequence>(end - lane.next_sequence, UINT32_MAX));
    gap.config_digest = identity_.config_digest;
    gap.closed_wall_ns = io_.wall().value;
    gap.totals = lane.state.totals;
    const bool is_lost = !is_elsewhere && given_up == nullptr;
    gap.totals.gap = lane.gap_events + (is_lost ? gap.count : 0);
    gap.totals.shed = lane.shed_events;
    gap.totals.expired = lane.expired_events;
    wire::seal(gap, {});
    control_sending_.resize(gap_frame_bytes);
    wire::store(Bytes{control_sending_}.subspan(sizeof(wire::FrameHeader)), gap);
    send_batch(index, control_sending_.data() + sizeof(wire::FrameHeader), sizeof(gap),
               {.gap_count = gap.flags == wire::gap_not_kept ? gap.count : 0,
                .is_given_up = given_up != nullptr,
                .elsewhere_count = is_elsewhere ? gap.count : 0,
                .last_sequence = gap.last_sequence(),
                .end = given_up != nullptr ? lane.hole_end : Position{}},
               Sending::control, now);
}

void Uplink::send_batch(std::size_t index, std::byte* batch, std::uint32_t batch_bytes, Unacked entry, Sending what,
                        MonotonicNs now) {
    const std::uint64_t bytes = wire::frame_bytes(batch_bytes);
    // The record's header has done its work on disk; its second half makes room for the frame's.
    const Bytes frame{batch - sizeof(wire::FrameHeader), bytes};
    wire::store(frame, wire::FrameHeader{.body_bytes = batch_bytes, .kind = wire::FrameKind::batch});
    lanes_[index].next_sequence = entry.last_sequence + 1;
    streams_[index].is_known_there = true;
    entry.sent_at = now;
    unacked_.push(streams_[index].unacked, entry);
    sent_bytes_ += bytes;
    lane_credit_[lane_of_[index]].sent_bytes += bytes;
    sending_ = what;
    sending_stream_ = index;
    counters_.sent_batches.add(1);
    counters_.unacked_batches.set(unacked_.used());
    counters_.credit_bytes_left.set(credit_bytes_ - sent_bytes_);
    io_.send(socket_, frame, {.owner = owner_, .kind = kinds_.send, .generation = generation_, .index = session_index});
}

}  // namespace weir::edge
