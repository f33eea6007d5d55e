// Connections whose lane has no room: their events are put back, what was received of them is parked, and they go on when there is.
//
// Law       An event that waits has not been judged: no number of it is taken, no id remembered, nothing counted. What is behind it of
//           its connection waits too, so that a connection's order is kept; nobody else does.
// Bounds    listen.waiting_bytes_max in all; who finds no place there is refused (storage) and comes again with what was not acked. The
//           rest of what a producer has sent stays in its socket.
#include <algorithm>
#include <cstring>
#include <utility>

#include "edge/intake/intake.hpp"

namespace weir::edge {
namespace {

// Of those that wait for a lane with room again: so many go on in one duty cycle. The room would be gone before more had a turn.
constexpr std::size_t wakes_per_cycle_max = 8;
// While one of so many receive slots is left, what comes is copied.
constexpr std::uint32_t others_slots_share = 8;

}  // namespace

// Runs of those that are gone count as long as nobody looks.
bool Intake::has_runs_for(std::uint8_t lane) {
    const StreamIndex stream = batcher_.opens_in(lane);
    if (book_.may_wait_for_central(stream)) return true;
    if (!book_.has_forgotten()) return false;
    book_.sweep();
    return book_.may_wait_for_central(stream);
}

// What it would be told without being placed: it needs no room.
bool Intake::is_known(const EventRef& event, std::uint32_t seconds) const {
    if (event.producer >= 0 && producers_.is_taken(static_cast<std::uint32_t>(event.producer), event.number))
        return true;
    const bool is_by_id = event.producer < 0 || is_replay(event);
    return is_by_id && event.verdict == Verdict::admitted && filter_.contains(event.fingerprint, seconds);
}

// True: it has room, and so have all admitted ones of this vector, its connection and its lane.
bool Intake::hold_back_if_full(EventRef& event, std::uint32_t seconds) {
    Connection& connection = connections_[event.connection];
    if (connection.is_held_back) {
        event.verdict = Verdict::waiting;
        return false;
    }
    const bool is_letter = event.verdict == Verdict::dead_letter && !is_replay(event);
    if (event.verdict != Verdict::admitted && !is_letter) return false;
    const std::uint8_t lane = is_letter ? batcher_.dead_lane() : event.lane;
    if (shedding_.sheds_all(lane)) return !is_letter;
    const bool for_central = !is_letter && waits_for_central(connection.level, lane);
    if (!shedding_.is_full(lane) && (!for_central || has_runs_for(lane)) && batcher_.reserve(lane)) {
        return !is_letter;
    }
    if (is_known(event, seconds)) return false;
    event.verdict = Verdict::waiting;
    connection.is_held_back = true;
    connection.held_back_frame = event.frame;
    connection.held_back_by = {lane, for_central};
    counters_.stalls.add(1);
    return false;
}

// The first of a connection's takes the splitter and the slot back to where it was cut out; those behind it come with it.
void Intake::put_back(const EventRef& event) {
    Connection& connection = connections_[event.connection];
    --connection.ordinal;
    if (event.frame != connection.held_back_frame) return;
    const std::uint32_t slot = connection.look_slot;
    const std::uint32_t offset = connection.look_offset;
    // Who was refused meanwhile, or is gone, is told nothing of it.
    const bool goes_on = connection.session == Session::open || connection.session == Session::ending;
    if (!goes_on || connection.wants_close) return;
    ConstBytes bytes;
    if (slot != no_index) bytes = ConstBytes(held_[slot].bytes, held_[slot].count_bytes).subspan(offset);
    const std::size_t used = connection.splitter.put_back(bytes, event.frame);
    if (slot != no_index && connection.held_head != slot) {
        // It was used up.
        const auto released = std::find(vector_slots_.begin(), vector_slots_.end(), slot);
        WEIR_ASSERT(released != vector_slots_.end());
        vector_slots_.erase(released);
        held_[slot].next = connection.held_head;
        connection.held_head = slot;
        if (connection.held_tail == no_index) connection.held_tail = slot;
        ++connection.held_count;
    }
    if (slot != no_index) connection.held_offset = offset + static_cast<std::uint32_t>(used);
    connection.has_stopped = false;
    connection.wants_end = false;
    connection.session = Session::open;  // a goodbye that came behind it comes again
}

// In its receive slot; where most of these are kept, as a copy among what waits, so that others can still receive. False: there is no
// room for it, and its connection was refused.
bool Intake::keep(std::uint32_t index, const io::Completion& completion, MonotonicNs now) {
    Connection& connection = connections_[index];
    const ConstBytes bytes(completion.bytes, static_cast<std::size_t>(completion.result));
    const bool is_crowded = slots_held_ >= slots_held_max_ - slots_held_max_ / others_slots_share;
    if (is_crowded && ParkedBytes::blocks_of(bytes.size()) <= parked_.free_count()) {
        copy_parked(bytes, connection, now);
        io_.release(completion.slot);
        return true;
    }
    if (slots_held_ >= slots_held_max_) {
        io_.release(completion.slot);
        refuse(index, wire::RefusalReason::storage,
               "the room for those who wait is full, and so are the receive slots");
        return false;
    }
    held_[completion.slot] = {completion.bytes, static_cast<std::uint32_t>(completion.result), no_index, now};
    hold(connection, completion.slot);
    ++slots_held_;
    if (!connection.is_waiting) return true;
    for (Waiting& one : waiting_) {
        if (one.connection == index && std::exchange(one.is_parked, false)) one.since = now;
    }
    return true;
}

// Mostly it has room again in a moment: until then what it holds stays where it is.
void Intake::let_wait(std::uint32_t index) {
    Connection& connection = connections_[index];
    connection.is_held_back = false;
    if (connection.session != Session::open) return;
    if (!connection.is_paused) {
        connection.is_paused = true;
        io_.pause_receive(connection.socket, true);
    }
    if (connection.is_waiting) return;
    connection.is_waiting = true;
    WEIR_ASSERT(waiting_.size() < waiting_.capacity());
    waiting_.push_back({.connection = index, .asked = connection.held_back_by, .since = now_});
}

// Gives the receive slots and the carry buffer of who has waited for a while to the others.
void Intake::park_overdue() {
    for (std::size_t place = 0; place < waiting_.size();) {
        Waiting& one = waiting_[place];
        if (one.is_parked || now_.since(one.since) < park_after_ns) {
            ++place;
            continue;
        }
        one.is_parked = park_whole(connections_[one.connection]);
        if (one.is_parked) continue;
        const std::size_t count = waiting_.size();
        refuse(one.connection, wire::RefusalReason::storage, "its lane is full, and so is the room for those who wait");
        if (waiting_.size() == count) ++place;  // it is being refused already
    }
}

bool Intake::park_whole(Connection& connection) {
    const ConstBytes carried = connection.splitter.waiting_in_pool();
    std::uint32_t blocks = ParkedBytes::blocks_of(carried.size());
    std::uint32_t offset = connection.held_offset;
    for (std::uint32_t slot = connection.held_head; slot != no_index; slot = held_[slot].next, offset = 0) {
        if (slot < receive_slots_) blocks += ParkedBytes::blocks_of(held_[slot].count_bytes - offset);
    }
    if (blocks > parked_.free_count()) return false;
    std::uint32_t rest = connection.held_head;
    offset = connection.held_offset;
    connection.held_head = connection.held_tail = no_index;
    connection.held_count = 0;
    if (!carried.empty()) {
        copy_parked(carried, connection, connection.received_at);
        connection.splitter.drop_waiting();
    }
    // The first keeps its place only if it stays the first.
    connection.held_offset = 0;
    while (rest != no_index) {
        const std::uint32_t slot = rest;
        rest = held_[slot].next;
        const ConstBytes bytes = ConstBytes(held_[slot].bytes, held_[slot].count_bytes).subspan(offset);
        offset = 0;
        if (slot < receive_slots_) {
            copy_parked(bytes, connection, held_[slot].received_at);
            release_slot(slot);
        } else {
            if (bytes.size() != held_[slot].count_bytes) {
                held_[slot].bytes += held_[slot].count_bytes - bytes.size();
                held_[slot].count_bytes = static_cast<std::uint32_t>(bytes.size());
            }
            hold(connection, slot);
        }
    }
    return true;
}

void Intake::copy_parked(ConstBytes bytes, Connection& connection, MonotonicNs received_at) {
    while (!bytes.empty()) {
        const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), parked_block_bytes));
        const std::uint32_t block = parked_.take();
        std::memcpy(parked_.bytes(block), bytes.data(), count);
        held_[receive_slots_ + block] = {parked_.bytes(block), count, no_index, received_at};
        hold(connection, receive_slots_ + block);
        bytes = bytes.subspan(count);
    }
}

bool Intake::has_room(const RoomAsked& asked) {
    if (shedding_.sheds_all(asked.lane)) return true;
    if (shedding_.is_full(asked.lane) || !batcher_.has_room(asked.lane)) return false;
    return !asked.for_central || has_runs_for(asked.lane);
}

// The longest waiting first, as far as their lanes have room.
std::size_t Intake::wake_waiting() {
    std::size_t woken = 0;
    std::size_t kept = 0;
    for (const Waiting one : waiting_) {
        const bool goes_on = woken < wakes_per_cycle_max && !poisoned_ && has_room(one.asked);
        if (!goes_on) {
            waiting_[kept++] = one;
            continue;
        }
        ++woken;
        Connection& connection = connections_[one.connection];
        connection.is_waiting = false;
        if (connection.held_count < held_slots_max / 2 && !draining_) {
            connection.is_paused = false;
            io_.pause_receive(connection.socket, false);
        }
        make_ready(one.connection);
    }
    waiting_.resize(kept);
    park_overdue();
    return woken;
}

void Intake::stop_waiting(Connection& connection) {
    connection.is_waiting = false;
    std::erase_if(waiting_, [&](const Waiting& one) { return &connections_[one.connection] == &connection; });
}

}  // namespace weir::edge
