// Uplink: streams that live in memory: what is sent next of them, from where it lies until central has acked it.
#include <algorithm>

#include "core/base/assert.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {

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
        entry.written_at = record->arrived_at;
        entry.events = static_cast<std::uint32_t>(record->events());
        counters_.hops.sent.record(now.since(record->arrived_at), record->events());
    } else {
        counters_.resent_batches.add(1);
    }
    stream.cursor = record->end;
    sending_from_ = record->begin;
    send_batch(index, record->batch, record->batch_bytes, entry, Sending::kept_batch, now);
}

}  // namespace weir::edge
