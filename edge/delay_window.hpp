// DelayWindow: how many bytes may be on a way at once, so that the queue they make there for those behind them stays short.
//
// Each piece's time on the way is looked at. What it is above the least seen lately is queue; the window grows by what arrives while the
// queue is shorter than a target, and shrinks by up to half of it in the time of a piece while it is longer (the idea of LEDBAT,
// RFC 6817 section 2.4). The way is as full as it must be to stay busy, and no fuller.
//
// Thread    One. Given time.
// Bounds    From bytes_min to bytes_max. The target is `queue_ns` or the least time seen, whichever is longer: on a long way a queue as
//           long as the way itself does no more than double the time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/types.hpp"

namespace weir::edge {

class DelayWindow {
  public:
    struct Options {
        std::uint64_t queue_ns = 0;  // 0: no bound
        std::uint64_t bytes_min = 0;
        std::uint64_t bytes_first = 0;
        std::uint64_t bytes_max = 0;
    };
    explicit DelayWindow(const Options& options) : options_(options), bytes_(options.bytes_first) {
        least_.fill(never_seen);
    }

    // A piece arrived `took_ns` after it set out; `bytes` of it count here. `under_way` is what is left on the way.
    void arrived(std::uint64_t bytes, std::uint64_t took_ns, std::uint64_t under_way, MonotonicNs now) {
        learn_least(took_ns, now);
        if (options_.queue_ns == 0) return;
        const std::uint64_t target = std::max(options_.queue_ns, least_ns());
        const std::uint64_t queue = took_ns - std::min(took_ns, least_ns());
        if (queue <= target) {
            // Only a window that was used says anything.
            if (under_way + 2 * bytes < bytes_) return;
            const std::uint64_t room_permille = (target - queue) * 1000 / target;
            bytes_ = std::min(bytes_ + bytes * room_permille / 1000, options_.bytes_max);
            return;
        }
        // Once in the time that a piece takes: those behind it set out before the window had shrunk.
        if (now.since(shrunk_at_) < took_ns) return;
        shrunk_at_ = now;
        const std::uint64_t beyond_permille = std::min(queue - target, target) * 1000 / target;
        bytes_ = std::max(bytes_ - bytes_ / 2 * beyond_permille / 1000, options_.bytes_min);
    }

    [[nodiscard]] bool is_bound() const { return options_.queue_ns != 0; }
    [[nodiscard]] std::uint64_t bytes() const { return is_bound() ? bytes_ : options_.bytes_max; }
    // UINT64_MAX: none was seen.
    [[nodiscard]] std::uint64_t least_ns() const { return *std::min_element(least_.begin(), least_.end()); }

    // The least time is of the last slots but one to slots so long: a way that became longer is known by then.
    static constexpr std::uint64_t least_slot_ns = 10 * ns_per_second;
    static constexpr std::size_t least_slots = 3;

  private:
    static constexpr std::uint64_t never_seen = UINT64_MAX;

    void learn_least(std::uint64_t took_ns, MonotonicNs now) {
        if (now.since(slot_at_) >= least_slot_ns) {
            slot_at_ = now;
            slot_ = (slot_ + 1) % least_slots;
            least_[slot_] = never_seen;
        }
        least_[slot_] = std::min(least_[slot_], took_ns);
    }

    Options options_;
    std::uint64_t bytes_;
    std::array<std::uint64_t, least_slots> least_{};
    std::size_t slot_ = 0;
    MonotonicNs slot_at_{};
    MonotonicNs shrunk_at_{};
};

}  // namespace weir::edge
