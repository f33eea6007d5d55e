// Fuse: stops the flood when more than a set share of what a stage judges fails there.
//
// What "stop" means: nothing more is read from the connections whose own events fail at that stage; they feel backpressure, their
// bytes stay where they are, and nothing of theirs is lost or answered. Every other connection goes on as before. What was
// taken is judged and answered as ever: an event that fails while the fuse is blown is a dead letter too.
//
//   closed ──more than the share of the window fails──▶ open ──the pause is over──▶ half open: a few events on trial
//      ▲                                                 ▲                              │
//      └── reset (operator, reload), or a good trial ────┼──────────────────────────────┤
//                                                        └── a bad trial: twice the pause ┘
//
// Thread    Intake runner. A plain state machine.
// Bounds    DeadLettersConfig. While open, a connection that is not known yet may fail known_events_min times before it is held, all
//           such together trial_events; then each is held at its first vector that fails more than the share. On trial: the
//           events of the vectors that begin before trial_events are judged, so at most a vector more.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/types.hpp"
#include "edge/config.hpp"

namespace weir::edge {

enum class FuseState : std::uint8_t { closed = 0, open = 1, half_open = 2 };
enum class FusedStage : std::uint8_t { decode = 0, validate = 1 };
inline constexpr std::size_t fused_stages = 2;

// What one connection's events came to at one stage, since the fuse was last reset.
struct ConnectionRecord {
    std::uint32_t generation = 0;
    std::uint32_t judged = 0;
    std::uint32_t failed = 0;
};

class Fuse {
  public:
    // Events of one connection from which on its own share is believed, and from which on old ones count half.
    static constexpr std::uint32_t known_events_min = 64;
    static constexpr std::uint32_t known_events_max = 1024;

    explicit Fuse(const DeadLettersConfig& config) : config_(config), pause_ms_(config.fuse_pause_ms) {}
    // Closes it.
    void configure(const DeadLettersConfig& config) noexcept;
    // Closes it, and forgets what the connections did.
    void reset() noexcept;

    // One event was judged; `record`: of its connection.
    void count(ConnectionRecord& record, bool has_failed) noexcept;
    // The same of so many that have not failed, of one connection.
    void count_passed(ConnectionRecord& record, std::uint32_t events) noexcept;
    // After each vector and in between: opens, half opens, closes. True if the state has changed.
    bool look(MonotonicNs now) noexcept;
    // Nothing may be read from this connection.
    [[nodiscard]] bool holds(const ConnectionRecord& record) const noexcept;
    [[nodiscard]] FuseState state() const { return state_; }

  private:
    struct Half {
        std::uint64_t judged = 0;
        std::uint64_t failed = 0;
        MonotonicNs since = never;
    };
    [[nodiscard]] bool is_above_share(std::uint64_t judged, std::uint64_t failed) const noexcept;
    [[nodiscard]] bool is_guilty(const ConnectionRecord& record) const noexcept;
    [[nodiscard]] bool look_closed(MonotonicNs now) noexcept;
    [[nodiscard]] bool look_half_open(MonotonicNs now) noexcept;
    void open(MonotonicNs now) noexcept;

    DeadLettersConfig config_;
    FuseState state_ = FuseState::closed;
    std::uint32_t generation_ = 1;
    std::array<Half, 2> window_;        // the one that is filled, and the one before it
    std::uint64_t failed_in_open_ = 0;  // of connections that are not held
    std::uint64_t trial_judged_ = 0;
    std::uint64_t trial_failed_ = 0;
    std::uint64_t pause_ms_;
    MonotonicNs changed_at_{};
};

// LetterQuota: how many dead letters one producer may make in a minute; what is above it is rejected, not kept.
class LetterQuota {
  public:
    static constexpr std::uint64_t period_ns = 60 * ns_per_second;
    struct Used {
        MonotonicNs since{};
        std::uint64_t letters = 0;
    };
    // True: one more may be kept, and counts. `per_minute` 0: no quota.
    [[nodiscard]] static bool take(Used& used, std::uint64_t per_minute, MonotonicNs now) noexcept {
        if (per_minute == 0) return true;
        if (used.letters == 0 || now.since(used.since) >= period_ns) used = {now, 0};
        if (used.letters >= per_minute) return false;
        ++used.letters;
        return true;
    }
};

}  // namespace weir::edge
