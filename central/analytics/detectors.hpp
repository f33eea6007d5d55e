// Detectors: how unusual a value is, given the values before it. Each answers in its own unit (0: as expected) and then learns the value.
//
// `floor` is the least spread that counts, in the value's unit: what differs by less than that is no difference.
//
// Law       A function of the values so far: no randomness, no logarithm of a library.
// Source    Roberts: Control chart tests based on geometric moving averages (1959); Page: Continuous inspection schemes (1954);
//           Hampel: The influence curve (1974), for median and MAD; Tukey: Exploratory data analysis (1977), for the fences.
#pragma once

#include <array>
#include <vector>

#include "central/analytics/state_io.hpp"

namespace weir::analytics {

// About log2, continuous and monotone: exponent and mantissa, straight between powers of two. `value` > 0.
[[nodiscard]] double coarse_log2(double value);

// Deviations from an exponentially weighted mean.
class EwmaScore {
  public:
    explicit EwmaScore(double weight) : weight_(weight) {}
    // Signed. 0 for the first value.
    [[nodiscard]] double take(double value, double floor);
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    double weight_;  // of the newest value; an equal share of all values until there are 1 / weight
    std::uint64_t count_ = 0;
    double mean_ = 0;
    double variance_ = 0;
};

// Against the last robust_window values: distance from the median in MADs (as deviations of a normal distribution), and distance beyond
// the nearer quartile in interquartile ranges.
inline constexpr std::size_t robust_window = 128;
class RobustScore {
  public:
    struct Said {
        double median = 0;
        double fence = 0;
    };
    [[nodiscard]] Said take(double value, double floor);
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    std::vector<double> ring_;
    std::vector<double> sorted_;
    std::uint64_t count_ = 0;
};

// Sums of what goes one way: a small shift that lasts. Takes deviations, not values.
class CusumScore {
  public:
    explicit CusumScore(double drift) : drift_(drift) {}
    [[nodiscard]] double take(double deviations);
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    double drift_;  // what is forgiven each time
    double up_ = 0;
    double down_ = 0;
};

// What is expected at this hour of the week (UTC), in deviations of what was seen at all hours.
inline constexpr std::size_t hours_of_week = 168;
class HourOfWeek {
  public:
    // 0 in an hour that was never seen. While `is_frozen` nothing is learnt: an alert does not become the rule.
    [[nodiscard]] double take(std::uint64_t time_ns, double value, double floor, bool is_frozen);
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    struct Hour {
        double mean = 0;
        std::uint32_t count = 0;
    };
    std::array<Hour, hours_of_week> hours_{};
    double squares_ = 0;  // of what was not expected, fading
    double weights_ = 0;
};

}  // namespace weir::analytics
