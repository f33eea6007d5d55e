// Random: everything that a simulated world leaves to chance, from one seed (xoshiro256**, Blackman and Vigna 2018).
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace weir::sim {

class Random {
  public:
    explicit Random(std::uint64_t seed) {
        for (std::uint64_t& word : state_) word = split(seed);
    }
    std::uint64_t next() {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17U;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }
    // 0 .. count-1; count > 0.
    std::uint64_t below(std::uint64_t count) { return next() % count; }
    // first .. last
    std::uint64_t within(std::uint64_t first, std::uint64_t last) { return first + below(last - first + 1); }
    bool chance(std::uint64_t per_mille) { return below(1000) < per_mille; }
    // A stream of its own, so that drawing more of one thing does not change all others.
    Random fork() { return Random(next()); }

  private:
    // splitmix64 (Steele, Lea, Flood 2014)
    static std::uint64_t split(std::uint64_t& seed) {
        std::uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31U);
    }
    std::array<std::uint64_t, 4> state_{};
};

}  // namespace weir::sim
