#include "central/analytics/anomaly_ensemble.hpp"

#include <algorithm>
#include <cmath>

namespace weir::analytics {
namespace {

constexpr double floor_of_range = 1e-3;  // of all that was seen: less is no difference
constexpr double floor_min = 1e-9;
constexpr double volatility_floor = 0.05;  // of a doubling
constexpr double answers_unit = 1e6;
constexpr double answer_max = 1e9;

}  // namespace

std::string_view text(Member member) {
    switch (member) {
        case Member::level:
            return "level";
        case Member::shift:
            return "shift";
        case Member::step:
            return "step";
        case Member::volatility:
            return "volatility";
        case Member::season:
            return "season";
        case Member::median:
            return "median";
        case Member::fence:
            return "fence";
        case Member::drift:
            return "drift";
        case Member::forest:
            return "forest";
    }
    return "unknown";
}

AnomalyEnsemble::AnomalyEnsemble(const AnomalySpec& spec)
    : spec_(spec),
      level_(spec.level_weight),
      shift_(spec.mean_long_weight),
      step_(spec.step_weight),
      volatility_(spec.volatility_long_weight),
      drift_(spec.drift) {}

AnomalyScore AnomalyEnsemble::take(std::uint64_t time_ns, double value) {
    if (!std::isfinite(value)) return {};
    const Answers answers = ask(time_ns, value);
    AnomalyScore said;
    for (std::size_t member = 0; member < member_count; ++member) {
        if ((spec_.members >> member & 1U) == 0) continue;
        QuantileSketch& history = history_.at(member);
        const double usual = std::max(history.at(spec_.calibration) / answers_unit, spec_.answer_min);
        const double score = history.count() < spec_.warm_values ? 0 : answers.at(member) / usual;
        history.add(static_cast<std::int64_t>(answers.at(member) * answers_unit));
        if (score <= said.score) continue;
        said.score = score;
        said.by = static_cast<Member>(member);
    }
    const bool is_quiet = quiet_left_ > 0 && said.score <= alarm_score_ * spec_.louder;
    if (quiet_left_ > 0) --quiet_left_;
    said.is_alarm = said.score >= spec_.alarm_at && !is_quiet;
    if (said.is_alarm) {
        quiet_left_ = spec_.quiet_values;
        alarm_score_ = said.score;
    }
    return said;
}

AnomalyEnsemble::Answers AnomalyEnsemble::ask(std::uint64_t time_ns, double value) {
    const bool is_first = count_++ == 0;
    if (is_first) {
        low_ = high_ = mean_short_ = last_ = value;
    }
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
    const double floor = floor_of_range * (high_ - low_) + floor_min;
    const double change = value - last_;
    last_ = value;
    mean_short_ += spec_.mean_short_weight * (value - mean_short_);
    const double size = coarse_log2(std::abs(change) + floor);
    volatility_short_ += (is_first ? 1 : spec_.volatility_short_weight) * (size - volatility_short_);

    Answers answers{};
    const auto answer = [&](Member member, double deviations) {
        answers.at(static_cast<std::size_t>(member)) = std::min(std::abs(deviations), answer_max);
    };
    const double level = level_.take(value, floor);
    const RobustScore::Said robust = robust_.take(value, floor);
    answer(Member::level, level);
    answer(Member::shift, shift_.take(mean_short_, floor));
    answer(Member::step, step_.take(change, floor));
    answer(Member::volatility, volatility_.take(volatility_short_, volatility_floor));
    answer(Member::season, season_.take(time_ns, value, floor, quiet_left_ > 0));
    answer(Member::median, robust.median);
    answer(Member::fence, robust.fence);
    answer(Member::drift, drift_.take(std::clamp(level, -3.0, 3.0)));
    answer(Member::forest, forest_.take(point()));
    return answers;
}

TreePoint AnomalyEnsemble::point() const {
    const double range = high_ - low_ + floor_min;
    return {(last_ - low_) / range, (mean_short_ - low_) / range};
}

void AnomalyEnsemble::save(StateWriter& out) const {
    out.put(count_);
    for (const double one : {low_, high_, last_, mean_short_, volatility_short_}) out.put(one);
    out.put(quiet_left_);
    out.put(alarm_score_);
    for (const EwmaScore* one : {&level_, &shift_, &step_, &volatility_}) one->save(out);
    season_.save(out);
    robust_.save(out);
    drift_.save(out);
    forest_.save(out);
    for (const QuantileSketch& one : history_) one.save(out);
}

void AnomalyEnsemble::load(StateReader& in) {
    count_ = in.get<std::uint64_t>();
    for (double* one : {&low_, &high_, &last_, &mean_short_, &volatility_short_}) *one = in.get<double>();
    quiet_left_ = in.get<std::uint64_t>();
    alarm_score_ = in.get<double>();
    for (EwmaScore* one : {&level_, &shift_, &step_, &volatility_}) one->load(in);
    season_.load(in);
    robust_.load(in);
    drift_.load(in);
    forest_.load(in);
    for (QuantileSketch& one : history_) one.load(in);
}

}  // namespace weir::analytics
