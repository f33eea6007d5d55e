#include "central/analytics/quantile_sketch.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace weir::analytics {
namespace {

constexpr std::int32_t number_max = 64 * buckets_per_octave;

std::int32_t number_of_bucket(std::int64_t measure) {
    if (measure == 0) return 0;
    const auto magnitude = static_cast<std::uint64_t>(measure < 0 ? -measure : measure);
    const auto octave = static_cast<std::int32_t>(std::bit_width(magnitude)) - 1;
    // Exact: the part above the leading bit, in fiftieths of the octave.
    const std::uint64_t above = magnitude - (std::uint64_t{1} << octave);
    const auto within = static_cast<std::int32_t>((Uint128{above} * buckets_per_octave) >> octave);
    const std::int32_t number = octave * buckets_per_octave + within + 1;
    return measure < 0 ? -number : number;
}

// The value for which the relative error is the same at both ends.
double middle_of(std::int32_t number) {
    if (number == 0) return 0;
    const std::int32_t index = std::abs(number) - 1;
    const double start = std::ldexp(1.0, index / buckets_per_octave);
    const double low = start * (1 + static_cast<double>(index % buckets_per_octave) / buckets_per_octave);
    const double high = start * (1 + static_cast<double>(index % buckets_per_octave + 1) / buckets_per_octave);
    const double middle = 2 * low * high / (low + high);
    return number < 0 ? -middle : middle;
}

}  // namespace

void QuantileSketch::add(std::int64_t measure) {
    count_at(number_of_bucket(measure), 1);
}

void QuantileSketch::merge(const QuantileSketch& other) {
    // From the top: what the other one collapsed is counted last, where it then belongs to the lowest.
    for (std::size_t at = other.buckets_.size(); at-- > 0;) {
        count_at(other.buckets_[at].number, other.buckets_[at].count);
    }
    is_collapsed_ = is_collapsed_ || other.is_collapsed_;
}

void QuantileSketch::count_at(std::int32_t number, std::uint64_t count) {
    count_ += count;
    auto at = std::lower_bound(buckets_.begin(), buckets_.end(), number,
                               [](const Bucket& one, std::int32_t wanted) { return one.number < wanted; });
    if (at != buckets_.end() && at->number == number) {
        at->count += count;
        return;
    }
    if (buckets_.size() < sketch_buckets_max) {
        buckets_.insert(at, {number, count});
        return;
    }
    // Full. The lowest goes into the one above it; a value below all of them goes into the lowest.
    is_collapsed_ = true;
    if (at == buckets_.begin()) {
        at->count += count;
        return;
    }
    const auto place = at - buckets_.begin() - 1;
    const std::uint64_t lowest = buckets_.front().count;
    buckets_.erase(buckets_.begin());
    buckets_.insert(buckets_.begin() + place, {number, count});
    buckets_.front().count += lowest;
}

double QuantileSketch::at(std::uint32_t percentile) const {
    if (count_ == 0) return 0;
    const auto rank =
        static_cast<std::uint64_t>(Uint128{count_ - 1} * std::min(percentile, percentile_whole) / percentile_whole);
    std::uint64_t below = 0;
    for (const Bucket& bucket : buckets_) {
        below += bucket.count;
        if (below > rank) return middle_of(bucket.number);
    }
    return middle_of(buckets_.back().number);
}

void QuantileSketch::save(StateWriter& out) const {
    out.put(is_collapsed_);
    out.count(buckets_.size());
    for (const Bucket& bucket : buckets_) {
        out.put(bucket.number);
        out.put(bucket.count);
    }
}

void QuantileSketch::load(StateReader& in) {
    *this = {};
    is_collapsed_ = in.get<std::uint8_t>() != 0;
    const std::uint32_t count = in.count(sketch_buckets_max);
    in.require(count > 0 || !is_collapsed_);
    for (std::uint32_t index = 0; index < count && in.is_ok(); ++index) {
        Bucket bucket;
        bucket.number = in.get<std::int32_t>();
        bucket.count = in.get<std::uint64_t>();
        in.require(std::abs(static_cast<std::int64_t>(bucket.number)) <= number_max && bucket.count > 0);
        in.require(buckets_.empty() || buckets_.back().number < bucket.number);
        count_ += bucket.count;
        buckets_.push_back(bucket);
    }
    if (!in.is_ok()) *this = {};
}

}  // namespace weir::analytics
