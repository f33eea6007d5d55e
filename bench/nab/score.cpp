#include "bench/nab/score.hpp"

#include <algorithm>
#include <cmath>

namespace weir::bench::nab {
namespace {

constexpr double unscored_share = 0.15;
constexpr std::size_t unscored_max = 750;
constexpr double far = 3;  // window lengths behind which a false alarm costs in full

double worth(double position) {
    return position > far ? -1 : 2 / (1 + std::exp(5 * position)) - 1;
}

}  // namespace

std::size_t Series::unscored() const {
    return std::min(static_cast<std::size_t>(unscored_share * static_cast<double>(values.size())), unscored_max);
}

Tally tally(const Series& series, const Profile& profile, double threshold) {
    Tally total;
    std::size_t window = 0;  // the first that is not over
    bool is_hit = false;
    const auto leave = [&] {
        if (!is_hit) total.raw -= profile.miss;
        is_hit = false;
        ++window;
    };
    for (std::size_t at = series.unscored(); at < series.values.size(); ++at) {
        while (window < series.windows.size() && series.windows[window].second < at) leave();
        if (series.scores[at] < threshold) continue;
        if (window < series.windows.size() && series.windows[window].first <= at) {
            if (is_hit) continue;
            is_hit = true;
            ++total.hits;
            const auto [first, last] = series.windows[window];
            total.raw +=
                profile.hit * worth(-static_cast<double>(last - at + 1) / static_cast<double>(last - first + 1));
            continue;
        }
        ++total.false_alarms;
        if (window == 0) {
            total.raw -= profile.false_alarm;
            continue;
        }
        const auto [first, last] = series.windows[window - 1];
        total.raw += profile.false_alarm * worth(static_cast<double>(at - last) / static_cast<double>(last - first));
    }
    while (window < series.windows.size()) leave();
    return total;
}

double score_at(const std::vector<Series>& all, const Profile& profile, double threshold) {
    double raw = 0;
    double windows = 0;
    for (const Series& series : all) {
        raw += tally(series, profile, threshold).raw;
        windows += static_cast<double>(series.windows.size());
    }
    const double silent = -profile.miss * windows;
    return 100 * (raw - silent) / (profile.hit * windows - silent);
}

Score best_score(const std::vector<Series>& all, const Profile& profile) {
    std::vector<double> thresholds;
    for (const Series& series : all) {
        std::copy_if(series.scores.begin(), series.scores.end(), std::back_inserter(thresholds),
                     [](double score) { return score > 0; });
    }
    std::sort(thresholds.begin(), thresholds.end());
    thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
    Score best;
    for (const double threshold : thresholds) {
        const double score = score_at(all, profile, threshold);
        if (score > best.score) best = {score, threshold};
    }
    return best;
}

}  // namespace weir::bench::nab
