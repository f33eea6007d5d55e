// Uplink: what central says, and what follows from it.
#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"
#include "core/wire/control.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {
namespace {
// wire::Credit::lane of the connection as a whole.
constexpr LaneId connection_credit = wire::Credit{}.lane;
}  // namespace

// False ends the session, over_pause_ms_ set.
bool Uplink::take_frame(const wire::FrameHeader& header, ConstBytes body, MonotonicNs now) {
    switch (header.kind) {
        case wire::FrameKind::edge_welcome:
            if (take_welcome(body, now)) return true;
            over_pause_ms_ = endpoints_.turned_away(now);
            return false;
        case wire::FrameKind::edge_ack:
            if (state_ == UplinkState::live && take_ack(body, now)) return true;
            break;
        case wire::FrameKind::credit:
            if (state_ == UplinkState::live && take_credit(body)) return true;
            break;
        case wire::FrameKind::status_ask:
            if (state_ == UplinkState::live && take_status_ask(body, now)) return true;
            break;
        case wire::FrameKind::table_offers:
        case wire::FrameKind::table_chunk:
            if (state_ != UplinkState::live || tables_ == nullptr) break;
            tables_->take(header.kind, body);
            if (row_asks_ != nullptr && header.kind == wire::FrameKind::table_offers) row_asks_->take_offers(body);
            return true;
        case wire::FrameKind::row_answer:
        case wire::FrameKind::table_changed:
            if (state_ != UplinkState::live || row_asks_ == nullptr) break;
            row_asks_->take(header.kind, body);
            return true;
        case wire::FrameKind::refusal:
            if (body.size() != sizeof(wire::Refusal)) break;
            take_refusal(body, now);
            return false;
        case wire::FrameKind::ping:
            queue_control(wire::FrameKind::pong, header.number, {});
            return true;
        case wire::FrameKind::pong:
            if (state_ == UplinkState::live) note_proof(now);
            return true;
        case wire::FrameKind::goodbye:
            over_pause_ms_ = endpoints_.failed(now);
            return false;
        case wire::FrameKind::event:
        case wire::FrameKind::dead_letter:
        case wire::FrameKind::producer_hello:
        case wire::FrameKind::producer_welcome:
        case wire::FrameKind::producer_ack:
        case wire::FrameKind::edge_hello:
        case wire::FrameKind::edge_status:
        case wire::FrameKind::table_pull:
        case wire::FrameKind::row_ask:
        case wire::FrameKind::batch:
            break;
    }
    counters_.refusals.add(1);
    over_pause_ms_ = endpoints_.turned_away(now);
    return false;
}

bool Uplink::take_welcome(ConstBytes body, MonotonicNs now) {
    if (state_ != UplinkState::greeting || body.size() < sizeof(wire::EdgeWelcome)) return false;
    const auto welcome = wire::load<wire::EdgeWelcome>(body);
    if (welcome.lanes > wire::hello_lanes_max ||
        body.size() != sizeof(welcome) + welcome.lanes * sizeof(wire::LanePosition)) {
        return false;
    }
    // A spare stream begins at its beginning, should it get a name in this session: central takes a lane that was not offered.
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        lanes_[index].next_sequence = lanes_.is_named(index) ? 0 : 1;
    }
    central_.reset();
    if (welcome.identity != 0) central_ = lanes_.know_central(welcome.identity);
    bool is_behind = false;
    for (std::uint32_t i = 0; i < welcome.lanes; ++i) {
        const auto position =
            wire::load<wire::LanePosition>(body.subspan(sizeof(welcome) + i * sizeof(wire::LanePosition)));
        const auto index = lanes_.find(position.lane, position.part);
        if (!index) continue;
        SpoolLane& lane = lanes_[*index];
        if (position.last_sequence > lane.state.last_sequence) lane.is_diverged = true;
        if (lane.is_diverged) {
            // Central has what this spool never made durable: a copied, restored or damaged disk. Nothing may be mixed,
            // also not when this spool's own sequences have come as far: its events would count as delivered unseen.
            counters_.central_ahead.add(1);
            counters_.last_refusal.set(static_cast<std::uint64_t>(wire::RefusalReason::diverged));
            return false;
        }
        if (!compare_with_central(*index, position)) continue;
        is_behind = true;
        // It lost what it had acked: what of this stream is still kept is sent again, and the rest is named as a gap.
        if (!WEIR_PLANTED(gap_for_what_is_kept)) lane.journal.delivered = lane.journal.kept_from;
    }
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        if (lanes_[index].next_sequence == 0) return false;
    }
    if (is_behind) counters_.central_behind.add(1);
    forget_session();
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        set_delivered(index, lanes_[index].next_sequence - 1);
        streams_[index].cursor = lanes_[index].journal.delivered;
    }
    sent_bytes_ = 0;
    credit_bytes_ = welcome.credit_bytes;
    state_ = UplinkState::live;
    const std::size_t endpoint = endpoints_.endpoint();
    if (last_endpoint_ && *last_endpoint_ != endpoint) {
        counters_.switch_overs.add(1);
        if (return_.target() == endpoint) counters_.returns.add(1);
    }
    last_endpoint_ = endpoint;
    return_.settled(endpoint, now);
    counters_.is_connected.set(1);
    counters_.last_refusal.set(0);
    counters_.sessions.add(1);
    pinged_at_ = now;
    return true;
}

