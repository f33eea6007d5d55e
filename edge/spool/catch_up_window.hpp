// CatchUpWindow: how much of what is read back from disk may be on its way to central at once, so that the queue it makes for
// live batches stays short: catching up takes what the way has left, and gives way to everybody else on it (DelayWindow).
// Where no other stream is live the uplink does not ask it (CatchUpPace::is_alone): between edges central's credit and turns are fair.
//
// Thread    One. Given time.
// Bounds    From window_bytes_min to the credit.
// Law       With nothing on its way one batch may always go.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/types.hpp"
#include "edge/delay_window.hpp"

namespace weir::edge {

inline constexpr std::uint64_t window_bytes_min = 128U << 10;
inline constexpr std::uint64_t window_bytes_first = 512U << 10;
inline constexpr std::uint64_t window_bytes_max = 1ULL << 30;

class CatchUpWindow {
  public:
    // 0: no bound.
    explicit CatchUpWindow(std::uint64_t queue_ns)
        : window_({.queue_ns = queue_ns,
                   .bytes_min = window_bytes_min,
                   .bytes_first = window_bytes_first,
                   .bytes_max = window_bytes_max}) {}

    [[nodiscard]] bool may_send(std::uint64_t bytes) const {
        return !window_.is_bound() || under_way_ == 0 || under_way_ + bytes <= window_.bytes();
    }
    void sent(std::uint64_t bytes) { under_way_ += bytes; }
    // An ack came `took_ns` after its batch was sent; `bytes` of it count here, 0 if it was live.
    void acked(std::uint64_t bytes, std::uint64_t took_ns, MonotonicNs now) {
        under_way_ -= std::min(under_way_, bytes);
        window_.arrived(bytes, took_ns, under_way_, now);
    }
    // The session ended: nothing is under way.
    void forget_under_way() { under_way_ = 0; }

    [[nodiscard]] std::uint64_t bytes() const { return window_.bytes(); }
    [[nodiscard]] std::uint64_t under_way() const { return under_way_; }
    // UINT64_MAX: none was seen.
    [[nodiscard]] std::uint64_t least_ns() const { return window_.least_ns(); }

  private:
    DelayWindow window_;
    std::uint64_t under_way_ = 0;
};

}  // namespace weir::edge
