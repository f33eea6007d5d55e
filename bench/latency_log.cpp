#include "bench/latency_log.hpp"

#include <cstdio>

namespace weir::bench {
namespace {

constexpr double us = 1000.0;
constexpr int ticks_per_half = 5;  // lines for each halving of what is left to 100 %, as HdrHistogram's tools have it

void append_line(std::string& out, double value_ns, double share, std::uint64_t count) {
    char line[128];
    if (share < 1) {
        std::snprintf(line, sizeof line, "%12.3f %14.12f %10llu %14.2f\n", value_ns / us, share,
                      static_cast<unsigned long long>(count), 1 / (1 - share));
    } else {
        std::snprintf(line, sizeof line, "%12.3f %14.12f %10llu\n", value_ns / us, 1.0,
                      static_cast<unsigned long long>(count));
    }
    out += line;
}

}  // namespace

void LatencyLog::merge(const LatencyLog& other) {
    all_.merge(other.all_);
    while (slices_.size() < other.slices_.size()) slices_.emplace_back();
    for (std::size_t i = 0; i < other.slices_.size(); ++i) slices_[i].merge(other.slices_[i]);
}

std::string hgrm_text(const LatencyLog::All& log) {
    std::string out = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
    // Each halving of the rest takes ticks_per_half steps; it ends where a step is less than one event.
    double rest = 1;
    for (; log.count() > 0 && rest * static_cast<double>(log.count()) >= 1; rest /= 2) {
        for (int tick = 0; tick < ticks_per_half; ++tick) {
            const double share = 1 - rest + rest / 2 * tick / ticks_per_half;
            const LatencyLog::All::Place at = log.place(share);
            append_line(out, static_cast<double>(at.value), share, at.count);
        }
    }
    append_line(out, static_cast<double>(log.greatest()), 1, log.count());
    char line[160];
    std::snprintf(line, sizeof line, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", log.mean() / us,
                  log.deviation() / us);
    out += line;
    std::snprintf(line, sizeof line, "#[Max     = %12.3f, Total count    = %12llu]\n",
                  static_cast<double>(log.greatest()) / us, static_cast<unsigned long long>(log.count()));
    out += line;
    std::snprintf(line, sizeof line, "#[Buckets = %12u, SubBuckets     = %12u]\n", LatencyLog::All::value_bits - 7 + 1,
                  1U << 7U);
    out += line;
    return out;
}

}  // namespace weir::bench
