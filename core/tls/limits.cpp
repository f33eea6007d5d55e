// TlsIo's limits before trust, its times, and what new credentials and a new deny list change.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/tls/tls_io.hpp"

namespace weir::tls {

void TlsIo::time(std::uint32_t index, MonotonicNs now, std::uint64_t ns) {
    Entry& one = entries_[index];
    WEIR_ASSERT(one.timed_at == UINT32_MAX);
    one.timed_at = static_cast<std::uint32_t>(timed_.size());
    one.timed_since = now;
    one.deadline = now.plus_ns(ns);
    one.is_nobodys = one.state == State::leaving || one.was_accepted;
    if (one.is_nobodys) ++timed_handshakes_;
    timed_.push_back(index);
    next_deadline_ = std::min(next_deadline_, one.deadline);
}

void TlsIo::untime(std::uint32_t index) {
    Entry& one = entries_[index];
    if (std::exchange(one.is_waiting, false)) waiting_.remove(static_cast<std::int32_t>(index));
    if (one.timed_at == UINT32_MAX) return;
    timed_[one.timed_at] = timed_.back();
    entries_[timed_.back()].timed_at = one.timed_at;
    timed_.pop_back();
    one.timed_at = UINT32_MAX;
    if (std::exchange(one.is_nobodys, false)) --timed_handshakes_;
}

void TlsIo::look_at_timed(MonotonicNs now) {
    for (std::size_t at = timed_.size(); at > 0; --at) {
        if (at > timed_.size()) continue;
        const std::uint32_t index = timed_[at - 1];
        Entry& one = entries_[index];
        if (now < one.deadline) continue;
        if (one.state == State::leaving) {
            end_inner(index);
            continue;
        }
        one.endpoint->counters.handshakes_late.add(1);
        if (!one.was_accepted) {
            handshake_failed(index, "the handshake took too long", -ETIMEDOUT, now);
            continue;
        }
        note(index, NoteKind::handshake_failed, "the handshake took too long");
        end_inner(index);
    }
    next_deadline_ = never;
    for (const std::uint32_t index : timed_) next_deadline_ = std::min(next_deadline_, entries_[index].deadline);
}

// Rather one who says nothing than one for whom this side has yet to do something.
void TlsIo::push_out_oldest() {
    std::uint32_t oldest = io::no_slot;
    const auto goes_before = [](const Entry& one, const Entry& other) {
        if (one.is_waiting != other.is_waiting) return other.is_waiting;
        return one.timed_since < other.timed_since;
    };
    for (const std::uint32_t index : timed_) {
        if (!entries_[index].is_nobodys) continue;
        if (oldest == io::no_slot || goes_before(entries_[index], entries_[oldest])) oldest = index;
    }
    WEIR_ASSERT(oldest != io::no_slot);
    if (entries_[oldest].state != State::leaving) entries_[oldest].endpoint->counters.handshakes_pushed_out.add(1);
    end_inner(oldest);
}

void TlsIo::look_at_endpoints() {
    for (Endpoint* endpoint : {tls_.listen, tls_.connect}) {
        if (endpoint != nullptr && endpoint->refresh()) deny(*endpoint);
    }
}

void TlsIo::deny(const Endpoint& endpoint) {
    for (std::uint32_t index = 0; index < entries_.size(); ++index) {
        const Entry& one = entries_[index];
        if (one.state != State::open || one.endpoint != &endpoint || !one.session) continue;
        if (!endpoint.current().denied.contains(one.session->peer())) continue;
        break_session(index, NoteKind::session_denied, "the deny list names it", -EACCES);
    }
}

// In running time from the handshake on, which judged the certificate by the wall clock: one that is stepped later ends no session.
void TlsIo::note_expiry(Entry& one, MonotonicNs now) {
    const WallNs until = one.session->peer().not_after;
    if (until.value == 0) return;  // a peer without a certificate
    const WallNs wall = credible_wall(inner_->wall(), one.endpoint->current().time_floor);
    one.peer_until = now.plus_ns(until.value - std::min(until.value, wall.value));
    next_expiry_ = std::min(next_expiry_, one.peer_until);
}

void TlsIo::look_at_expiries(MonotonicNs now) {
    next_expiry_ = never;
    for (std::uint32_t index = 0; index < entries_.size(); ++index) {
        const Entry& one = entries_[index];
        if (one.state != State::open || one.peer_until == never) continue;
        if (one.peer_until <= now) {
            break_session(index, NoteKind::session_expired, "its certificate has run out", -EKEYEXPIRED);
        } else {
            next_expiry_ = std::min(next_expiry_, one.peer_until);
        }
    }
}

void TlsIo::note(std::uint32_t index, NoteKind kind, std::string_view what) {
    const Entry& one = entries_[index];
    Note said;
    said.kind = kind;
    put_text(said.address, inner_->peer_address(one.inner));
    if (one.session) put_text(said.identity, one.session->identity());
    put_text(said.what, what);
    one.endpoint->note(said);
}

}  // namespace weir::tls
