#include "core/control/wire_tls.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/clock.hpp"
#include "core/tls/endpoint.hpp"
#include "core/tls/session.hpp"

namespace weir::control {

static_assert(WireTls::write_bytes_max == tls::record_plain_bytes_max);

WireTls::WireTls(const tls::TlsState& state, tls::EndpointCounters* counters)
    : session_(tls::Session::make(state, wall_now(), tls::output_bytes_min)),
      counters_(counters),
      time_floor_ns_(state.time_floor.value),
      peer_until_(never) {
    if (session_) {
        session_->wipe_what_was_read();
    } else {
        is_broken_ = true;
        fault_ = "no memory for a session";
    }
}

WireTls::~WireTls() = default;

WireTls::Next WireTls::next(WireWork& work) {
    if (is_broken_) return Next::failed;
    if (!std::exchange(work.is_tried, true)) work.outcome = try_once(work);
    // Whatever came of it: what the peer must see of it goes first, alerts too.
    output_ = session_->take_output();
    if (!output_.empty()) return Next::send;
    const bool needs_room = work.kind != WireWork::Kind::read || work.outcome == tls::Outcome::wants_room;
    if (needs_room && session_->is_output_under_way()) return Next::wait;
    if (work.count > 0) return Next::done;
    switch (work.outcome) {
        case tls::Outcome::done:
            return Next::done;
        case tls::Outcome::ended:
            return Next::ended;
        case tls::Outcome::failed:
            if (counters_ != nullptr && is_open_) counters_->sessions_failed.add(1);
            is_broken_ = true;
            fault_ = session_->fault();
            return Next::failed;
        case tls::Outcome::wants_input:
            work.is_tried = false;
            return Next::receive;
        case tls::Outcome::wants_room:
            work.is_tried = false;
            return Next::again;
    }
    return Next::failed;
}

tls::Outcome WireTls::try_once(WireWork& work) {
    tls::Outcome outcome = tls::Outcome::done;
    switch (work.kind) {
        case WireWork::Kind::handshake:
            return shake_hands();
        case WireWork::Kind::read:
            outcome = session_->read(work.room, work.count);
            if (counters_ != nullptr) counters_->decrypted_bytes.add(work.count);
            return outcome;
        case WireWork::Kind::write:
            outcome = session_->write(work.plain, work.count);
            if (counters_ != nullptr) counters_->encrypted_bytes.add(work.count);
            return outcome;
        case WireWork::Kind::finish:
            session_->finish();
            return outcome;
    }
    return outcome;
}

tls::Outcome WireTls::shake_hands() {
    const MonotonicNs before = monotonic_now();
    const tls::Outcome outcome = session_->handshake();
    if (counters_ != nullptr) counters_->handshake_ns.add(monotonic_now().since(before));
    if (outcome != tls::Outcome::done) return outcome;
    is_open_ = true;
    note_expiry();
    return outcome;
}

// In running time, so that a wall clock that is stepped ends nobody.
void WireTls::note_expiry() {
    const std::uint64_t until_ns = session_->peer().not_after.value;
    if (until_ns == 0) return;
    const std::uint64_t wall_ns = std::max(wall_now().value, time_floor_ns_);
    peer_until_ = monotonic_now().plus_ns(until_ns - std::min(until_ns, wall_ns));
}

void WireTls::sent() {
    output_ = {};
    session_->output_sent();
}

void WireTls::received(std::size_t bytes) {
    WEIR_ASSERT(bytes <= input_.size());
    session_->feed(ConstBytes(input_).first(bytes));
}

void WireTls::break_off(bool is_by_peer) {
    if (is_by_peer && is_open_ && counters_ != nullptr) counters_->cut_short.add(1);
    is_broken_ = true;
    if (is_by_peer && fault_.empty()) fault_ = "the peer left";
}

bool WireTls::is_hungry() const {
    return session_->unread().empty();
}

std::string_view WireTls::identity() const {
    return is_open_ ? session_->identity() : std::string_view{};
}

const tls::CertificateFacts& WireTls::peer() const {
    return session_->peer();
}

}  // namespace weir::control
