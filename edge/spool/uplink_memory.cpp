// Uplink: streams that live in memory: what is sent next of them, from where it lies until central has acked it.
#include <algorithm>

#include "core/base/assert.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {

// Next is what an earlier life took along and a start had no place for.
bool Uplink::is_next_took_along(std::size_t index) const {
    const SpoolLane& lane = lanes_[index];
    return streams_[index].kept != nullptr && lane.next_sequence <= lane.before_this_life &&
           !lane.is_next_elsewhere() && lane.given_up_at(lane.next_sequence) == nullptr;
}

// Central has not got it: it is given up once there is a place, or with what lies right behind it. Named before a checkpoint knows of it,
// it would count as delivered after a crash.
void Uplink::give_up_took_along_late(std::size_t index) {
    SpoolLane& lane = lanes_[index];
    if (!is_live() || lane.is_unsettled || !is_next_took_along(index)) return;
    const Sequence first = lane.next_sequence;
    Sequence last = lane.before_this_life;
    const bool is_elsewhere_behind = first < lane.elsewhere_first && lane.elsewhere_first <= lane.elsewhere_last;
    if (is_elsewhere_behind) last = std::min(last, lane.elsewhere_first - 1);
    for (const GivenUp& one : lane.given_up) {
        if (one.count > 0 && one.first_sequence > first) last = std::min(last, one.first_sequence - 1);
    }
    std::uint32_t reason = std::uint32_t{wire::gap_not_kept} | given_up_settled;
    std::uint64_t events = give_up_between(lane.given_up, first, last, reason);
    const GivenUp* behind = lane.given_up_at(last + 1);
    if (events == 0 && behind != nullptr && behind->is_settled()) {
        reason = behind->reason;
        events = give_up_between(lane.given_up, first, last, reason);
    }
    if (events == 0) return;
    const auto why = static_cast<std::uint8_t>(reason);
    (why == wire::gap_shed      ? lane.shed_events
     : why == wire::gap_expired ? lane.expired_events
                                : lane.gap_events) += events;
    if (why == wire::gap_shed) notes_.shed_in_all(index, lane.shed_events);
    lane.given_up_stored = std::min(lane.given_up_stored, first - 1);
    ++lane.given_up_settlings;
    wants_checkpoint_ = true;
    count_delivered(index);
}

// For an ack that makes a place, or for a welcome that is central's last word.
bool Uplink::waits_to_be_given_up(std::size_t index) const {
    return is_next_took_along(index) && (lanes_[index].is_unsettled || has_unacked(index));
}

// As pass_known_records of a reader's.
void Uplink::pass_known_kept(std::size_t index, MonotonicNs now) {
    Stream& stream = streams_[index];
    const SpoolLane& lane = lanes_[index];
    while (const auto record = stream.kept->at(stream.cursor)) {
        if (lane.given_up_at(record->last_sequence) == nullptr) {
            const bool is_known = record->last_sequence < lane.next_sequence;
            if (!is_known || !has_unacked_room(index)) return;
            unacked_.push(stream.unacked, {.last_sequence = record->last_sequence, .end = record->end});
        }
        stream.cursor = record->end;
        retire_acked(index, now);
    }
}

Uplink::NextSend Uplink::next_kept(std::size_t index) const {
    const SpoolLane& lane = lanes_[index];
    const auto record = streams_[index].kept->at(streams_[index].cursor);
    if (!record) {
        // What an earlier life took along.
        if (lane.next_sequence <= lane.state.last_sequence) return gap_before(index, lane.state.last_sequence + 1);
        return {};
    }
    if (lane.is_next_elsewhere() || lane.next_sequence < record->first_sequence) {
        return gap_before(index, record->first_sequence);
    }
    if (record->last_sequence > lane.promise.allowed()) return {};
    return {.what = Next::kept, .bytes = wire::frame_bytes(record->batch_bytes)};
}

void Uplink::send_kept(std::size_t index, MonotonicNs now) {
    Stream& stream = streams_[index];
    const auto record = stream.kept->at(stream.cursor);
    WEIR_ASSERT(record.has_value());
    const bool is_first_time = record->last_sequence > stream.sent_until;
    Unacked entry{.last_sequence = record->last_sequence, .end = record->end};
    if (is_first_time) {
        stream.sent_until = record->last_sequence;
        entry.due_at = record->arrived_at;
        entry.events = static_cast<std::uint32_t>(record->events());
        counters_.hops.sent.record(now.since(record->arrived_at), record->events());
        pace_.live_sent(index, now);
    } else {
        counters_.resent_batches.add(1);
    }
    stream.cursor = record->end;
    sending_from_ = record->begin;
    send_batch(index, record->batch, record->batch_bytes, entry, Sending::kept_batch, now);
}

}  // namespace weir::edge
