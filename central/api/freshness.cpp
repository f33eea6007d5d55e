#include "central/api/freshness.hpp"

#include <algorithm>

#include "core/journal/record.hpp"

namespace weir::central {

void Freshness::note(std::uint64_t durable, MonotonicNs now) {
    const std::lock_guard lock(mutex_);
    if (samples_.empty() || samples_.back().durable < durable) {
        if (samples_.size() == samples_max) samples_.pop_front();
        samples_.push_back({durable, now});
    } else if (samples_.back().durable == durable) {
        samples_.back().until = std::max(samples_.back().until, now);
    }
}

std::uint64_t Freshness::staleness_ms(std::uint64_t position, std::uint64_t durable, MonotonicNs now) const {
    // A reader's position is a record's end; what is durable ends with a block.
    const std::uint64_t reached = round_up(position, journal::block_bytes);
    if (reached >= durable) return 0;
    const std::lock_guard lock(mutex_);
    const auto beyond = std::upper_bound(samples_.begin(), samples_.end(), reached,
                                         [](std::uint64_t at, const Sample& one) { return at < one.durable; });
    if (beyond == samples_.begin()) return unknown_ms;
    return std::min(now.since(std::prev(beyond)->until) / ns_per_ms + 1, unknown_ms);
}

}  // namespace weir::central
