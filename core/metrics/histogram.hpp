// Histogram: latencies in nanoseconds in log-linear buckets: 16 to each power of two, so a percentile is at most 6.25 % too high.
//
// Thread    record: the one writer. The rest: anyone; relaxed, a moment old. Merging and percentiles are for control threads.
// Bounds    Values above 2^40 ns (18 minutes) count in the last bucket; max() is exact.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "core/metrics/counter.hpp"

namespace weir {

class Histogram {
  public:
    static constexpr unsigned sub_bits = 4;
    static constexpr unsigned value_bits = 40;
    static constexpr std::size_t bucket_count = (value_bits - sub_bits + 1) << sub_bits;

    void record(std::uint64_t ns, std::uint64_t times = 1) noexcept {
        buckets_[index_of(ns)].add(times);
        count_.add(times);
        sum_.add(ns * times);
        if (ns > max_.get()) max_.set(ns);
    }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_.get(); }
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.get(); }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_.get(); }
    [[nodiscard]] std::uint64_t bucket(std::size_t index) const noexcept { return buckets_[index].get(); }
    // The upper end of the bucket that holds the value of rank ceil(share * count); never above max(). 0 when empty.
    [[nodiscard]] std::uint64_t percentile(double share) const noexcept;
    // The bucket of a value, and the largest value of a bucket.
    [[nodiscard]] static constexpr std::size_t index_of(std::uint64_t ns) noexcept {
        if (ns >> value_bits) return bucket_count - 1;
        if (ns < (1U << sub_bits)) return ns;
        const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - sub_bits;
        return (static_cast<std::size_t>(shift + 1) << sub_bits) + ((ns >> shift) & ((1U << sub_bits) - 1));
    }
    [[nodiscard]] static constexpr std::uint64_t upper_of(std::size_t index) noexcept {
        if (index < (1U << sub_bits)) return index;
        const std::size_t shift = (index >> sub_bits) - 1;
        const std::uint64_t sub = index & ((1U << sub_bits) - 1);
        return (((1ULL << sub_bits) + sub + 1) << shift) - 1;
    }

  private:
    std::array<Counter, bucket_count> buckets_;
    Counter count_;
    Counter sum_;
    Counter max_;
};

}  // namespace weir
