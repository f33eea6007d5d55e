// PartChoice: in which of its two parts a live_first lane opens its batches.
//
// The backlog takes over when no session has been live for part_outage_ns, or when the live part lags by more than
// part_lag_bytes_max; the live part comes back when a session is live and all of the live part is sent or in memory. What was
// sequenced stays where it is.
//
// Thread    One. Given time.
// Law       Between two changes lie at least part_dwell_ns.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::edge {

inline constexpr std::uint64_t part_outage_ns = ns_per_second;
inline constexpr std::uint64_t part_dwell_ns = 2 * ns_per_second;
inline constexpr std::uint64_t part_lag_bytes_max = 16ULL << 20;

class PartChoice {
  public:
    explicit PartChoice(MonotonicNs started_at) : live_at_(started_at), changed_at_(started_at) {}
    struct Seen {
        bool is_live = false;                 // a session is
        bool is_caught_up = false;            // all of the live part was handed to it
        std::uint64_t undelivered_bytes = 0;  // of the live part
    };
    // True if it has changed.
    [[nodiscard]] bool look(const Seen& seen, MonotonicNs now) {
        if (seen.is_live) live_at_ = now;
        was_live_ = seen.is_live;
        if (has_changed_ && now.since(changed_at_) < part_dwell_ns) return false;
        const bool is_away = now.since(live_at_) >= part_outage_ns;
        const bool lags = seen.undelivered_bytes > part_lag_bytes_max;
        const bool is_backlog = part_ == wire::Part::backlog;
        if (is_backlog ? !(seen.is_live && seen.is_caught_up && !lags) : !(is_away || lags)) return false;
        part_ = is_backlog ? wire::Part::live : wire::Part::backlog;
        changed_at_ = now;
        has_changed_ = true;
        return true;
    }
    [[nodiscard]] wire::Part part() const { return part_; }
    // When it may change without anything else happening.
    [[nodiscard]] MonotonicNs next_at() const {
        if (was_live_ || part_ == wire::Part::backlog) return never;
        const MonotonicNs away = live_at_.plus_ns(part_outage_ns);
        return has_changed_ ? std::max(away, changed_at_.plus_ns(part_dwell_ns)) : away;
    }

  private:
    wire::Part part_ = wire::Part::live;
    MonotonicNs live_at_;  // when a session was last live
    MonotonicNs changed_at_;
    bool has_changed_ = false;
    bool was_live_ = false;
};

}  // namespace weir::edge