// Where this session begins in a lane, and what of it other centrals have. True if this one lost what it had acked.
bool Uplink::compare_with_central(std::size_t lane_index, const wire::LanePosition& central) {
    SpoolLane& lane = lanes_[lane_index];
    const Sequence at_central = central.last_sequence;
    Sequence elsewhere = 0, acked = 0;
    // A stranger where only one is configured has taken its place: it gets what is kept, as if it had lost it.
    if (central_ && options_.centrals.size() > 1) {
        for (std::size_t index = 0; index < lanes_.centrals().count; ++index) {
            if (index != *central_) elsewhere = std::max(elsewhere, lane.acked_by[index]);
        }
        acked = lane.acked_by[*central_];
        elsewhere = std::min(elsewhere, lane.state.last_sequence);
    }
    // What nobody else is known to have acked, this one has.
    if (lane.state.delivered_sequence > elsewhere) acked = std::max(acked, lane.state.delivered_sequence);
    lane.is_unsettled = (central.flags & wire::position_unsettled) != 0;
    settle_given_up_in_doubt(lane_index, at_central);
    lane.next_sequence = at_central + 1;
    lane.elsewhere_first = std::max(at_central, acked) + 1;
    lane.elsewhere_last = elsewhere;
    // Gaps beyond its position went with what it lost, and are named to it anew.
    const std::uint64_t unnamed = lane.unacked_of(wire::gap_not_kept);
    lane.gap_events = std::min(lane.gap_events - unnamed, std::max(at_central, elsewhere)) + unnamed;
    if (central_) lane.acked_by[*central_] = std::max(lane.acked_by[*central_], at_central);
    return at_central < acked;
}

// What of it this central has was delivered after all. Another, independent one that has some of it keeps it: its word came too late.
void Uplink::settle_given_up_in_doubt(std::size_t index, Sequence at_central) {
    SpoolLane& lane = lanes_[index];
    const Arrived arrived =
        lane.is_unsettled ? take_arrived(lane.given_up, at_central) : settle_doubt(lane.given_up, at_central);
    if (!arrived.has_changed) return;
    lane.shed_events -= arrived.shed;
    if (arrived.shed > 0) notes_.shed_in_all(index, lane.shed_events);
    lane.expired_events -= arrived.expired;
    lane.gap_events -= arrived.not_kept;
    lane.given_up_stored = 0;
    ++lane.given_up_settlings;
    wants_checkpoint_ = true;
}

bool Uplink::take_ack(ConstBytes body, MonotonicNs now) {
    if (body.size() != sizeof(wire::EdgeAck)) return false;
    const auto ack = wire::load<wire::EdgeAck>(body);
    const auto index = lanes_.find(ack.lane, ack.part);
    if (!index) return false;
    SpoolLane& lane = lanes_[*index];
    // An ack beyond what was sent in this session is no ack of ours.
    if (ack.last_sequence >= lane.next_sequence) return false;
    gap_refused_ = false;
    if (central_) lane.acked_by[*central_] = std::max(lane.acked_by[*central_], ack.last_sequence);
    note_proof(now);
    if (ack.last_sequence > lane.state.delivered_sequence) set_delivered(*index, ack.last_sequence, now);
    retire_acked(*index, now);
    return true;
}

bool Uplink::take_credit(ConstBytes body) {
    if (body.size() != sizeof(wire::Credit)) return false;
    const auto credit = wire::load<wire::Credit>(body);
    if (credit.lane == connection_credit) {
        credit_bytes_ = std::max(credit_bytes_, credit.credit_bytes);
        return true;
    }
    const auto lane = lanes_.find_lane(credit.lane);
    if (!lane) return false;
    auto& granted = lane_credit_[*lane].credit_bytes;
    granted = std::max(granted.value_or(0), credit.credit_bytes);
    return true;
}

