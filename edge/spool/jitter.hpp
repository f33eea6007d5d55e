// Jitter: pauses that differ from edge to edge, so that many do not come back in step.
//
// Thread    One. No randomness of its own: a function of the seed.
// Source    xorshift64 (Marsaglia 2003). Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of
//           the known ways it is the one in which a crowd that was lost at one instant comes back most evenly, with the fewest tries.
#pragma once

#include <cstdint>

namespace weir::edge {

class Jitter {
  public:
    explicit Jitter(std::uint64_t seed) : random_(seed | 1U) {
        // Seeds that differ in few bits would begin alike.
        for (int i = 0; i < 8; ++i) static_cast<void>(next());
    }
    // From half of `ms` up to all of it: for what must last.
    [[nodiscard]] std::uint64_t of(std::uint64_t ms) { return ms - next() % (ms / 2 + 1); }
    // From 1 to `ms`, each as likely: for coming back. `ms` at least 1.
    [[nodiscard]] std::uint64_t full(std::uint64_t ms) { return 1 + next() % ms; }

  private:
    [[nodiscard]] std::uint64_t next() {
        random_ ^= random_ << 13U;
        random_ ^= random_ >> 7U;
        random_ ^= random_ << 17U;
        return random_;
    }

    std::uint64_t random_;
};

}  // namespace weir::edge
