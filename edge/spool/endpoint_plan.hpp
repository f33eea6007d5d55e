// EndpointPlan: which central to try next, and how long to wait before that.
//
// In order of preference; a failure goes to the next at once, and after the last one a new round begins at the first after a
// pause that doubles from round to round, with jitter so that edges do not come back in step.
//
// Thread    One. No randomness of its own: the jitter is a function of the seed.
#pragma once

#include <algorithm>
#include <cstdint>

namespace weir::edge {

class EndpointPlan {
  public:
    EndpointPlan(std::size_t endpoints, std::uint64_t pause_ms_min, std::uint64_t pause_ms_max, std::uint64_t seed)
        : endpoints_(endpoints),
          pause_ms_min_(pause_ms_min),
          pause_ms_max_(pause_ms_max),
          pause_ms_(pause_ms_min),
          random_(seed | 1U) {}
    [[nodiscard]] std::size_t endpoint() const { return endpoint_; }
    // The endpoint failed: chooses the next one; milliseconds to wait before trying it.
    [[nodiscard]] std::uint64_t failed() {
        if (++endpoint_ < endpoints_) return 0;
        endpoint_ = 0;
        const std::uint64_t pause = pause_ms_;
        pause_ms_ = std::min(pause_ms_ * 2, pause_ms_max_);
        return jittered(pause);
    }
    // A session came about: the next failure is the first of a fresh round.
    void succeeded() { pause_ms_ = pause_ms_min_; }
    // Back to the first preference, after the shortest or the longest pause.
    [[nodiscard]] std::uint64_t lost() {
        endpoint_ = 0;
        return jittered(pause_ms_min_);
    }
    [[nodiscard]] std::uint64_t turned_away() {
        endpoint_ = (endpoint_ + 1) % endpoints_;
        return jittered(pause_ms_max_);
    }

  private:
    // From half of `ms` up to all of it.
    [[nodiscard]] std::uint64_t jittered(std::uint64_t ms) {
        random_ ^= random_ << 13U;  // xorshift64 (Marsaglia 2003)
        random_ ^= random_ >> 7U;
        random_ ^= random_ << 17U;
        return ms - random_ % (ms / 2 + 1);
    }

    std::size_t endpoints_;
    std::uint64_t pause_ms_min_;
    std::uint64_t pause_ms_max_;
    std::uint64_t pause_ms_;
    std::uint64_t random_;
    std::size_t endpoint_ = 0;
};

}  // namespace weir::edge