void Uplink::take_refusal(ConstBytes body, MonotonicNs now) {
    const auto refusal = wire::load<wire::Refusal>(body);
    counters_.refusals.add(1);
    counters_.last_refusal.set(static_cast<std::uint64_t>(refusal.reason));
    switch (refusal.reason) {
        case wire::RefusalReason::sequence_gap:
            // At once, but not in a loop: only if something was acked since the last such refusal.
            over_pause_ms_ = gap_refused_ ? endpoints_.failed(now) : 0;
            gap_refused_ = true;
            return;
        case wire::RefusalReason::fenced:
        case wire::RefusalReason::diverged:
        case wire::RefusalReason::name:
        case wire::RefusalReason::version:
        case wire::RefusalReason::protocol:
        case wire::RefusalReason::too_large:
        case wire::RefusalReason::checksum:
        case wire::RefusalReason::number_gap:
            over_pause_ms_ = endpoints_.turned_away(now);
            return;
        case wire::RefusalReason::limit:
        case wire::RefusalReason::draining:
        case wire::RefusalReason::busy:
        case wire::RefusalReason::storage:
            over_pause_ms_ = refusal.after_ms != 0 ? endpoints_.told(now, refusal.after_ms) : endpoints_.failed(now);
            return;
    }
    over_pause_ms_ = endpoints_.turned_away(now);
}

void Uplink::set_delivered(std::size_t index, Sequence last_sequence, MonotonicNs at) {
    SpoolLane& lane = lanes_[index];
    if (last_sequence > lane.state.delivered_sequence) notes_.delivered(index, last_sequence, at);
    lane.state.delivered_sequence = last_sequence;
    settle_given_up(index);
    count_delivered(index);
}

void Uplink::count_delivered(std::size_t index) {
    const SpoolLane& lane = lanes_[index];
    counters_.lanes[index].gap.set(lane.gap_events);
    counters_.lanes[index].shed.set(lane.shed_events);
    counters_.lanes[index].expired.set(lane.expired_events);
    counters_.lanes[index].delivered.set(lane.delivered_events());
}

// What was given up and central has a gap for is settled.
void Uplink::settle_given_up(std::size_t index) {
    SpoolLane& lane = lanes_[index];
    for (GivenUp& one : lane.given_up) {
        if (one.count > 0 && one.last_sequence() <= lane.state.delivered_sequence) one = {};
    }
    // The empty ones to the back, in place: std::stable_partition would ask the heap for room at every ack.
    std::size_t kept = 0;
    for (GivenUp& one : lane.given_up) {
        if (one.count > 0) std::swap(lane.given_up[kept++], one);
    }
    if (lane.journal.delivered >= lane.hole_begin) lane.hole_begin = lane.hole_end = {};
}

// Moves the stream's delivered position over what is acked, in its journal's order.
void Uplink::retire_acked(std::size_t index, MonotonicNs now) {
    Stream& stream = streams_[index];
    SpoolLane& lane = lanes_[index];
    while (!stream.unacked.is_empty()) {
        const Unacked oldest = unacked_.front(stream.unacked);
        if (oldest.last_sequence > lane.state.delivered_sequence) break;
        unacked_.pop(stream.unacked);
        counters_.elsewhere_events.add(oldest.elsewhere_count);
        if (oldest.is_given_up) {
            counters_.gap_events.add(oldest.gap_count);
            // Behind it lies what was not given up; all before is settled.
            lane.journal.delivered = std::max(lane.journal.delivered, oldest.end);
            set_delivered(index, lane.state.delivered_sequence);
        } else if (oldest.gap_count > 0) {
            lane.gap_events += oldest.gap_count;
            counters_.gap_events.add(oldest.gap_count);
            set_delivered(index, lane.state.delivered_sequence);
        } else {
            lane.journal.delivered = std::max(lane.journal.delivered, oldest.end);
        }
        if (oldest.sent_at.value != 0) {
            counters_.acked_batches.add(1);
            counters_.delivered_ns.record(now.since(oldest.sent_at));
            if (oldest.events > 0) counters_.hops.delivered.record(now.since(oldest.sent_at), oldest.events);
            window_.acked(oldest.catch_up_bytes, now.since(oldest.sent_at), now);
            if (oldest.due_at.value != 0) {
                pace_.live_acked(index, {.events = oldest.events, .took_ns = now.since(oldest.due_at)}, now);
            }
        }
    }
    counters_.unacked_batches.set(unacked_.used());
    counters_.catch_up_window_bytes.set(window_.bytes());
    counters_.catch_up_bytes_per_s.set(pace_.bytes_per_s());
    counters_.live_usual_ns.set(pace_.usual_ns());
}

}  // namespace weir::edge
