// Pace: an open-loop schedule: event i is due at start + i / rate, whatever happened to those before it.
#pragma once

#include <cstdint>

#include "core/base/types.hpp"

namespace weir::bench {

class Pace {
  public:
    // `rate` in events per second; 0 = everything is due at once.
    Pace(std::uint64_t rate, MonotonicNs start) : rate_(rate), start_(start) {}
    [[nodiscard]] bool is_due(std::uint64_t index, MonotonicNs now) const {
        return rate_ == 0 || intended(index) <= now;
    }
    [[nodiscard]] MonotonicNs intended(std::uint64_t index) const {
        if (rate_ == 0) return start_;
        return start_.plus_ns(index / rate_ * ns_per_second + index % rate_ * ns_per_second / rate_);
    }
    // When event `index` should have gone out, as its latency counts: its place in the schedule, or now without one.
    [[nodiscard]] MonotonicNs counted_from(std::uint64_t index, MonotonicNs now) const {
        return rate_ == 0 ? now : intended(index);
    }

  private:
    std::uint64_t rate_;
    MonotonicNs start_;
};

}  // namespace weir::bench
