// CatchUpWindow: how much of what is read back from disk may be on its way to central at once, so that the queue it makes for
// live batches stays short.
//
// Every batch's time from its sending to its ack is looked at. What it is above the least seen lately is queue; the window grows by
// what is acked while the queue is shorter than a target, and shrinks by up to half of it in a round trip while it is longer. So
// catching up takes what the way has left, and gives way to everybody else on it (the idea of LEDBAT, RFC 6817 section 2.4).
//
// Thread    One. Given time.
// Bounds    From window_bytes_min to the credit. The target is `queue_ns` or the least time seen, whichever is longer: beside a long
//           way a queue as long as the way itself does no more than double the time.
// Law       With nothing on its way one batch may always go.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/types.hpp"

namespace weir::edge {

inline constexpr std::uint64_t window_bytes_min = 128U << 10;
inline constexpr std::uint64_t window_bytes_first = 512U << 10;
inline constexpr std::uint64_t window_bytes_max = 1ULL << 30;
// The least time is of the last slots but one to slots so long: a way that became longer is known by then.
inline constexpr std::uint64_t least_slot_ns = 10 * ns_per_second;
inline constexpr std::size_t least_slots = 3;

class CatchUpWindow {
  public:
    // 0: no bound.
    explicit CatchUpWindow(std::uint64_t queue_ns) : queue_ns_(queue_ns) { least_.fill(never_seen); }

    [[nodiscard]] bool may_send(std::uint64_t bytes) const {
        return queue_ns_ == 0 || under_way_ == 0 || under_way_ + bytes <= window_;
    }
    void sent(std::uint64_t bytes) { under_way_ += bytes; }
    // An ack came `took_ns` after its batch was sent; `bytes` of it count here, 0 if it was live.
    void acked(std::uint64_t bytes, std::uint64_t took_ns, MonotonicNs now) {
        under_way_ -= std::min(under_way_, bytes);
        learn_least(took_ns, now);
        if (queue_ns_ == 0) return;
        const std::uint64_t target = std::max(queue_ns_, least_ns());
        const std::uint64_t queue = took_ns - std::min(took_ns, least_ns());
        if (queue <= target) {
            // Only a window that was used says anything.
            if (under_way_ + 2 * bytes < window_) return;
            const std::uint64_t room_permille = (target - queue) * 1000 / target;
            window_ = std::min(window_ + bytes * room_permille / 1000, window_bytes_max);
            return;
        }
        // Once in the time that an ack takes: those behind it were sent before the window had shrunk.
        if (now.since(shrunk_at_) < took_ns) return;
        shrunk_at_ = now;
        const std::uint64_t beyond_permille = std::min(queue - target, target) * 1000 / target;
        window_ = std::max(window_ - window_ / 2 * beyond_permille / 1000, window_bytes_min);
    }
    // The session ended: nothing is under way.
    void forget_under_way() { under_way_ = 0; }

    [[nodiscard]] std::uint64_t bytes() const { return queue_ns_ == 0 ? window_bytes_max : window_; }
    [[nodiscard]] std::uint64_t under_way() const { return under_way_; }
    // UINT64_MAX: none was seen.
    [[nodiscard]] std::uint64_t least_ns() const { return *std::min_element(least_.begin(), least_.end()); }

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

    std::uint64_t queue_ns_;
    std::uint64_t window_ = window_bytes_first;
    std::uint64_t under_way_ = 0;
    std::array<std::uint64_t, least_slots> least_;
    std::size_t slot_ = 0;
    MonotonicNs slot_at_{};
    MonotonicNs shrunk_at_{};
};

}  // namespace weir::edge
