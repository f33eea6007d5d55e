// TlsIo's handshakes: from the first byte until the owner is told, or nobody was let in.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/tls/tls_io.hpp"

namespace weir::tls {

bool TlsIo::begin_session(Entry& one) {
    const TlsState& state = one.endpoint->begin_use();
    one.using_ = &state;
    one.endpoint->counters.handshakes.add(1);
    one.session =
        Session::make(state, inner_->wall(), one.was_accepted ? tls_.listen_output_bytes : tls_.connect_output_bytes);
    return one.session != nullptr;
}

void TlsIo::end_use(Entry& one) {
    if (const TlsState* state = std::exchange(one.using_, nullptr)) one.endpoint->end_use(*state);
}

void TlsIo::step_handshake(std::uint32_t index, MonotonicNs now) {
    Entry& one = entries_[index];
    if (!one.session) {
        if (one.was_accepted && !has_input(one)) {  // gone without a word
            if (one.has_end) end_inner(index);
            return;
        }
        if (!begin_session(one)) return handshake_failed(index, "no memory for a session", -ENOMEM, now);
    }
    for (;;) {
        feed_front(one);
        const Outcome outcome = one.session->handshake();
        drop_read(one);
        flush(index);
        switch (outcome) {
            case Outcome::done:
                return handshake_done(index, now);
            case Outcome::wants_room:
                return;
            case Outcome::wants_input:
                if (has_input(one)) continue;
                if (one.has_end)
                    return handshake_failed(index, "the peer left", one.end < 0 ? one.end : -ECONNRESET, now);
                return;
            case Outcome::ended:
            case Outcome::failed:
                return handshake_failed(index, one.session->fault(), -EPROTO, now);
        }
    }
}

void TlsIo::handshake_done(std::uint32_t index, MonotonicNs now) {
    Entry& one = entries_[index];
    end_use(one);
    untime(index);
    // The list may have come while the handshake was under way.
    if (one.endpoint->current().denied.contains(one.session->peer())) {
        return handshake_failed(index, "the deny list names it", -EACCES, now);
    }
    one.endpoint->counters.sessions.add(1);
    note_expiry(one, now);
    if (one.was_accepted) return hand_over_accept(index, now);
    one.state = State::open;
    complete(one.token, io::Op::connect, 0, index);
}

void TlsIo::hand_over_accept(std::uint32_t index, MonotonicNs now) {
    Entry& one = entries_[index];
    const Entry& listener = entries_[one.listener];
    one.state = State::open;
    const bool is_listened = listener.state == State::listening && listener.generation == one.listener_generation;
    if (!is_listened || accepted_count_ >= options_.sockets_max) {
        ++accepts_refused_;
        return one.endpoint == nullptr ? end_inner(index) : leave(index, now);
    }
    ++accepted_count_;
    complete(listener.token, io::Op::accept, 0, index);
}

void TlsIo::handshake_failed(std::uint32_t index, const std::string& why, std::int32_t error, MonotonicNs now) {
    Entry& one = entries_[index];
    one.endpoint->counters.handshakes_failed.add(1);
    note(index, NoteKind::handshake_failed, why);
    if (one.was_accepted) {
        one.lingers = true;
        return leave(index, now);
    }
    end_use(one);
    untime(index);
    drop_held(one);
    one.state = State::broken;
    one.end = error;
    complete(one.token, io::Op::connect, error, index);
}

// Who came has its turn in serve_strangers(), if there is something to compute for it. What this side began goes on at once.
void TlsIo::await_turn(std::uint32_t index, MonotonicNs now) {
    Entry& one = entries_[index];
    if (!one.was_accepted || !has_input(one)) return step_handshake(index, now);
    if (!std::exchange(one.is_waiting, true)) waiting_.add(static_cast<std::int32_t>(index));
}

// One step, so that agreed connections wait for no more than that, and only within the share of those who came.
void TlsIo::serve_strangers() {
    if (timed_handshakes_ == 0 && !are_listeners_paused_) return;
    MonotonicNs now = inner_->now();
    if (stranger_time_.has_room(now) && !waiting_.is_empty()) {
        const auto index = static_cast<std::uint32_t>(waiting_.take());
        Entry& one = entries_[index];
        Endpoint& endpoint = *one.endpoint;
        one.is_waiting = false;
        if (!one.session && one.has_end) {  // nothing is computed for one who has gone
            handshake_failed(index, "the peer left", -ECONNRESET, now);
        } else {
            step_handshake(index, now);
        }
        if (one.state == State::handshaking) update_pause(one);
        const MonotonicNs after = inner_->now();
        stranger_time_.spend(after.since(now));
        endpoint.counters.handshake_ns.add(after.since(now));
        now = after;
    }
    const bool is_to_pause = !stranger_time_.has_room(now) || waiting_.count() >= tls_.handshakes_max / 2;
    if (std::exchange(are_listeners_paused_, is_to_pause) != is_to_pause) pause_listeners();
}

void TlsIo::pause_listeners() {
    for (const std::uint32_t index : listeners_) {
        const Entry& one = entries_[index];
        if (are_listeners_paused_) one.endpoint->counters.accept_pauses.add(1);
        inner_->pause_accept(one.inner, are_listeners_paused_ || one.is_paused);
    }
}

MonotonicNs TlsIo::next_stranger() const {
    return waiting_.is_empty() && !are_listeners_paused_ ? never : stranger_time_.next_room();
}

}  // namespace weir::tls
