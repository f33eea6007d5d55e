// HelloPace: how many hellos are admitted: `per_second`, and a tenth of a second's worth at once. Who is not admitted is told a turn of its
// own to come again, so that a crowd comes as fast as it is taken, and not later.
//
// Thread    One. Given time.
// Law       Where only those come who were told a turn each is admitted at its turn; but those whose turn would be later than turn_ns_max come
//           then, and are told again.
// Source    A token bucket, in nanoseconds of admission time that have not been used.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/types.hpp"

namespace weir::central {

class HelloPace {
  public:
    static constexpr std::uint64_t at_once_min = 16;
    static constexpr std::uint64_t turn_ns_max = 10 * ns_per_second;

    explicit HelloPace(std::uint32_t per_second)
        : cost_ns_(ns_per_second / per_second),
          saved_ns_max_(std::max<std::uint64_t>(ns_per_second / 10, at_once_min * cost_ns_)),
          saved_ns_(saved_ns_max_) {}
    // False: too many have come just now.
    [[nodiscard]] bool admit(MonotonicNs now) {
        saved_ns_ = std::min(saved_ns_max_, saved_ns_ + now.since(looked_at_));
        looked_at_ = now;
        if (saved_ns_ == saved_ns_max_)
            next_turn_ = now;  // nobody has come for long: turns that were told are not used
        if (saved_ns_ < cost_ns_) return false;
        saved_ns_ -= cost_ns_;
        return true;
    }

    // From now to the turn of one that was not admitted: behind those who were told theirs before it; turn_ns_max at most.
    [[nodiscard]] std::uint64_t take_turn(MonotonicNs now) {
        next_turn_ = std::min(std::max(next_turn_, now).plus_ns(cost_ns_), now.plus_ns(turn_ns_max));
        return next_turn_.since(now);
    }

  private:
    std::uint64_t cost_ns_;
    std::uint64_t saved_ns_max_;
    std::uint64_t saved_ns_;
    MonotonicNs looked_at_{};
    MonotonicNs next_turn_{};
};

}  // namespace weir::central
