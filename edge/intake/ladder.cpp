#include "edge/intake/ladder.hpp"

#include <algorithm>

namespace weir::edge {

using wire::Rung;

bool Ladder::look(const RoomMeasures& measures, MonotonicNs now) noexcept {
    const Rung before = rung_;
    if (!config_.enabled) {
        rung_ = Rung::healthy;
        clear_since_ = never;
        return rung_ != before;
    }
    if (const Rung asked = asked_for(measures); asked > rung_) {
        rung_ = asked;
        clear_since_ = never;
        return true;
    }
    if (rung_ == Rung::healthy || held_by(measures) >= rung_) {
        clear_since_ = never;
        return false;
    }
    if (clear_since_ == never) clear_since_ = now;
    if (now.since(clear_since_) < config_.dwell_ms * ns_per_ms) return false;
    rung_ = rung_ == Rung::critical ? Rung::degraded : Rung::healthy;
    clear_since_ = now;  // the next rung wants a dwell time of its own
    return true;
}

// By the upper thresholds.
Rung Ladder::asked_for(const RoomMeasures& measures) const noexcept {
    const auto stalls = [&](std::uint64_t ms) { return ms != 0 && measures.stalled_ms >= ms; };
    if (measures.spool_percent >= config_.critical_spool_percent || stalls(config_.critical_stall_ms)) {
        return Rung::critical;
    }
    const std::uint64_t buffers = config_.degraded_buffers_free_percent;
    const bool is_short = buffers != 0 && measures.buffers_free_percent <= buffers;
    if (is_short || measures.spool_percent >= config_.degraded_spool_percent || stalls(config_.degraded_stall_ms)) {
        return Rung::degraded;
    }
    return Rung::healthy;
}

// By the lower ones: the rung that the measures do not let go.
Rung Ladder::held_by(const RoomMeasures& measures) const noexcept {
    const std::uint64_t spool_percent = measures.spool_percent + config_.below_percent;
    if (spool_percent > config_.critical_spool_percent) return Rung::critical;
    // A moment's stall is a flood's ordinary breath; half the time that asks for a rung holds it.
    const auto stalls = [&](std::uint64_t ms) { return ms != 0 && measures.stalled_ms >= ms / 2 + 1; };
    if (stalls(config_.critical_stall_ms)) return Rung::critical;
    const std::uint64_t buffers = config_.degraded_buffers_free_percent;
    const bool is_short = buffers != 0 && measures.buffers_free_percent <= buffers + config_.below_percent;
    const bool is_held =
        is_short || spool_percent > config_.degraded_spool_percent || stalls(config_.degraded_stall_ms);
    return is_held ? Rung::degraded : Rung::healthy;
}

LadderEffects Ladder::effects() const noexcept {
    LadderEffects effects;
    if (rung_ == Rung::healthy) return effects;
    effects.enrich = false;
    effects.linger_us_min = config_.linger_us;
    effects.sheds_best_effort = rung_ == Rung::critical;
    return effects;
}

std::uint64_t spool_fill_percent(std::uint64_t needed_bytes, std::uint64_t held_bytes, std::uint64_t bytes_max,
                                 std::uint64_t disk_free_bytes) noexcept {
    const std::uint64_t on_disk = disk_free_bytes > UINT64_MAX - held_bytes ? UINT64_MAX : held_bytes + disk_free_bytes;
    const std::uint64_t capacity = std::min(bytes_max, on_disk);
    if (needed_bytes >= capacity) return 100;
    return needed_bytes / (capacity / 100 + 1);
}

}  // namespace weir::edge
