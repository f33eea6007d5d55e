// ExactSum: count, sum and sum of squares of measures, without rounding.
//
// A measure is a number in fixed point: an integer count of 10^-decimals. Sums of integers do not depend on the order of events, so a
// correction that came late, a merge of panes and a batch recompute agree to the last bit.
//
// Law       add and merge commute and associate. No overflow: |measure| <= measure_max, fewer than 2^64 of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "central/analytics/state_io.hpp"
#include "core/rules/value.hpp"

namespace weir::analytics {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

inline constexpr std::int64_t measure_max = (std::int64_t{1} << 62) - 1;
inline constexpr std::uint32_t decimals_max = 9;
inline constexpr std::uint32_t decimals_default = 6;

// The measure of a number, rounded to the nearest (ties to even); nullopt if it is no number or beyond measure_max.
[[nodiscard]] std::optional<std::int64_t> measure_of(const rules::Value& value, std::uint32_t decimals);
[[nodiscard]] double number_of(double measures, std::uint32_t decimals);
// The exact decimal text: "-12.5"; no zeros at its end.
[[nodiscard]] std::string decimal_text(Int128 measures, std::uint32_t decimals);

class ExactSum {
  public:
    void add(std::int64_t measure);
    void merge(const ExactSum& other);
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] Int128 sum() const { return sum_; }
    // In measures. 0 when there are none.
    [[nodiscard]] double mean() const;
    // Of the sample (n - 1). 0 below two.
    [[nodiscard]] double deviation() const;
    void save(StateWriter& out) const;
    void load(StateReader& in);
    bool operator==(const ExactSum&) const = default;

  private:
    std::uint64_t count_ = 0;
    Int128 sum_ = 0;
    std::array<std::uint64_t, 3> squares_{};  // 192 bits, lowest first
};

}  // namespace weir::analytics
