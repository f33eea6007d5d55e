// KeyDraw: which key each event gets: none, any of them alike, or by Zipf's law: the k-th most frequent in proportion to 1 / k^s.
//
// Thread    One.
// Cost      Uniform: two multiplications. Zipf: drawn before the run (drawn_count), then in turn.
// Source    W. Hoermann, G. Derflinger: Rejection-inversion to generate variates from monotone discrete distributions, 1996.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace weir::bench {

class KeyDraw {
  public:
    static constexpr std::size_t drawn_count = 1U << 20;
    static constexpr std::uint64_t keys_max = 1'000'000'000;
    // `distribution`: "uniform", "zipf" (s = 1) or "zipf:S", 0 < S <= 5. `keys` 0: there are no keys.
    [[nodiscard]] static Result<KeyDraw> make(std::uint64_t keys, std::string_view distribution, std::uint64_t seed);

    [[nodiscard]] bool has_keys() const { return keys_ > 0; }
    // 0 to keys - 1; the most frequent ones are the lowest.
    [[nodiscard]] std::uint64_t next();

  private:
    [[nodiscard]] std::uint64_t random();
    [[nodiscard]] double random_share() { return static_cast<double>(random() >> 11U) * 0x1.0p-53; }
    void draw_zipf(double exponent);

    std::uint64_t keys_ = 0;
    std::uint64_t state_ = 0;
    std::vector<std::uint32_t> drawn_;
    std::size_t at_ = 0;
};

}  // namespace weir::bench
