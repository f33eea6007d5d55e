// Endpoint: what a runner's sockets of one kind share: the credentials of their next handshakes, counters, and notes for the log.
//
// Thread    offer() and take_notes() by a control thread; the rest by the runner. Counters: written by the runner, read by anyone.
// Law       A state stays as long as a handshake uses it; a newer one waits for that, handshake_ns_max at most.
// Bounds    notes_max notes wait; more are counted.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/base/assert.hpp"
#include "core/metrics/counter.hpp"
#include "core/ring/ring.hpp"
#include "core/tls/credentials.hpp"
#include "core/tls/handover.hpp"

namespace weir::tls {

inline constexpr std::size_t notes_max = 64;

enum class NoteKind : std::uint8_t {
    handshake_failed,  // nobody was let in
    session_failed,    // an agreed connection ended by a fault of its TLS
    session_denied,    // an agreed connection ended by the deny list
    session_expired,   // an agreed connection ended because the peer's certificate ran out
    false_claim,       // the peer called itself what its certificate does not say
};
[[nodiscard]] std::string_view text(NoteKind kind) noexcept;

struct Note {
    NoteKind kind = NoteKind::handshake_failed;
    std::array<char, 64> address{};   // of the peer
    std::array<char, 72> identity{};  // "edge/north"; empty: unknown
    std::array<char, 160> what{};     // why, or what was claimed
};

template <std::size_t Count>
void put_text(std::array<char, Count>& into, std::string_view text) {
    into = {};
    std::copy_n(text.begin(), std::min(text.size(), Count - 1), into.begin());
}

struct EndpointCounters {
    Counter handshakes, handshakes_failed, handshakes_late, handshakes_pushed_out, handshake_ns, accept_pauses;
    Counter sessions, sessions_failed, sessions_denied, sessions_expired, cut_short, false_claims, rotations,
        notes_lost;
    Counter decrypted_bytes, encrypted_bytes;
};

class Endpoint {
  public:
    explicit Endpoint(std::unique_ptr<TlsState> first)
        : current_(std::move(first)),
          notes_(notes_max),
          note_writer_(notes_.take_writer()),
          note_reader_(notes_.take_reader()) {
        WEIR_ASSERT(current_ && current_->context);
    }

    // In place of one that the runner has not taken yet.
    void offer(std::unique_ptr<TlsState> next) { handover_.offer(std::move(next)); }
    void take_back() { handover_.take_back(); }
    template <class Take>
    void take_notes(Take&& take) {
        static_cast<void>(note_reader_.consume_all(std::forward<Take>(take)));
    }

    // True if there is a newer state since the last call: sessions may be denied by it.
    [[nodiscard]] bool refresh() noexcept {
        if (previous_) return false;
        auto next = handover_.take();
        if (!next) return false;
        previous_ = std::exchange(current_, std::move(next));
        previous_users_ = std::exchange(current_users_, 0);
        if (previous_users_ == 0) handover_.give_back(std::move(previous_));
        counters.rotations.add(1);
        return true;
    }
    [[nodiscard]] const TlsState& current() const { return *current_; }
    // A handshake uses the present state, until it has ended.
    [[nodiscard]] const TlsState& begin_use() {
        ++current_users_;
        return *current_;
    }
    void end_use(const TlsState& state) noexcept {
        if (&state == current_.get()) {
            WEIR_ASSERT(current_users_ > 0);
            --current_users_;
            return;
        }
        WEIR_ASSERT(&state == previous_.get() && previous_users_ > 0);
        if (--previous_users_ == 0) handover_.give_back(std::move(previous_));
    }
    void note(const Note& what) {
        if (!note_writer_.publish(what)) counters.notes_lost.add(1);
    }

    EndpointCounters counters;

  private:
    Handover<TlsState> handover_;
    std::unique_ptr<TlsState> current_;
    std::unique_ptr<TlsState> previous_;
    std::uint32_t current_users_ = 0;
    std::uint32_t previous_users_ = 0;
    Ring<Note> notes_;
    RingWriter<Note> note_writer_;
    RingReader<Note> note_reader_;
};

}  // namespace weir::tls
