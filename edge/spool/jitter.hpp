// Jitter: pauses that differ from edge to edge, so that many do not come back in step.
//
// Thread    One. No randomness of its own: a function of the seed.
// Source    xorshift64 (Marsaglia 2003).
#pragma once

#include <cstdint>

namespace weir::edge {

class Jitter {
  public:
    explicit Jitter(std::uint64_t seed) : random_(seed | 1U) {}
    // From half of `ms` up to all of it.
    [[nodiscard]] std::uint64_t of(std::uint64_t ms) {
        random_ ^= random_ << 13U;
        random_ ^= random_ >> 7U;
        random_ ^= random_ << 17U;
        return ms - random_ % (ms / 2 + 1);
    }

  private:
    std::uint64_t random_;
};

}  // namespace weir::edge
