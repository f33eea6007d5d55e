// QuantileSketch: percentiles of measures within a relative error, mergeable, in bounded room.
//
// Buckets of logarithmic width; a value's bucket is found by its exponent and the top of its mantissa, so that no library's logarithm
// decides where it falls. The value answered for a rank lies within `sketch_error` (relative) of the value that has that rank.
//
// Law       add and merge commute and associate: the state is a function of the set of values.
// Bounds    sketch_buckets_max; beyond it the lowest buckets are one: ranks at or below collapsed() lose the bound, those above keep it.
// Source    Masson, Rim, Lee: DDSketch (VLDB 2019), with a linear instead of a logarithmic mapping within an octave.
#pragma once

#include <vector>

#include "central/analytics/exact_sum.hpp"

namespace weir::analytics {

inline constexpr std::int32_t buckets_per_octave = 50;
inline constexpr double sketch_error = 1.0 / (2 * buckets_per_octave + 1);  // 0.99 %
inline constexpr std::uint32_t sketch_buckets_max = 512;
// Percentiles are named in hundred-thousandths: 50'000 is the median, 99'900 is p99.9.
inline constexpr std::uint32_t percentile_whole = 100'000;

class QuantileSketch {
  public:
    void add(std::int64_t measure);
    void merge(const QuantileSketch& other);
    // About the value of rank floor(percentile * (count - 1)), from 0. 0 when there are none.
    [[nodiscard]] double at(std::uint32_t percentile) const;
    [[nodiscard]] std::uint64_t count() const { return count_; }
    // How many of the lowest values share one bucket because there was no room.
    [[nodiscard]] std::uint64_t collapsed() const { return is_collapsed_ ? buckets_.front().count : 0; }
    [[nodiscard]] std::size_t bucket_count() const { return buckets_.size(); }
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    struct Bucket {
        std::int32_t number = 0;  // ascending with the value: negative below 0
        std::uint64_t count = 0;
    };
    void count_at(std::int32_t number, std::uint64_t count);

    std::vector<Bucket> buckets_;  // ascending
    std::uint64_t count_ = 0;
    bool is_collapsed_ = false;
};

}  // namespace weir::analytics
