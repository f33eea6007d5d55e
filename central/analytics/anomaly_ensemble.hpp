// AnomalyEnsemble: one number for how unusual a value of a series is, from several detectors that each see something else.
//
//   value ─┬─ level        EWMA deviations                          ┐
//          ├─ shift        a short mean against a long one          │   each divided by the rank that one in 500
//          ├─ step         the change since the value before        ├──▶ of its own answers reaches (calibrated)  ──▶ the largest
//          ├─ volatility   how large changes are                    │
//          ├─ season       against this hour of the week            │
//          ├─ median, fence, drift (CUSUM), forest                  ┘
//
// So 1 means: as unusual as what this series does once in 500 values. After an alarm the series is quiet for quiet_values, unless
// something clearly larger comes; what its hours of the week are is not learnt meanwhile.
//
// Thread    One ensemble per series.
// Law       One configuration for all series; no unit, range or season is told to it. Deterministic.
// Bounds    About 120 KiB a series at worst (nine sketches, the forest).
#pragma once

#include "central/analytics/detectors.hpp"
#include "central/analytics/half_space_trees.hpp"
#include "central/analytics/quantile_sketch.hpp"

namespace weir::analytics {

enum class Member : std::uint8_t { level, shift, step, volatility, season, median, fence, drift, forest };
inline constexpr std::size_t member_count = 9;
[[nodiscard]] std::string_view text(Member member);

struct AnomalySpec {
    std::uint32_t members = 0x3f;        // bit of each Member that is asked; why these: README.md
    std::uint32_t calibration = 99'800;  // percentile of a member's own answers that counts as 1
    double answer_min = 3;               // what a member answers below this never counts as unusual
    double alarm_at = 1.15;              // an alarm makes the series quiet
    double louder = 1.5;                 // what is so many times the alarm is told although it is quiet
    std::uint32_t quiet_values = 100;
    std::uint32_t warm_values = 50;  // that a member sees before it may answer
    double level_weight = 0.01;
    double mean_short_weight = 0.1;
    double mean_long_weight = 0.005;
    double step_weight = 0.01;
    double volatility_short_weight = 0.05;
    double volatility_long_weight = 0.002;
    double drift = 0.5;
};

struct AnomalyScore {
    double score = 0;  // 1: once in 500 values
    Member by = Member::level;
    bool is_alarm = false;  // score >= alarm_at, and the series was not quiet
};

class AnomalyEnsemble {
  public:
    explicit AnomalyEnsemble(const AnomalySpec& spec);
    // Values in order of time. A value that is not finite is passed over: 0.
    [[nodiscard]] AnomalyScore take(std::uint64_t time_ns, double value);
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    using Answers = std::array<double, member_count>;
    [[nodiscard]] Answers ask(std::uint64_t time_ns, double value);
    [[nodiscard]] TreePoint point() const;

    AnomalySpec spec_;
    std::uint64_t count_ = 0;
    double low_ = 0;  // of all values
    double high_ = 0;
    double mean_short_ = 0;
    double volatility_short_ = 0;
    double last_ = 0;
    std::uint64_t quiet_left_ = 0;
    double alarm_score_ = 0;
    EwmaScore level_;
    EwmaScore shift_;
    EwmaScore step_;
    EwmaScore volatility_;
    HourOfWeek season_;
    RobustScore robust_;
    CusumScore drift_;
    HalfSpaceTrees forest_;
    std::array<QuantileSketch, member_count> history_;  // of each member's answers, in millionths
};

}  // namespace weir::analytics
