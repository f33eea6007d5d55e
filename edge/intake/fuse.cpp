#include "edge/intake/fuse.hpp"

#include <algorithm>

namespace weir::edge {

void Fuse::configure(const DeadLettersConfig& config) noexcept {
    config_ = config;
    reset();
}

void Fuse::reset() noexcept {
    state_ = FuseState::closed;
    ++generation_;
    window_ = {};
    pause_ms_ = config_.fuse_pause_ms;
}

bool Fuse::is_above_share(std::uint64_t judged, std::uint64_t failed) const noexcept {
    return failed * 100 > judged * config_.fuse_share_percent;
}

bool Fuse::is_guilty(const ConnectionRecord& record) const noexcept {
    if (record.generation != generation_ || !is_above_share(record.judged, record.failed)) return false;
    return record.judged >= known_events_min || failed_in_open_ >= config_.fuse_trial_events;
}

bool Fuse::holds(const ConnectionRecord& record) const noexcept {
    switch (state_) {
        case FuseState::closed:
            return false;
        case FuseState::open:
            return is_guilty(record);
        case FuseState::half_open:
            return trial_judged_ >= config_.fuse_trial_events && is_guilty(record);
    }
    return false;
}

void Fuse::count(ConnectionRecord& record, bool has_failed) noexcept {
    const std::uint64_t failed = has_failed ? 1 : 0;
    if (state_ == FuseState::closed) {
        window_[0].judged += 1;
        window_[0].failed += failed;
    } else if (state_ == FuseState::half_open && is_guilty(record)) {
        trial_judged_ += 1;
        trial_failed_ += failed;
    } else if (!is_guilty(record)) {
        failed_in_open_ += failed;
    }
    if (record.generation != generation_) record = {.generation = generation_};
    record.judged += 1;
    record.failed += has_failed ? 1 : 0;
    if (record.judged >= known_events_max) {
        record.judged /= 2;
        record.failed /= 2;
    }
}

void Fuse::count_passed(ConnectionRecord& record, std::uint32_t events) noexcept {
    if (state_ != FuseState::closed) {
        for (; events > 0; --events) count(record, false);
        return;
    }
    window_[0].judged += events;
    if (record.generation != generation_) record = {.generation = generation_};
    while (events > 0) {
        const std::uint32_t step = std::min(events, known_events_max - record.judged);
        record.judged += step;
        events -= step;
        if (record.judged < known_events_max) continue;
        record.judged /= 2;
        record.failed /= 2;
    }
}

bool Fuse::look(MonotonicNs now) noexcept {
    if (!config_.fuse) return false;
    switch (state_) {
        case FuseState::closed:
            return look_closed(now);
        case FuseState::open:
            if (now.since(changed_at_) < pause_ms_ * ns_per_ms) return false;
            state_ = FuseState::half_open;
            changed_at_ = now;
            trial_judged_ = trial_failed_ = 0;
            return true;
        case FuseState::half_open:
            return look_half_open(now);
    }
    return false;
}

bool Fuse::look_closed(MonotonicNs now) noexcept {
    const std::uint64_t judged = window_[0].judged + window_[1].judged;
    const std::uint64_t failed = window_[0].failed + window_[1].failed;
    if (failed >= config_.fuse_failures_min && is_above_share(judged, failed)) {
        pause_ms_ = config_.fuse_pause_ms;
        open(now);
        return true;
    }
    if (window_[0].since == never) window_[0].since = now;
    const bool is_old = now.since(window_[0].since) >= config_.fuse_window_s * ns_per_second / 2;
    if (is_old || window_[0].judged >= config_.fuse_window_events / 2) {
        window_[1] = window_[0];
        window_[0] = {0, 0, now};
    }
    return false;
}

bool Fuse::look_half_open(MonotonicNs now) noexcept {
    const bool is_over = trial_judged_ >= config_.fuse_trial_events;
    // Whoever was held and has nothing more to send ends the trial by silence.
    if (!is_over && now.since(changed_at_) < pause_ms_ * ns_per_ms) return false;
    if (is_above_share(trial_judged_, trial_failed_)) {
        pause_ms_ = std::min(pause_ms_ * 2, config_.fuse_pause_ms_max);
        open(now);
    } else {
        reset();
    }
    return true;
}

void Fuse::open(MonotonicNs now) noexcept {
    state_ = FuseState::open;
    changed_at_ = now;
    failed_in_open_ = 0;
}

}  // namespace weir::edge
