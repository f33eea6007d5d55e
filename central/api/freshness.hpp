// Freshness: how old an answer is that goes up to a position of the journal.
//
// Thread    Any; one mutex.
// Law       staleness_ms() is never too small: an event that has been durable for longer is in the answer.
// Bounds    samples_max changes of the durable position; behind the oldest of them an answer is as old as can be said.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>

#include "core/base/types.hpp"

namespace weir::central {

class Freshness {
  public:
    static constexpr std::size_t samples_max = 4096;
    static constexpr std::uint64_t unknown_ms = UINT32_MAX;

    void note(std::uint64_t durable, MonotonicNs now);
    // 0: all that is durable is in it.
    [[nodiscard]] std::uint64_t staleness_ms(std::uint64_t position, std::uint64_t durable, MonotonicNs now) const;

  private:
    struct Sample {
        std::uint64_t durable = 0;
        MonotonicNs until{};  // when it was last seen to be that
    };
    mutable std::mutex mutex_;
    std::deque<Sample> samples_;
};

}  // namespace weir::central
