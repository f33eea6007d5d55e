// TlsIo's inside: what comes from the Io beneath, receiving, sending and leaving. Beside it: handshakes.cpp, limits.cpp.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/tls/tls_io.hpp"

namespace weir::tls {
namespace {

constexpr std::uint32_t held_slots_max = 2;  // of inner slots; then a socket's receiving is paused
// What one who comes and says nothing takes of the runner: accept, receive, cancel, close and the packets of its end, which the
// kernel does in the runner's time, rounded up. With the share of strangers it bounds the accepts: 400 in a second at 10 %, so that the
// last of a full queue (1,024) still has its turn within the 5 s that its own side waits.
constexpr std::uint64_t accept_ns = 250 * ns_per_us;

}  // namespace

std::string_view text(NoteKind kind) noexcept {
    switch (kind) {
        case NoteKind::handshake_failed:
            return "tls_handshake_failed";
        case NoteKind::session_failed:
            return "tls_session_failed";
        case NoteKind::session_denied:
            return "tls_session_denied";
        case NoteKind::session_expired:
            return "tls_session_expired";
        case NoteKind::false_claim:
            return "tls_false_claim";
    }
    return "tls";
}

void TlsIo::on_inner(const io::Completion& completion, MonotonicNs now) {
    const std::uint32_t index = completion.token.index;
    switch (completion.op) {
        case io::Op::read:
        case io::Op::write:
        case io::Op::sync:
            queued_.push_back(completion);  // its owner's own token
            return;
        case io::Op::accept:
        case io::Op::connect:
        case io::Op::receive:
        case io::Op::send:
            break;
    }
    if (entries_[index].generation != completion.token.generation || entries_[index].state == State::free) {
        if (completion.op == io::Op::accept && completion.socket.is_valid()) inner_->close(completion.socket);
        if (completion.slot != io::no_slot) inner_->release(completion.slot);
        return;
    }
    switch (completion.op) {
        case io::Op::accept:
            return on_accept(index, completion, now);
        case io::Op::connect:
            return on_connect(index, completion.result, now);
        case io::Op::receive:
            return on_receive(index, completion, now);
        case io::Op::send:
            return on_send(index, completion.result, now);
        case io::Op::read:
        case io::Op::write:
        case io::Op::sync:
            return;
    }
}

void TlsIo::on_accept(std::uint32_t index, const io::Completion& completion, MonotonicNs now) {
    const Entry& listener = entries_[index];
    if (completion.result < 0 || !completion.socket.is_valid()) {
        return complete(listener.token, io::Op::accept, completion.result, index);
    }
    if (listener.endpoint != nullptr) stranger_time_.spend(accept_ns);
    if (listener.endpoint != nullptr && timed_handshakes_ >= tls_.handshakes_max) push_out_oldest();
    const bool is_full = listener.endpoint == nullptr && accepted_count_ >= options_.sockets_max;
    const std::uint32_t accepted =
        is_full ? io::no_slot
                : add(listener.endpoint == nullptr ? State::open : State::handshaking, io::Token{}, listener.endpoint);
    if (accepted == io::no_slot) {
        ++accepts_refused_;
        return inner_->close(completion.socket);
    }
    Entry& one = entries_[accepted];
    one.was_accepted = true;
    one.inner = completion.socket;
    one.listener = index;
    one.listener_generation = entries_[index].generation;
    if (one.endpoint == nullptr) return hand_over_accept(accepted, now);
    // Its session is made when it has said something: connections that only stay cost no memory.
    time(accepted, now, tls_.handshake_ns_max);
    one.has_inner_receive = true;
    inner_->receive(one.inner, inner_token(accepted));
}

void TlsIo::on_connect(std::uint32_t index, std::int32_t result, MonotonicNs now) {
    Entry& one = entries_[index];
    if (one.state != State::connecting) return;
    if (result < 0 || one.endpoint == nullptr) {
        one.state = result < 0 ? State::broken : State::open;
        one.end = result;
        return complete(one.token, io::Op::connect, result, index);
    }
    one.state = State::handshaking;
    time(index, now, tls_.handshake_ns_max);
    one.has_inner_receive = true;
    inner_->receive(one.inner, inner_token(index));
    step_handshake(index, now);
}

void TlsIo::on_receive(std::uint32_t index, const io::Completion& completion, MonotonicNs now) {
    Entry& one = entries_[index];
    const bool is_wanted = one.state == State::handshaking || one.state == State::open;
    if (completion.result > 0 && is_wanted) {
        hold(index, completion);
    } else if (completion.result > 0) {
        inner_->release(completion.slot);
    } else {
        one.has_inner_receive = false;
        if (one.state != State::broken) {
            one.has_end = true;
            one.end = completion.result;
        }
    }
    switch (one.state) {
        case State::handshaking:
            return await_turn(index, now);
        case State::open:
            return pump_receive(index);
        case State::leaving:
            if (one.has_end && one.lingers) end_inner(index);
            return;
        case State::closed:
            return free_if_done(index);
        case State::free:
        case State::listening:
        case State::connecting:
        case State::broken:
            return;
    }
}

void TlsIo::on_send(std::uint32_t index, std::int32_t result, MonotonicNs now) {
    Entry& one = entries_[index];
    one.has_inner_send = false;
    if (one.endpoint == nullptr) {
        one.is_sending = false;
        complete(one.send_token, io::Op::send, result, index);
        return free_if_done(index);
    }
    if (one.state == State::closed) return free_if_done(index);
    one.session->output_sent();
    if (result < 0) {
        if (one.state == State::handshaking) return handshake_failed(index, "nothing can be sent", result, now);
        if (one.state == State::leaving) return end_inner(index);
        if (one.state == State::open) return break_session(index, NoteKind::session_failed, "", result);
        return;
    }
    if (one.state == State::handshaking) return await_turn(index, now);
    if (one.state == State::leaving) return leave_if_said(index);
    pump_send(index);
    if (std::exchange(one.waits_for_room, false) && one.state == State::open) pump_receive(index);
}

void TlsIo::hold(std::uint32_t index, const io::Completion& completion) {
    Entry& one = entries_[index];
    if (one.state == State::handshaking &&
        keep_early(one, {completion.bytes, static_cast<std::size_t>(completion.result)})) {
        return inner_->release(completion.slot);
    }
    held_[completion.slot] = {io::no_slot, {completion.bytes, static_cast<std::size_t>(completion.result)}};
    if (one.held_head == io::no_slot) {
        one.held_head = completion.slot;
    } else {
        held_[one.held_tail].next = completion.slot;
    }
    one.held_tail = completion.slot;
    ++one.held_count;
    if (one.state == State::handshaking) update_pause(one);
}

// Slots are few and agreed connections need them. Only behind what was kept so before, and not while the session reads from there.
bool TlsIo::keep_early(Entry& one, ConstBytes bytes) {
    const bool has_room = one.early.size() + bytes.size() <= handshake_bytes_max;
    if (!one.was_accepted || one.is_front_fed || one.held_head != io::no_slot || !has_room) return false;
    one.early.insert(one.early.end(), bytes.begin(), bytes.end());
    return true;
}

void TlsIo::drop_early(Entry& one) {
    std::vector<std::byte>().swap(one.early);
    one.is_front_fed = false;
}

std::uint32_t TlsIo::pop_front(Entry& one) {
    const std::uint32_t slot = one.held_head;
    one.held_head = held_[slot].next;
    --one.held_count;
    one.is_front_fed = false;
    return slot;
}

void TlsIo::drop_held(Entry& one) {
    while (one.held_head != io::no_slot) inner_->release(pop_front(one));
    drop_early(one);
}

void TlsIo::feed_front(Entry& one) {
    if (one.is_front_fed || !has_input(one)) return;
    one.session->feed(one.early.empty() ? held_[one.held_head].bytes : ConstBytes(one.early));
    one.is_front_fed = true;
}

void TlsIo::drop_read(Entry& one) {
    if (!one.is_front_fed || !one.session->unread().empty()) return;
    if (one.early.empty()) return inner_->release(pop_front(one));
    drop_early(one);
}

void TlsIo::pump_receive(std::uint32_t index) {
    Entry& one = entries_[index];
    if (one.endpoint == nullptr) return pump_plain(index);
    auto outcome = Outcome::done;
    while (outcome == Outcome::done && one.is_receiving && !one.is_paused &&
           (has_input(one) || one.session->has_plain())) {
        if (free_slots_.empty()) {
            starve(index);
            break;
        }
        const std::uint32_t slot = free_slots_.back();
        std::size_t count = 0;
        outcome = fill_slot(index, slot, count);
        if (count > 0) {
            one.endpoint->counters.decrypted_bytes.add(count);
            lease(index, io::no_slot, {slab_ + std::size_t{slot} * options_.slot_bytes, count});
        }
    }
    flush(index);  // a renewed key is answered
    if (outcome == Outcome::failed)
        return break_session(index, NoteKind::session_failed, one.session->fault(), -EPROTO);
    if (outcome == Outcome::ended) {
        end_receive(index, 0);
    } else if (one.is_receiving && !one.is_paused && one.has_end && !one.waits_for_room && !has_input(one) &&
               !one.session->has_plain()) {
        if (one.end == 0) one.endpoint->counters.cut_short.add(1);
        end_receive(index, one.end < 0 ? one.end : -ECONNRESET);
    }
    if (!one.is_receiving && outcome == Outcome::ended) drop_held(one);
    update_pause(one);
}

// Until the slot is full, or what was received is used up.
Outcome TlsIo::fill_slot(std::uint32_t index, std::uint32_t slot, std::size_t& count) {
    Entry& one = entries_[index];
    const Bytes cell{slab_ + std::size_t{slot} * options_.slot_bytes, options_.slot_bytes};
    for (;;) {
        feed_front(one);
        std::size_t read = 0;
        const Outcome outcome = one.session->read(cell.subspan(count), read);
        count += read;
        drop_read(one);
        if (outcome == Outcome::wants_room) one.waits_for_room = true;
        if (outcome != Outcome::wants_input || !has_input(one)) return outcome;
    }
}

void TlsIo::pump_plain(std::uint32_t index) {
    Entry& one = entries_[index];
    while (one.is_receiving && !one.is_paused && one.held_head != io::no_slot) {
        if (free_slots_.empty()) {
            starve(index);
            break;
        }
        const ConstBytes bytes = held_[one.held_head].bytes;
        lease(index, pop_front(one), bytes);
    }
    if (one.is_receiving && !one.is_paused && one.has_end && one.held_head == io::no_slot) end_receive(index, one.end);
    update_pause(one);
}

void TlsIo::end_receive(std::uint32_t index, std::int32_t result) {
    Entry& one = entries_[index];
    one.is_receiving = false;
    complete(one.token, io::Op::receive, result, index);
}

// Ciphertext that cannot be handed on keeps its slots from the others: no more of it is taken than that.
void TlsIo::update_pause(Entry& one) {
    if (!one.has_inner_receive || (one.state != State::open && one.state != State::handshaking)) return;
    const bool is_full = one.held_count >= held_slots_max || (one.is_inner_paused && one.held_count > 0);
    const bool wants_pause = one.is_paused || is_full;
    if (wants_pause == one.is_inner_paused) return;
    one.is_inner_paused = wants_pause;
    inner_->pause_receive(one.inner, wants_pause);
}

void TlsIo::starve(std::uint32_t index) {
    ++slots_exhausted_;
    if (std::exchange(entries_[index].is_starved, true)) return;
    starved_.push_back(index);
}

// In the order in which they found no slot.
void TlsIo::feed_starved() {
    if (starved_.empty() || free_slots_.empty()) return;
    std::swap(feeding_, starved_);
    for (const std::uint32_t index : feeding_) {
        if (!std::exchange(entries_[index].is_starved, false)) continue;
        if (entries_[index].state == State::open) pump_receive(index);
    }
    feeding_.clear();
}

void TlsIo::flush(std::uint32_t index) {
    Entry& one = entries_[index];
    if (one.has_inner_send) return;
    const ConstBytes bytes = one.session->take_output();
    if (bytes.empty()) return;
    one.has_inner_send = true;
    inner_->send(one.inner, bytes, inner_token(index));
}

void TlsIo::pump_send(std::uint32_t index) {
    Entry& one = entries_[index];
    if (one.state != State::open) return flush(index);
    if (!one.unsent.empty()) {
        std::size_t taken = 0;
        const Outcome outcome = one.session->write(one.unsent, taken);
        one.unsent = one.unsent.subspan(taken);
        one.endpoint->counters.encrypted_bytes.add(taken);
        if (outcome == Outcome::failed || outcome == Outcome::ended) {
            return break_session(index, NoteKind::session_failed, one.session->fault(), -EPROTO);
        }
    }
    flush(index);
    if (!one.is_sending || !one.unsent.empty() || one.has_inner_send) return;
    one.is_sending = false;
    complete(one.send_token, io::Op::send, static_cast<std::int32_t>(one.send_bytes), index);
}

// The owner is told by what it waits for, and closes it.
void TlsIo::break_session(std::uint32_t index, NoteKind kind, const std::string& why, std::int32_t error) {
    Entry& one = entries_[index];
    EndpointCounters& counters = one.endpoint->counters;
    Counter& counter = kind == NoteKind::session_denied    ? counters.sessions_denied
                       : kind == NoteKind::session_expired ? counters.sessions_expired
                                                           : counters.sessions_failed;
    counter.add(1);
    if (!why.empty()) note(index, kind, why);
    drop_held(one);
    if (one.has_inner_receive && !std::exchange(one.is_inner_paused, true)) inner_->pause_receive(one.inner, true);
    one.state = State::broken;
    one.end = error;
    flush(index);
    if (std::exchange(one.is_sending, false)) complete(one.send_token, io::Op::send, error, index);
    one.unsent = {};
    if (one.is_receiving) end_receive(index, error);
}

void TlsIo::leave(std::uint32_t index, MonotonicNs now) {
    Entry& one = entries_[index];
    end_use(one);
    drop_held(one);
    untime(index);
    if (timed_handshakes_ >= tls_.handshakes_max) push_out_oldest();
    one.state = State::leaving;
    time(index, now, tls_.farewell_ns_max);
    if (one.session) one.session->finish();
    leave_if_said(index);
}

void TlsIo::leave_if_said(std::uint32_t index) {
    Entry& one = entries_[index];
    if (one.session) flush(index);
    if (one.has_inner_send || (one.lingers && !one.has_end)) return;
    end_inner(index);
}

void TlsIo::end_inner(std::uint32_t index) {
    Entry& one = entries_[index];
    end_use(one);
    untime(index);
    drop_held(one);
    one.state = State::closed;
    inner_->close(one.inner);
    free_if_done(index);
}

}  // namespace weir::tls
