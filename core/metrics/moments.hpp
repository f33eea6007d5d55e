// Moments: when things happened, of as many as there were, in 24 bytes; and what of them a histogram is to know later.
//
// Thread    One.
// Law       However many there are, their sum in the histogram is exact, and so is the longest wait of all: the earliest counts as it
//           was, the others as their mean. MomentRows keeps up to `rows` groups apart, so that the mean is one of few; when there are
//           more it puts neighbours together.
// Bounds    Moments come in order of time, or nearly: one before the earliest is taken as the new earliest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/types.hpp"
#include "core/metrics/histogram.hpp"

namespace weir {

class Moments {
  public:
    Moments() = default;
    Moments(MonotonicNs earliest, std::uint64_t count, std::uint64_t later_ns)
        : earliest_(earliest), later_ns_(later_ns), count_(count) {}

    void add(MonotonicNs at, std::uint64_t times = 1) noexcept { add(Moments(at, times, 0)); }
    void add(const Moments& other) noexcept {
        if (other.count_ == 0) return;
        if (count_ == 0) {
            *this = other;
            return;
        }
        if (other.earliest_ < earliest_) {
            later_ns_ += earliest_.since(other.earliest_) * count_ + other.later_ns_;
            earliest_ = other.earliest_;
        } else {
            later_ns_ += other.later_ns_ + other.earliest_.since(earliest_) * other.count_;
        }
        count_ += other.count_;
    }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] MonotonicNs earliest() const noexcept { return earliest_; }
    // The time from each of them to `until`, which is not before any of them.
    void record(Histogram& histogram, MonotonicNs until) const noexcept {
        if (count_ == 0) return;
        const std::uint64_t longest = until.since(earliest_);
        if (later_ns_ == 0) return histogram.record(longest, count_);
        histogram.record(longest);
        const std::uint64_t others = count_ - 1;
        if (others == 0) return;
        const std::uint64_t all_ns = longest * others;
        const std::uint64_t sum_ns = all_ns > later_ns_ ? all_ns - later_ns_ : 0;
        const std::uint64_t mean_ns = sum_ns / others;
        // What the division leaves goes to one of them.
        if (others > 1) histogram.record(mean_ns, others - 1);
        histogram.record(sum_ns - mean_ns * (others - 1));
    }

  private:
    MonotonicNs earliest_{};
    std::uint64_t later_ns_ = 0;  // by how much the others are later than the earliest, in all
    std::uint64_t count_ = 0;
};

template <std::size_t rows>
class MomentRows {
  public:
    static_assert(rows >= 2 && rows % 2 == 0);

    void add(MonotonicNs at, std::uint64_t times = 1) noexcept {
        if (used_ == 0 || newest_ != at) open(at);
        rows_[used_ - 1].add(at, times);
    }
    [[nodiscard]] bool is_empty() const noexcept { return used_ == 0; }
    // Precondition: !is_empty().
    [[nodiscard]] MonotonicNs earliest() const noexcept { return rows_[0].earliest(); }
    void clear() noexcept {
        used_ = 0;
        per_row_ = 1;
    }
    void record(Histogram& histogram, MonotonicNs until) const noexcept {
        for (std::size_t row = 0; row < used_; ++row) rows_[row].record(histogram, until);
    }

  private:
    void open(MonotonicNs at) noexcept {
        newest_ = at;
        if (used_ > 0 && in_newest_ < per_row_) {
            ++in_newest_;
            return;
        }
        if (used_ == rows) {
            for (std::size_t row = 0; row < rows / 2; ++row) {
                rows_[row] = rows_[2 * row];
                rows_[row].add(rows_[2 * row + 1]);
            }
            used_ = rows / 2;
            per_row_ *= 2;
        }
        rows_[used_++] = Moments();
        in_newest_ = 1;
    }

    std::array<Moments, rows> rows_{};
    std::size_t used_ = 0;
    std::uint64_t per_row_ = 1;    // moments that a row may hold
    std::uint64_t in_newest_ = 0;  // that the last one holds
    MonotonicNs newest_{};
};

}  // namespace weir
