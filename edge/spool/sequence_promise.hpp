// SequencePromise: up to which sequence a lane in memory may send, so that no sequence is ever used twice.
//
// What a stored checkpoint promises was used, as far as a later start knows: it goes on behind that. So nothing beyond it is sent, and
// it runs ahead of what is used: by what the lane uses in a second or two, learned by doubling.
//
// Thread    Spool runner.
// Law       allowed() is never above what a checkpoint would be loaded with after a crash at this instant. A promise is at most
//           2 * ahead() of the one before it above that: so who finds only the older copy of a checkpoint knows how far the newer may have gone.
// Bounds    promise_events_min to promise_events_max ahead.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/types.hpp"

namespace weir::edge {

inline constexpr std::uint64_t promise_events_min = 256;
inline constexpr std::uint64_t promise_events_max = 1ULL << 24;
// One that is used up sooner was too short: the next one is twice as long.
inline constexpr std::uint64_t promise_ns = ns_per_second;

class SequencePromise {
  public:
    SequencePromise() = default;
    // All up to `last` was used, or counts as used.
    explicit SequencePromise(Sequence last) : stored_(last), storing_(last), used_at_begin_(last) {}
    // As a checkpoint says it: all up to `promised`, which was at most `ahead` beyond what was used.
    SequencePromise(Sequence promised, std::uint64_t ahead) : SequencePromise(promised) {
        ahead_ = stored_ahead_ = ahead;
    }
    // What a start goes on behind, that finds `promised` with `ahead` in a checkpoint whose newer copy cannot be read.
    [[nodiscard]] static Sequence beyond_lost_copy(Sequence promised, std::uint64_t ahead) {
        return promised + 2 * std::max(ahead, promise_events_min);
    }

    // May be sent.
    [[nodiscard]] Sequence allowed() const { return std::min({stored_, storing_, failed_}); }
    // What the checkpoint that is being stored says, or else the last one.
    [[nodiscard]] Sequence promised() const { return storing_; }
    [[nodiscard]] std::uint64_t ahead() const { return ahead_; }
    // `last` is given out: a checkpoint is wanted before what is promised is used up.
    [[nodiscard]] bool wants_more(Sequence last) const {
        return last > storing_ || (last > used_at_begin_ && last + ahead_ / 2 >= storing_);
    }
    // A checkpoint is being stored. A lane that used nothing since the last one needs none, and leaves no hole to a crash. `is_last`: nothing
    // is sent any more.
    void begin_store(Sequence last, MonotonicNs now, bool is_last = false) {
        // One that failed may be there all the same, until another has been written over it.
        if (is_storing_) failed_ = std::min(failed_, storing_);
        const Sequence most = beyond_lost_copy(stored_, stored_ahead_);
        // What is not promised yet was not used up: it is wanted all the same.
        const std::uint64_t unpromised = last - std::min(last, storing_);
        const std::uint64_t used = std::max(last - used_at_begin_, unpromised);
        const bool was_short = now.since(began_at_) < promise_ns;
        const std::uint64_t wanted = was_short ? 2 * std::max(used, ahead_) : 2 * used;
        ahead_ = used == 0 ? promise_events_min
                           : std::clamp(std::min(wanted, 2 * ahead_), promise_events_min, promise_events_max);
        storing_ = is_last ? last : std::min(used == 0 ? last : last + ahead_, most);
        used_at_begin_ = last;
        began_at_ = now;
        is_storing_ = true;
    }
    // It is stored.
    void stored() {
        stored_ = storing_;
        stored_ahead_ = ahead_;
        failed_ = UINT64_MAX;
        is_storing_ = false;
    }

  private:
    Sequence stored_ = 0;
    Sequence storing_ = 0;
    Sequence failed_ = UINT64_MAX;  // the least of those that failed since
    bool is_storing_ = false;
    Sequence used_at_begin_ = 0;
    std::uint64_t ahead_ = promise_events_min;
    std::uint64_t stored_ahead_ = promise_events_min;  // as it stands in the last one
    MonotonicNs began_at_{};
};

}  // namespace weir::edge
