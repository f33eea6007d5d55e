// One vector's way: gather, then each stage over all of it.
#include <algorithm>

#include "core/base/planted.hpp"
#include "edge/intake/intake.hpp"

namespace weir::edge {
namespace {

AckItem item_of(const EventRef& event, wire::AckStatus status, MonotonicNs received_at) {
    return {event.connection, event.ordinal, status, event.reason, received_at};
}

bool is_readable(Session session) {
    return session == Session::hello || session == Session::naming || session == Session::open ||
           session == Session::ending;
}

}  // namespace

Intake::Gathered Intake::gather(MonotonicNs now) {
    // Each connection gives what one look at its bytes finds: a frame put together in its carry lasts until the next look.
    bool moved = false;
    std::swap(ready_, reading_);
    ready_.clear();
    std::size_t turn = 0;
    bool is_full = false;
    for (; turn < reading_.size() && !is_full; ++turn) {
        const std::uint32_t index = reading_[turn];
        Connection& connection = connections_[index];
        connection.is_ready = false;
        if (!is_readable(connection.session)) continue;
        if (!may_read(connection, index)) {
            make_ready(index);
            continue;
        }
        const std::uint32_t events = vector_.count();
        const std::uint32_t held = connection.held_count;
        const std::uint32_t offset = connection.held_offset;
        const Session session = connection.session;
        read_some(index, now);
        moved = moved || vector_.count() != events || connection.held_count != held ||
                connection.held_offset != offset || connection.session != session;
        is_full = vector_.count() == vector_events_max;
        // An event that was too long for what is left of the vector leads the next one.
        if (vector_.count() > 0 && vector_.count() == events && connection.has_stopped && connection.is_ready) {
            ready_.pop_back();
            connection.is_ready = false;
            break;
        }
    }
    // Those who had no turn come first next time.
    const auto served = static_cast<std::ptrdiff_t>(ready_.size());
    for (; turn < reading_.size(); ++turn) {
        connections_[reading_[turn]].is_ready = false;
        make_ready(reading_[turn]);
    }
    std::rotate(ready_.begin(), ready_.begin() + served, ready_.end());
    reading_.clear();
    return moved ? Gathered::something : Gathered::nothing;
}

bool Intake::has_room() {
    if (book_.free_runs() < vector_.count()) {
        if (book_.has_forgotten()) book_.sweep();
        if (book_.free_runs() < vector_.count()) return false;
    }
    return batcher_.has_room(vector_.bytes(), vector_.count());
}

void Intake::judge() {
    decode();
    judgement_->validate(vector_.events(), wall_);
    if (judgement_->edit().is_needed()) count_edits();
    cache();
    judgement_->route(vector_.events());
    batch();
}

void Intake::decode() {
    for (EventRef& event : vector_.events()) {
        if (event.body_bytes > wire::event_bytes_max) {
            event.fail(Verdict::rejected, wire::Reason::too_large, wire::StageId::ingress);
            continue;
        }
        const wire::Reason reason = wire::verify_event(event.body(), event.view);
        if (reason != wire::Reason::none) event.fail(Verdict::dead_letter, reason, wire::StageId::decode);
    }
}

void Intake::count_edits() {
    const EditCounts counts = judgement_->edit().take_counts();
    counters_.edited.add(counts.edited);
    counters_.enriched.add(counts.enriched);
    counters_.withheld.add(counts.withheld);
    counters_.enrich_skipped.add(counts.enrich_skipped);
    counters_.edits_too_large.add(counts.too_large);
}

void Intake::cache() {
    const auto events = vector_.events();
    for (EventRef& event : events) {
        if (event.verdict != Verdict::admitted) continue;
        if (event.producer >= 0 && !producers_.is_replay(static_cast<std::uint32_t>(event.producer))) continue;
        event.fingerprint = filter_.fingerprint(event.view.source, event.view.id);
        filter_.prefetch(event.fingerprint);
    }
    const auto seconds = static_cast<std::uint32_t>(filter_age_base_ + now_.since(started_at_) / ns_per_second);
    for (EventRef& event : events) {
        if (event.producer >= 0 && producers_.is_replay(static_cast<std::uint32_t>(event.producer))) {
            judge_replayed(event, seconds);
        } else if (event.producer >= 0) {
            judge_numbered(event);
        } else {
            judge_unnumbered(event, seconds);
        }
        if (event.verdict == Verdict::admitted) keys_.note(event.view.key, event.view.time);
    }
}

void Intake::judge_numbered(EventRef& event) {
    const Connection& connection = connections_[event.connection];
    // After a gap nothing of this connection counts any more.
    if (connection.session == Session::refused) {
        event.fail(Verdict::dropped, wire::Reason::number_gap, wire::StageId::cache);
        return;
    }
    switch (producers_.take(static_cast<std::uint32_t>(event.producer), event.number)) {
        case NumberVerdict::fresh:
            return;
        case NumberVerdict::duplicate:
            event.fail(Verdict::duplicate, wire::Reason::none, wire::StageId::cache);
            return;
        case NumberVerdict::gap:
            event.fail(Verdict::dropped, wire::Reason::number_gap, wire::StageId::cache);
            refuse(event.connection, wire::RefusalReason::number_gap, "a number was left out");
            return;
    }
}

// A dead letter that is offered again. Its number is taken only when it is applied, in the same batch: a crash forgets both or
// neither. One that still fails is a reject, never another letter: the first one stays as it is.
void Intake::judge_replayed(EventRef& event, std::uint32_t seconds) {
    const auto slot = static_cast<std::uint32_t>(event.producer);
    if (connections_[event.connection].session == Session::refused) {
        event.fail(Verdict::dropped, wire::Reason::protocol, wire::StageId::cache);
        return;
    }
    if (producers_.is_taken(slot, event.number)) {
        event.fail(Verdict::duplicate, wire::Reason::none, wire::StageId::cache);
        return;
    }
    if (event.verdict == Verdict::dead_letter) event.verdict = Verdict::rejected;
    if (event.verdict != Verdict::admitted) return;
    // Another letter of the same event, or its producer's own retry, may have been applied already.
    const bool is_known = filter_.contains(event.fingerprint, seconds);
    if (producers_.take_replayed(slot, event.number) == ReplayVerdict::no_room) {
        event.fail(Verdict::rejected, wire::Reason::replay_holes, wire::StageId::cache);
        return;
    }
    if (is_known) {
        event.fail(Verdict::duplicate, wire::Reason::none, wire::StageId::cache);
        return;
    }
    filter_.insert(event.fingerprint, seconds);
}

void Intake::judge_unnumbered(EventRef& event, std::uint32_t seconds) {
    if (event.verdict != Verdict::admitted) return;
    if (filter_.contains(event.fingerprint, seconds)) {
        event.fail(Verdict::duplicate, wire::Reason::none, wire::StageId::cache);
        return;
    }
    filter_.insert(event.fingerprint, seconds);
}

void Intake::batch() {
    for (const EventRef& event : vector_.events()) {
        if (event.verdict != Verdict::dropped) settle(event);
    }
}

void Intake::settle(const EventRef& event) {
    const wire::AckLevel level = connections_[event.connection].level;
    const auto reason = static_cast<std::size_t>(event.reason);
    counters_.offered.add(1);
    Placed placed;
    std::uint8_t lane = event.lane;
    wire::AckStatus status = wire::AckStatus::accepted;
    const auto tag = static_cast<std::uint16_t>(event.producer + 1);
    switch (event.verdict) {
        case Verdict::admitted:
            placed = batcher_.append(lane, event, tag);
            break;
        case Verdict::dead_letter:
            lane = batcher_.dead_lane();
            status = wire::AckStatus::dead_lettered;
            placed = batcher_.append_dead_letter(event, tag, wire::name_of(connections_[event.connection].label));
            counters_.dead_letters_by_reason[reason].add(1);
            break;
        case Verdict::duplicate: {
            counters_.duplicates.add(1);
            const AckItem item = item_of(event, wire::AckStatus::duplicate, now_);
            if (level == wire::AckLevel::received || WEIR_PLANTED(early_duplicate_ack)) return book_.ack_now(item);
            return book_.wait_behind_all(level == wire::AckLevel::delivered ? Wait::delivered : Wait::spooled, item);
        }
        case Verdict::rejected:
            counters_.rejected.add(1);
            counters_.rejected_by_reason[reason].add(1);
            return book_.ack_now(item_of(event, wire::AckStatus::rejected, now_));
        case Verdict::dropped:
            return;
    }
    book_.appended(lane, placed.sequence);
    const AckItem item = item_of(event, status, now_);
    if (level == wire::AckLevel::received) return book_.ack_now(item);
    // A dead letter is final where it is durable: nobody waits for central to have it.
    const bool waits_for_central =
        level == wire::AckLevel::delivered && event.verdict == Verdict::admitted && !WEIR_PLANTED(delivered_too_early);
    book_.wait_for(waits_for_central ? Wait::delivered : Wait::spooled, lane, placed.sequence, placed.batch, item);
}

void Intake::finish_vector() {
    for (const EventRef& event : vector_.events()) {
        connections_[event.connection].in_vector = false;
        connections_[event.connection].splitter.release_taken();
    }
    for (const EventRef& event : vector_.events()) {
        if (connections_[event.connection].wants_close) close(event.connection);
    }
    vector_.clear();
    for (const std::uint32_t slot : vector_slots_) release_slot(slot);
    vector_slots_.clear();
    WEIR_ASSERT(counters_.offered.get() ==
                counters_.accepted.get() + counters_.duplicates.get() + counters_.rejected.get());
}

}  // namespace weir::edge
