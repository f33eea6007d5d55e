// NAB's score of detections: early inside a labelled window is good, outside is bad, a window without any is bad.
//
// Only the first detection in a window counts, by where in the window it is; each outside costs, less just behind a window. The first
// 15 % of a series (at most 750 values) are not scored. 0 is what a detector gets that never says anything, 100 is perfect.
//
// Source    Lavin, Ahmad: Evaluating real-time anomaly detection algorithms - the Numenta Anomaly Benchmark (2015).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weir::bench::nab {

struct Series {
    std::string name;
    std::vector<std::uint64_t> times_ns;
    std::vector<double> values;
    std::vector<std::pair<std::size_t, std::size_t>> windows;  // first and last value of each, in order
    std::vector<double> scores;                                // what a detector said; 0: nothing
    std::vector<std::string> by;                               // and by which of its members
    [[nodiscard]] std::size_t unscored() const;
};

struct Profile {
    std::string name;
    double hit = 1;
    double miss = 1;
    double false_alarm = 0.11;
};

struct Tally {
    double raw = 0;
    std::size_t hits = 0;
    std::size_t false_alarms = 0;
};
// Detections are the values whose score is at least `threshold`.
[[nodiscard]] Tally tally(const Series& series, const Profile& profile, double threshold);

struct Score {
    double score = 0;
    double threshold = 0;
};
// With the one threshold for all series that is best for the profile.
[[nodiscard]] Score best_score(const std::vector<Series>& all, const Profile& profile);
[[nodiscard]] double score_at(const std::vector<Series>& all, const Profile& profile, double threshold);

}  // namespace weir::bench::nab
