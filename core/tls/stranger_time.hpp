// StrangerTime: how much of a runner's time goes to those who have not shown who they are. Theirs is a share; the rest is for
// agreed connections, however many strangers come.
//
// Thread    The runner's.
// Bounds    Over any stretch of time: share_percent of it, ns_at_once, and the one piece of work that went beyond.
// Cost      Nothing while no stranger is there: has_room() catches up whenever it is asked.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/assert.hpp"
#include "core/base/types.hpp"

namespace weir::tls {

class StrangerTime {
  public:
    // A runner that the kernel put aside in the middle of its work is not charged for more than this. (RSA-4096: some 2 ms.)
    static constexpr std::uint64_t piece_ns_max = 4 * ns_per_ms;

    StrangerTime(std::uint32_t share_percent, std::uint64_t ns_at_once)
        : share_percent_(share_percent), ns_at_once_(ns_at_once) {
        WEIR_ASSERT(share_percent > 0 && share_percent <= 100);
        WEIR_ASSERT(ns_at_once > 0 && ns_at_once <= ns_per_second);
    }

    [[nodiscard]] bool has_room(MonotonicNs now) noexcept {
        // Beyond this everything is paid: what was spent is bounded, and so the product below.
        const std::uint64_t passed = std::min(now.since(at_), stretch_ns_max);
        room_ns_ = std::min(room_ns_ + static_cast<std::int64_t>(passed * share_percent_ / 100),
                            static_cast<std::int64_t>(ns_at_once_));
        at_ = now;
        return room_ns_ > 0;
    }
    // Never more in debt than debt_ns_max: then a stall of this side's making is not paid for by everyone who comes.
    void spend(std::uint64_t ns) noexcept {
        room_ns_ = std::max(room_ns_ - static_cast<std::int64_t>(std::min(ns, piece_ns_max)), -debt_ns_max);
    }
    // When there will be room if nothing more is spent. In the past: there is.
    [[nodiscard]] MonotonicNs next_room() const noexcept {
        if (room_ns_ > 0) return at_;
        return at_.plus_ns((static_cast<std::uint64_t>(-room_ns_) + 1) * 100 / share_percent_ + 1);
    }

  private:
    static constexpr std::uint64_t stretch_ns_max = 3600 * ns_per_second;
    static constexpr std::int64_t debt_ns_max = 2 * static_cast<std::int64_t>(piece_ns_max);

    std::uint32_t share_percent_;
    std::uint64_t ns_at_once_;
    std::int64_t room_ns_ = 0;
    MonotonicNs at_{};
};

}  // namespace weir::tls
