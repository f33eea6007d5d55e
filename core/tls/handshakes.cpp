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
        if (one.was_accepted && one.held_head == io::no_slot) {  // gone without a word
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
                if (one.held_head != io::no_slot) continue;
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

bool TlsIo::may_begin_handshake(MonotonicNs now) {
    const std::uint64_t cost_ns = ns_per_second / tls_.handshakes_per_second_max;
    // No more at once than handshake_burst_ns allows: open connections wait while they are done.
    const std::uint64_t room_ns_max = std::max(cost_ns, tls_.handshake_burst_ns);
    handshake_room_ns_ = std::min(handshake_room_ns_ + now.since(handshake_room_at_), room_ns_max);
    handshake_room_at_ = now;
    if (handshake_room_ns_ < cost_ns) return false;
    handshake_room_ns_ -= cost_ns;
    return true;
}

}  // namespace weir::tls
