// The picture of a load: latency by percentile, and over time.
#include <cmath>
#include <cstdio>

#include "bench/chart.hpp"
#include "bench/load_report.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t points_max = 240;  // of a line over time: more could not be told apart
constexpr double share_step = 1.25;      // of 1 / (1 - share), from point to point

double in_us(std::uint64_t ns) {
    return static_cast<double>(ns) / 1000.0;
}

Chart by_percentile(const Fleet& fleet) {
    Chart chart{"Latency by percentile: so many of the events were answered within this time",
                {"share of events", AxisKind::percentile},
                {"latency", AxisKind::microseconds, true},
                {}};
    for (const auto& group : fleet.groups()) {
        const auto& log = group->latency.all();
        Series line{group->name, {}};
        for (double rest = 1; rest < static_cast<double>(log.count()); rest *= share_step)
            line.points.emplace_back(1 - 1 / rest, in_us(log.percentile(1 - 1 / rest)));
        if (log.count() > 1) line.points.emplace_back(1 - 1 / static_cast<double>(log.count()), in_us(log.greatest()));
        chart.series.push_back(std::move(line));
    }
    return chart;
}

void add_over_time(Chart& chart, const FleetGroup& group, bool is_alone) {
    const std::string prefix = is_alone ? "" : group.name + " ";
    Series middle{prefix + "p50", {}};
    Series high{prefix + "p99", {}};
    Series most{prefix + "maximum", {}};
    const auto& slices = group.latency.slices();
    const std::size_t merged = slices.size() / points_max + 1;
    for (std::size_t i = 0; i < slices.size(); i += merged) {
        LatencyLog::Slice one;
        for (std::size_t k = i; k < std::min(i + merged, slices.size()); ++k) one.merge(slices[k]);
        if (one.count() == 0) continue;
        const double at = static_cast<double>(i * LatencyLog::slice_ns) / 1e9;
        middle.points.emplace_back(at, in_us(one.percentile(0.5)));
        high.points.emplace_back(at, in_us(one.percentile(0.99)));
        most.points.emplace_back(at, in_us(one.greatest()));
    }
    if (is_alone) chart.series.push_back(std::move(middle));
    chart.series.push_back(std::move(high));
    if (is_alone) chart.series.push_back(std::move(most));
}

Chart over_time(const Fleet& fleet) {
    Chart chart{"Latency over time, by when the event was due",
                {"time since the steady part began", AxisKind::seconds, false, true},
                {"latency", AxisKind::microseconds, true},
                {}};
    for (const auto& group : fleet.groups()) add_over_time(chart, *group, fleet.groups().size() == 1);
    return chart;
}

}  // namespace

std::string load_picture(const LoadResult& result) {
    std::vector<std::string> lines = {what_was_run(result)};
    for (const auto& group : result.fleet.groups()) {
        const auto& log = group->latency.all();
        char text[256];
        std::snprintf(text, sizeof text, "%s: p50 %.0f us, p99 %.0f us, p99.9 %.0f us, maximum %.0f us, of %llu events",
                      group->name.c_str(), in_us(log.percentile(0.5)), in_us(log.percentile(0.99)),
                      in_us(log.percentile(0.999)), in_us(log.greatest()),
                      static_cast<unsigned long long>(log.count()));
        lines.emplace_back(text);
    }
    char rate[96];
    std::snprintf(rate, sizeof rate, "%.0f events/s answered; ", result.rate());
    lines.push_back(rate + std::string(result.options.is_counted_from_sent
                                           ? "latency from when each was sent"
                                           : "latency from when each was due, so that lateness counts"));
    lines.push_back("limited by " + verdict(result.evidence));
    return svg_of("weir-bench load", lines, {by_percentile(result.fleet), over_time(result.fleet)});
}

}  // namespace weir::bench
