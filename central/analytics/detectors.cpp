#include "central/analytics/detectors.hpp"

#include <algorithm>
#include <cmath>

namespace weir::analytics {
namespace {

constexpr std::size_t robust_values_min = 16;  // below, quartiles say nothing
constexpr double mad_to_deviation = 1.4826;    // of a normal distribution
constexpr std::uint32_t hour_values_max = 4;   // the weight of an hour's newest value is at least 1/4
constexpr double hour_fading = 0.999;
constexpr double cusum_max = 1e6;

double middle(const std::vector<double>& sorted) {
    return sorted[sorted.size() / 2];
}

// The median of distances from `centre`, by walking outwards from it: `sorted` is in order.
double median_distance(const std::vector<double>& sorted, double centre) {
    std::size_t right =
        static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), centre) - sorted.begin());
    std::size_t left = right;
    double distance = 0;
    for (std::size_t taken = 0; taken <= sorted.size() / 2; ++taken) {
        const bool goes_right =
            left == 0 || (right < sorted.size() && sorted[right] - centre <= centre - sorted[left - 1]);
        distance = goes_right ? sorted[right++] - centre : centre - sorted[--left];
    }
    return distance;
}

}  // namespace

double coarse_log2(double value) {
    int exponent = 0;
    const double mantissa = std::frexp(value, &exponent);  // [0.5, 1)
    return exponent - 1 + (2 * mantissa - 1);
}

double EwmaScore::take(double value, double floor) {
    ++count_;
    if (count_ == 1) {
        mean_ = value;
        return 0;
    }
    const double weight = std::max(weight_, 1.0 / static_cast<double>(count_));
    const double difference = value - mean_;
    const double deviations = difference / (std::sqrt(variance_) + floor);
    mean_ += weight * difference;
    variance_ = (1 - weight) * (variance_ + weight * difference * difference);
    return deviations;
}

void EwmaScore::save(StateWriter& out) const {
    out.put(count_);
    out.put(mean_);
    out.put(variance_);
}

void EwmaScore::load(StateReader& in) {
    count_ = in.get<std::uint64_t>();
    mean_ = in.get<double>();
    variance_ = in.get<double>();
}

RobustScore::Said RobustScore::take(double value, double floor) {
    Said said;
    if (sorted_.size() >= robust_values_min) {
        const double centre = middle(sorted_);
        said.median = std::abs(value - centre) / (mad_to_deviation * median_distance(sorted_, centre) + floor);
        const double low = sorted_[sorted_.size() / 4];
        const double high = sorted_[sorted_.size() - 1 - sorted_.size() / 4];
        said.fence = std::max({0.0, low - value, value - high}) / (high - low + floor);
    }
    const std::size_t place = count_++ % robust_window;
    if (ring_.size() == robust_window) {
        sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), ring_[place]));
        ring_[place] = value;
    } else {
        ring_.push_back(value);
    }
    sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), value), value);
    return said;
}

void RobustScore::save(StateWriter& out) const {
    out.put(count_);
    out.count(ring_.size());
    for (const double value : ring_) out.put(value);
}

void RobustScore::load(StateReader& in) {
    count_ = in.get<std::uint64_t>();
    ring_.resize(in.count(robust_window));
    for (double& value : ring_) in.require(std::isfinite(value = in.get<double>()));
    in.require(ring_.size() == std::min<std::uint64_t>(count_, robust_window));
    if (!in.is_ok()) {
        count_ = 0;
        ring_.clear();
    }
    sorted_ = ring_;
    std::sort(sorted_.begin(), sorted_.end());
}

double CusumScore::take(double deviations) {
    up_ = std::clamp(up_ + deviations - drift_, 0.0, cusum_max);
    down_ = std::clamp(down_ - deviations - drift_, 0.0, cusum_max);
    return std::max(up_, down_);
}

void CusumScore::save(StateWriter& out) const {
    out.put(up_);
    out.put(down_);
}

void CusumScore::load(StateReader& in) {
    up_ = in.get<double>();
    down_ = in.get<double>();
}

double HourOfWeek::take(std::uint64_t time_ns, double value, double floor, bool is_frozen) {
    Hour& hour = hours_.at(time_ns / (3600 * ns_per_second) % hours_of_week);
    double deviations = 0;
    if (hour.count > 0) {
        const double difference = value - hour.mean;
        deviations = difference / (std::sqrt(weights_ > 0 ? squares_ / weights_ : 0) + floor);
        if (!is_frozen) {
            squares_ = squares_ * hour_fading + difference * difference;
            weights_ = weights_ * hour_fading + 1;
        }
    }
    if (is_frozen && hour.count > 0) return deviations;
    hour.count = std::min(hour.count + 1, hour_values_max);
    hour.mean += (value - hour.mean) / hour.count;
    return deviations;
}

void HourOfWeek::save(StateWriter& out) const {
    for (const Hour& hour : hours_) {
        out.put(hour.mean);
        out.put(hour.count);
    }
    out.put(squares_);
    out.put(weights_);
}

void HourOfWeek::load(StateReader& in) {
    for (Hour& hour : hours_) {
        hour.mean = in.get<double>();
        hour.count = in.get<std::uint32_t>();
    }
    squares_ = in.get<double>();
    weights_ = in.get<double>();
}

}  // namespace weir::analytics
