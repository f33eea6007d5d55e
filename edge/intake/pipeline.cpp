// One vector's way: gather, then each stage over all of it.
#include <algorithm>
#include <array>
#include <utility>

#include "core/base/planted.hpp"
#include "edge/intake/intake.hpp"

namespace weir::edge {
namespace {

AckItem item_of(const EventRef& event, wire::AckStatus status) {
    return {event.connection, event.ordinal, status, event.reason, event.received_at};
}

// Events that one connection gives to a vector while others wait: so many flooding ones hold up a slow one for no more than about
// a vector altogether.
constexpr std::uint32_t share_events_min = 8;

bool is_readable(Session session) {
    return session == Session::hello || session == Session::naming || session == Session::open ||
           session == Session::ending;
}

}  // namespace

Intake::Gathered Intake::gather() {
    // Each connection gives what one look at its bytes finds: a frame put together in its carry lasts until the next look.
    bool moved = false;
    std::swap(ready_, reading_);
    ready_.clear();
    std::size_t turn = 0;
    bool is_full = false;
    const auto waiting = std::count_if(reading_.begin(), reading_.end(),
                                       [&](std::uint32_t index) { return may_read(connections_[index], index); });
    const std::uint32_t share =
        std::max(vector_events_max / std::max(static_cast<std::uint32_t>(waiting), 1U), share_events_min);
    for (; turn < reading_.size() && !is_full; ++turn) {
        const std::uint32_t index = reading_[turn];
        Connection& connection = connections_[index];
        connection.is_ready = false;
        if (connection.is_waiting || !is_readable(connection.session)) continue;
        if (!may_read(connection, index)) {
            make_ready(index);
            continue;
        }
        const std::uint32_t events = vector_.count();
        const std::uint32_t held = connection.held_count;
        const std::uint32_t offset = connection.held_offset;
        const Session session = connection.session;
        read_some(index, std::min(share, vector_events_max - vector_.count()));
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

bool Intake::has_runs() {
    if (book_.free_runs() >= vector_.count()) return true;
    if (book_.has_forgotten()) book_.sweep();
    return book_.free_runs() >= vector_.count();
}

inline void Intake::decode(EventRef& event) {
    if (event.body_bytes > wire::event_bytes_max) {
        event.view = {};
        return event.fail(Verdict::rejected, wire::Reason::too_large, wire::StageId::ingress);
    }
    const bool is_poison = poison_guard_ != nullptr && poison_guard_->is_poison(event.body());
    const wire::Reason reason = is_poison ? wire::Reason::poison : wire::verify_event(event.body(), event.view);
    if (reason == wire::Reason::none) return;
    event.view = {};
    event.fail(Verdict::dead_letter, reason, wire::StageId::decode);
}

// Meanwhile what makes room in the filter comes: asked for all at once, with the ids' own lines, there would be more on the way than a core can
// have (10 to 16 lines), and it would wait. Not where each event is judged alone (judge_carefully).
inline void Intake::decode_all() {
    std::uint32_t ahead = 0;
    for (EventRef& event : vector_.events()) {
        if (event.producer < 0) filter_.prefetch_evicted(ahead++);
        decode(event);
    }
}

void Intake::judge() {
    judgement_->begin_vector();
    if (poison_guard_ != nullptr && poison_guard_->is_careful()) {
        judge_carefully();
    } else {
        if (poison_guard_ != nullptr) poison_guard_->begin_vector();
        decode_all();
        judgement_->judge(vector_.events(), wall_);
    }
    if (judgement_->edit().is_needed()) count_edits();
    cache();
    if (poison_guard_ != nullptr) poison_guard_->end();
    limit_letters();
    if (tap_.is_on()) tap_.look(vector_.events(), now_);
    batch();
    count_failures(now_);
}

// After a death while judging: one event at a time, each by its name.
void Intake::judge_carefully() {
    for (EventRef& event : vector_.events()) {
        poison_guard_->begin_event(event.body());
        decode(event);
        judgement_->judge({&event, 1}, wall_);
        poison_guard_->end_event();
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

void Intake::judge_shedding(EventRef& event) {
    if (event.verdict != Verdict::admitted) return;
    if (const auto reason = shedding_.judge(event.lane)) event.fail(Verdict::shed, *reason, wire::StageId::route);
}

// One that is known. Of a lane in memory an earlier life may have taken it along: it is not called a duplicate then, whose original has
// reached the level that is asked for.
void Intake::fail_as_known(EventRef& event, bool came_before) {
    // Its original is where it is routed to, as far as anybody knows.
    if (event.verdict != Verdict::admitted) event.lane = batcher_.dead_lane();
    const bool may_be_lost = came_before && (lossy_lanes_ >> event.lane & 1U) != 0;
    event.fail(Verdict::duplicate, may_be_lost ? wire::Reason::memory_lost : wire::Reason::none, wire::StageId::cache);
}

inline void Intake::judge_unnumbered(EventRef& event, std::uint32_t seconds) {
    if (event.verdict != Verdict::admitted) return;
    // One that is shed is not known: it may come again, as another.
    if (shedding_.may_shed(event.lane)) {
        if (!filter_.contains(event.fingerprint, seconds)) judge_shedding(event);
        if (event.verdict != Verdict::admitted) return;
    }
    if (!filter_.admit(event.fingerprint, seconds)) {
        fail_as_known(event, lossy_lanes_ != 0 && filter_.index_of(event.fingerprint, seconds) < first_id_);
    }
}

// The names by which the vector's events are known, and what they will be looked up in, on its way.
void Intake::fetch_known() {
    std::array<EventRef*, vector_events_max> asked;
    texts_.clear();
    for (EventRef& event : vector_.events()) {
        if (event.verdict != Verdict::admitted) continue;
        event.key_hash = keys_.hash_of(event.view.key);
        if (event.producer >= 0 && !is_replay(event)) continue;
        asked[texts_.count()] = &event;
        texts_.add(event.view.source, event.view.id);
    }
    const std::uint64_t seed = filter_.options().seed;
    for (std::uint32_t i = 0; i < texts_.count(); ++i) {
        const Fingerprint fingerprint = texts_.hash(i, seed);
        filter_.prefetch(fingerprint);
        asked[i]->fingerprint = fingerprint;
    }
}

void Intake::cache() {
    fetch_known();
    const auto events = vector_.events();
    batcher_.begin_vector(vector_.bytes(), vector_.count());
    const auto seconds = static_cast<std::uint32_t>(filter_age_base_ + now_.since(started_at_) / ns_per_second);
    // Of the last that found room: all of this vector that are of its connection, and for its lane, do.
    std::uint32_t passed_connection = no_index;
    std::uint8_t passed_lane = 0;
    for (EventRef& event : events) {
        const bool is_alike =
            event.verdict == Verdict::admitted && event.connection == passed_connection && event.lane == passed_lane;
        if (!is_alike) {
            // Before anything is taken of it: what waits is judged again, as if it had not come yet.
            const bool has_room = hold_back_if_full(event, seconds);
            passed_connection = has_room ? event.connection : no_index;
            passed_lane = event.lane;
        }
        if (event.verdict == Verdict::waiting) {
            ++put_back_count_;
            continue;
        }
        if (is_replay(event)) {
            judge_replayed(event, seconds);
        } else if (event.producer >= 0) {
            judge_numbered(event);
        } else {
            judge_unnumbered(event, seconds);
        }
        if (event.verdict == Verdict::admitted) keys_.note(event.key_hash, event.view.time);
    }
}

void Intake::judge_numbered(EventRef& event) {
    const Connection& connection = connections_[event.connection];
    // After a gap nothing of this connection counts any more.
    if (connection.session == Session::refused) {
        event.fail(Verdict::dropped, wire::Reason::number_gap, wire::StageId::cache);
        return;
    }
    const auto slot = static_cast<std::uint32_t>(event.producer);
    NumberVerdict verdict = producers_.take(slot, event.number);
    if (verdict == NumberVerdict::gap && producers_.may_leave_out(slot)) {
        producers_.leave_out_before(slot, event.number);
        verdict = producers_.take(slot, event.number);
    }
    switch (verdict) {
        case NumberVerdict::fresh:
            // Shed or not, its number is taken.
            return judge_shedding(event);
        case NumberVerdict::duplicate:
            return fail_as_known(event, event.number <= producers_.known_before(slot));
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
        return fail_as_known(event, event.number <= producers_.known_before(slot));
    }
    if (event.verdict == Verdict::dead_letter) event.verdict = Verdict::rejected;
    if (event.verdict != Verdict::admitted) return;
    // Nothing is shed that a person offers again: it may come once more, and stays the letter it is until then.
    if (shedding_.sheds_all(event.lane)) {
        return event.fail(Verdict::rejected, wire::Reason::lane_full, wire::StageId::route);
    }
    // Another letter of the same event, or its producer's own retry, may have been applied already.
    const bool is_known = filter_.contains(event.fingerprint, seconds);
    if (producers_.take_replayed(slot, event.number) == ReplayVerdict::no_room) {
        event.fail(Verdict::rejected, wire::Reason::replay_holes, wire::StageId::cache);
        return;
    }
    if (is_known) {
        return fail_as_known(event, lossy_lanes_ != 0 && filter_.index_of(event.fingerprint, seconds) < first_id_);
    }
    filter_.insert(event.fingerprint, seconds);
}

void Intake::batch() {
    const MonotonicNs judged_at = io_.now();
    batcher_.set_judged(judged_at);
    for (std::span<const EventRef> rest = vector_.events(); !rest.empty();) {
        const std::size_t count = row_of(rest);
        if (count > 1) {
            settle_row(rest.first(count));
        } else if (rest[0].verdict != Verdict::dropped && rest[0].verdict != Verdict::waiting) {
            settle(rest[0]);
        }
        rest = rest.subspan(count);
    }
    received_.record(counters_.hops.judged, judged_at);
    received_.clear();
}

void Intake::note_shed(const EventRef& event) {
    batcher_.note_shed(event.lane);
    ShedCounters& counters = counters_.shed[batcher_.opens_in(event.lane)];
    if (event.reason == wire::Reason::lane_full) counters.lane_full.add(1);
    if (event.reason == wire::Reason::shed_random) counters.random.add(1);
    if (event.reason == wire::Reason::shed_critical) counters.critical.add(1);
}

// As many from the front as are taken alike, lie one behind the other where they were received, and fit what is open of their lane.
std::size_t Intake::row_of(std::span<const EventRef> events) const {
    const EventRef& first = events[0];
    if (first.verdict != Verdict::admitted || first.is_edited) return 1;
    const Batcher::Room room = batcher_.open_room(first.lane);
    const std::size_t count_max = std::min<std::size_t>(events.size(), room.events);
    const std::byte* end = first.frame + first.frame_bytes();
    std::size_t count = 1;
    for (; count < count_max; ++count) {
        const EventRef& event = events[count];
        if (event.verdict != Verdict::admitted || event.is_edited || event.frame != end || event.lane != first.lane ||
            event.connection != first.connection || event.received_at != first.received_at) {
            break;
        }
        end += event.frame_bytes();
        if (static_cast<std::uint64_t>(end - first.frame) > room.bytes) break;
    }
    return count;
}

// What settle() does of each, at once.
void Intake::settle_row(std::span<const EventRef> events) {
    const EventRef& first = events[0];
    const wire::AckLevel level = connections_[first.connection].level;
    const auto count = static_cast<std::uint32_t>(events.size());
    WEIR_ASSERT(events.back().ordinal - first.ordinal == count - 1);
    counters_.offered.add(count);
    const Placed placed = batcher_.append_row(first.lane, events, static_cast<std::uint16_t>(first.producer + 1));
    received_.add(first.received_at, count);
    book_.appended(placed.stream, placed.sequence);
    AckItem item = item_of(first, wire::AckStatus::accepted);
    item.count = count;
    wait_for_word(waits_for_central(level, first.lane) && !WEIR_PLANTED(delivered_too_early), level, placed, item);
}

void Intake::wait_for_word(bool for_central, wire::AckLevel level, const Placed& placed, const AckItem& item) {
    if (level == wire::AckLevel::received) return book_.ack_now(item);
    book_.wait_for(for_central ? Wait::delivered : Wait::spooled, placed.stream, placed.sequence, placed.batch, item);
}

void Intake::settle(const EventRef& event) {
    const wire::AckLevel level = connections_[event.connection].level;
    const auto reason = static_cast<std::size_t>(event.reason);
    counters_.offered.add(1);
    Placed placed;
    wire::AckStatus status = wire::AckStatus::accepted;
    const auto tag = static_cast<std::uint16_t>(event.producer + 1);
    switch (event.verdict) {
        case Verdict::admitted:
            placed = batcher_.append(event.lane, event, tag);
            break;
        case Verdict::dead_letter:
            status = wire::AckStatus::dead_lettered;
            placed = batcher_.append_dead_letter(event, tag, wire::name_of(connections_[event.connection].label));
            counters_.dead_letters_by_reason[reason].add(1);
            break;
        case Verdict::duplicate: {
            counters_.duplicates.add(1);
            AckItem item = item_of(event, wire::AckStatus::duplicate);
            const bool is_lost = event.reason == wire::Reason::memory_lost && level != wire::AckLevel::received;
            if (is_lost) item.status = wire::AckStatus::shed;
            if (is_lost) return book_.ack_now(item);
            item.reason = wire::Reason::none;
            if (level == wire::AckLevel::received || WEIR_PLANTED(early_duplicate_ack)) return book_.ack_now(item);
            return book_.wait_behind_all(waits_for_central(level, event.lane) ? Wait::delivered : Wait::spooled, item);
        }
        case Verdict::rejected:
            counters_.rejected.add(1);
            counters_.rejected_by_reason[reason].add(1);
            return book_.ack_now(item_of(event, wire::AckStatus::rejected));
        case Verdict::shed:
            note_shed(event);
            return book_.ack_now(item_of(event, wire::AckStatus::shed));
        case Verdict::waiting:
        case Verdict::dropped:
            return;
    }
    received_.add(event.received_at);
    book_.appended(placed.stream, placed.sequence);
    // A dead letter is final where it is durable: nobody waits for central to have it.
    const bool for_central = waits_for_central(level, event.lane) && event.verdict == Verdict::admitted &&
                             !WEIR_PLANTED(delivered_too_early);
    wait_for_word(for_central, level, placed, item_of(event, status));
}

void Intake::finish_vector() {
    if (std::exchange(put_back_count_, 0) > 0) {
        for (const EventRef& event : vector_.events()) {
            if (event.verdict == Verdict::waiting) put_back(event);
        }
    }
    // A connection's events stand together: each row of them is one look.
    std::uint32_t last = no_index;
    for (const EventRef& event : vector_.events()) {
        if (std::exchange(last, event.connection) == event.connection) continue;
        connections_[event.connection].in_vector = false;
        connections_[event.connection].splitter.release_taken();
    }
    last = no_index;
    for (const EventRef& event : vector_.events()) {
        if (std::exchange(last, event.connection) == event.connection) continue;
        Connection& connection = connections_[event.connection];
        if (connection.wants_close || connection.wants_end) close(event.connection);
        if (connection.is_held_back) let_wait(event.connection);
    }
    vector_.clear();
    for (const std::uint32_t slot : vector_slots_) release_slot(slot);
    vector_slots_.clear();
    WEIR_ASSERT(counters_.offered.get() ==
                counters_.accepted.get() + counters_.duplicates.get() + counters_.rejected.get());
}

}  // namespace weir::edge
