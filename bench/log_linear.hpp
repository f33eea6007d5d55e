// LogLinear: how often which value came, in buckets of 2^sub_bits to each power of two: a percentile is at most 2^-sub_bits too high.
//
// Thread    One.
// Bounds    Values from 2^40 on (18 minutes in ns) count in the last bucket; least() and greatest() are exact.
// Source    The layout of HdrHistogram (G. Tene), with the bucket's upper end as its value.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace weir::bench {

template <unsigned sub_bits>
class LogLinear {
  public:
    static constexpr unsigned value_bits = 40;
    static constexpr std::size_t bucket_count = std::size_t{value_bits - sub_bits + 1} << sub_bits;

    LogLinear() : counts_(bucket_count) {}
    void record(std::uint64_t value) {
        ++counts_[index_of(value)];
        ++count_;
        const auto real = static_cast<double>(value);
        sum_ += real;
        squares_ += real * real;
        least_ = std::min(least_, value);
        greatest_ = std::max(greatest_, value);
    }
    void merge(const LogLinear& other) {
        for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
        count_ += other.count_;
        sum_ += other.sum_;
        squares_ += other.squares_;
        least_ = std::min(least_, other.least_);
        greatest_ = std::max(greatest_, other.greatest_);
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t least() const { return count_ > 0 ? least_ : 0; }
    [[nodiscard]] std::uint64_t greatest() const { return greatest_; }
    [[nodiscard]] double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }
    [[nodiscard]] double deviation() const {
        if (count_ == 0) return 0;
        return std::sqrt(std::max(0.0, squares_ / static_cast<double>(count_) - mean() * mean()));
    }
    struct Place {
        std::uint64_t value = 0;  // upper end of the bucket, never above greatest()
        std::uint64_t count = 0;  // of all values up to it
    };
    // Of rank ceil(share * count), share from 0 to 1; zeros when empty.
    [[nodiscard]] Place place(double share) const {
        if (count_ == 0) return {};
        const double wanted = std::ceil(share * static_cast<double>(count_));
        const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::max(wanted, 1.0)), 1, count_);
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < bucket_count; ++i) {
            seen += counts_[i];
            if (seen >= rank) return {std::min(upper_of(i), greatest_), seen};
        }
        return {greatest_, count_};
    }
    [[nodiscard]] std::uint64_t percentile(double share) const { return place(share).value; }

    [[nodiscard]] static constexpr std::size_t index_of(std::uint64_t value) {
        if (value >> value_bits != 0) return bucket_count - 1;
        if (value < (1ULL << sub_bits)) return value;
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - sub_bits;
        return (static_cast<std::size_t>(shift + 1) << sub_bits) + ((value >> shift) & ((1ULL << sub_bits) - 1));
    }
    [[nodiscard]] static constexpr std::uint64_t upper_of(std::size_t index) {
        if (index < (1ULL << sub_bits)) return index;
        const std::size_t shift = (index >> sub_bits) - 1;
        const std::uint64_t sub = index & ((1ULL << sub_bits) - 1);
        return (((1ULL << sub_bits) + sub + 1) << shift) - 1;
    }

  private:
    std::vector<std::uint64_t> counts_;
    std::uint64_t count_ = 0;
    double sum_ = 0;
    double squares_ = 0;
    std::uint64_t least_ = UINT64_MAX;
    std::uint64_t greatest_ = 0;
};

}  // namespace weir::bench
