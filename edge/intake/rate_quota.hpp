// RateQuota: how many events one connection may have sent by now, at so many a second: a bucket of `burst` events that fills at the rate.
//
// It is told to the producer as credit, which is an absolute total: a producer that would be faster waits, and nothing of it is refused.
//
// Thread    Intake runner. Given time.
// Law       What is allowed never shrinks, and is at most `burst` above what was sent.
// Bounds    burst() = a hundredth of a second's events, at least rate_burst_min.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/types.hpp"

namespace weir::edge {

inline constexpr std::uint64_t rate_burst_min = 64;                        // events
inline constexpr std::uint64_t rate_events_max = std::uint64_t{1} << 32U;  // a second

class RateQuota {
  public:
    // Of one connection; made anew with each session. allowed 0: no rate was ever set for it.
    struct Used {
        MonotonicNs filled_at{};
        std::uint64_t allowed = 0;  // events since the session began
    };

    // 0: any rate.
    explicit RateQuota(std::uint64_t events_per_second)
        : rate_(events_per_second), burst_(std::max(events_per_second / 100, rate_burst_min)) {}

    [[nodiscard]] bool is_bound() const { return rate_ != 0; }
    [[nodiscard]] std::uint64_t burst() const { return burst_; }
    // A quarter of the bucket: what is worth telling a producer that has nothing acked meanwhile.
    [[nodiscard]] std::uint64_t step() const { return burst_ / 4; }
    // In which a step comes in.
    [[nodiscard]] std::uint64_t step_ns() const { return step() * ns_per_second / rate_ + 1; }

    [[nodiscard]] Used begin(MonotonicNs now) const { return {now, is_bound() ? burst_ : 0}; }
    // What the connection, which has sent `sent` events, may have sent by now.
    std::uint64_t fill(Used& used, std::uint64_t sent, MonotonicNs now) const {
        const std::uint64_t full = sent + burst_;
        used.allowed = std::max(used.allowed, sent);  // it began while any rate was allowed
        // A second at a time, whose product with the highest rate fits 64 bits: what is left is reckoned at the next look.
        const std::uint64_t came = std::min(now.since(used.filled_at), ns_per_second) * rate_ / ns_per_second;
        if (used.allowed + came >= full) {
            used = {now, full};
        } else if (came > 0) {
            used.allowed += came;
            // The part of an event that came beside them stays to be reckoned.
            used.filled_at = used.filled_at.plus_ns(came * ns_per_second / rate_);
        }
        return used.allowed;
    }

  private:
    std::uint64_t rate_;
    std::uint64_t burst_;
};

}  // namespace weir::edge
