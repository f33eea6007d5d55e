// Who may send how much: the part of IngestStage that grants credit, to connections and to their lanes.
#include "central/ingest/ingest.hpp"
#include "core/base/assert.hpp"

namespace weir::central {

// Bytes of a lane that one connection may have un-durable; LaneCredit::no_bound: the connection's credit alone says.
std::uint64_t IngestStage::window_of(const LaneName& name) const {
    for (const auto& one : shared_.lane_bounds) {
        if (one.name == wire::name_of(name)) return one.credit_bytes;
    }
    return LaneCredit::no_bound;
}

bool IngestStage::is_closed(const Session& session, const LaneCredit& credit) const {
    const Gate& gate = gates_[credit.lane == dead_letter_lane ? Target::letters : Target::events];
    return gate.is_stuck || shared_.holds.is_held(credit.name) ||
           shared_.quota.is_over(session.quota, credit.lane, io_.now());
}

// Its lanes are judged anew when it has got over a quota, or back.
void IngestStage::look_at_quota(Session& session, MonotonicNs now) {
    if (session.quota != no_row && shared_.quota.note_state(session.quota, now)) judge_lanes(session);
}

void IngestStage::open_credit(Session& session) {
    WEIR_ASSERT(!session.has_account);
    share_.open(session.credit);
    session.has_account = true;
    judge_lanes(session);
}

void IngestStage::close_credit(Session& session) {
    if (std::exchange(session.has_account, false)) share_.close(session.credit);
}

// Which lanes are granted nothing for now, and which are bound at all.
void IngestStage::judge_lanes(Session& session) {
    for (std::uint32_t i = 0; i < session.credit_count; ++i) {
        LaneCredit& credit = session.lane_credits[i];
        credit.is_closed = is_closed(session, credit);
        if (credit.is_closed || credit.window != LaneCredit::no_bound) credit.bind(session.credit);
    }
    session.wants_credit = true;
    speak(session);
}

// What a stuck journal cannot take goes unread, so that what lies behind it on the connection can be. The connection has its credit
// back, the lane has not: no more of it comes than was granted already.
void IngestStage::set_aside(Session& session, LaneCredit& credit, std::uint64_t frame_bytes) {
    WEIR_ASSERT(credit.is_bound && credit.is_closed);
    credit.has_set_aside = true;
    share_.done(session.credit, frame_bytes);
    session.wants_credit = true;
    speak(session);
    shared_.set_aside.add(1);
}

// A welcome says what is here, and what it does not name the edge may give up: it waits for what was taken from an earlier session and
// is being written. Not for a stuck journal that others need not wait for: its lanes get nothing until it goes again, and then a new
// welcome.
bool IngestStage::may_welcome(Session& session) {
    for (std::uint32_t i = 0; i < session.lane_count; ++i) {
        const SessionLane& lane = session.lanes[i];
        if (lane.row == no_row) continue;
        const PositionRow::Hot& hot = positions_.row(lane.row).hot;
        if (hot.durable_sequence == hot.last_sequence) continue;
        const Gate& gate = gates_[lane.lane == dead_letter_lane ? Target::letters : Target::events];
        if (!gate.is_stuck || !session.has_both_journals) return false;
        session.lane_credits[lane.credit].has_set_aside = true;
    }
    return true;
}

// The batch is durable, or was known before.
void IngestStage::give_back(Session& session, std::uint8_t lane_credit, std::uint64_t frame_bytes) {
    share_.done(session.credit, frame_bytes);
    session.lane_credits[lane_credit].done += frame_bytes;
    session.wants_credit = true;
    speak(session);
}

// Has a journal got stuck or going again, or an operator changed his mind: all lanes are judged anew.
void IngestStage::look_at_gates(MonotonicNs now) {
    bool has_changed = false;
    for (const Target target : {Target::events, Target::letters}) {
        const GroupJournal& journal = target == Target::events ? journal_ : dead_letters_;
        Gate& gate = gates_[target];
        const bool is_waiting = journal.is_waiting_for_segment() && journal.writer().prepare_errno() != 0;
        if (is_waiting && !gate.is_waiting) gate.waits_since = now;
        gate.is_waiting = is_waiting;
        const bool is_stuck = journal.writer().is_poisoned() || (is_waiting && now.since(gate.waits_since) >= stuck_ns);
        has_changed |= is_stuck != gate.is_stuck;
        gate.is_stuck = is_stuck;
    }
    const std::uint64_t version = shared_.holds.version();
    has_changed |= version != holds_version_;
    holds_version_ = version;
    shared_.credit_on_the_way_max.set(share_.on_the_way_max());
    if (!has_changed) return;
    for (const auto& session : sessions_) {
        if (session->state != State::live) continue;
        judge_lanes(*session);
        for (std::uint32_t i = 0; i < session->credit_count; ++i) {
            const LaneCredit& credit = session->lane_credits[i];
            const bool is_taken = !gates_[credit.lane == dead_letter_lane ? Target::letters : Target::events].is_stuck;
            if (!credit.has_set_aside || !is_taken) continue;
            shared_.stuck_lanes_freed.add(1);
            refuse(*session, wire::RefusalReason::sequence_gap, "batches were set aside while the journal was full");
            break;
        }
    }
}

// A frame for each lane that has news.
std::size_t IngestStage::put_lane_credits(Session& session, Bytes out) {
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < session.credit_count; ++i) {
        LaneCredit& credit = session.lane_credits[i];
        if (!credit.is_bound) continue;
        // A lane that was bound by a hold alone has, after it, as much as a connection may have.
        const std::uint64_t window =
            credit.window != LaneCredit::no_bound ? credit.window : config_.listen.credit_bytes;
        if (!credit.is_closed) credit.grant(session.credit, window);
        if (!std::exchange(credit.wants_said, false)) continue;
        const wire::Credit said{.lane = credit.lane, .reserved = {}, .credit_bytes = credit.granted};
        wire::store(out.subspan(at), wire::FrameHeader{.body_bytes = sizeof said, .kind = wire::FrameKind::credit});
        wire::store(out.subspan(at + sizeof(wire::FrameHeader)), said);
        at += sizeof(wire::FrameHeader) + sizeof said;
    }
    return at;
}

}  // namespace weir::central
