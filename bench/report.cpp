#include "bench/report.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace weir::bench {
namespace {

constexpr std::uint64_t show_every_ns = 200 * ns_per_ms;
constexpr int bar_cells = 30;

double in_us(std::uint64_t ns) {
    return static_cast<double>(ns) / 1000.0;
}

}  // namespace

void print_report(const Report& report, const Histogram& latency, bool as_json) {
    const client::ClientTotals& totals = report.totals;
    const std::uint64_t offered = totals.offered + report.invalid;
    const std::uint64_t rejected = totals.rejected + report.invalid;
    const double rate = report.seconds > 0 ? static_cast<double>(totals.acked) / report.seconds : 0;
    if (as_json) {
        std::printf(
            "{\"offered\":%llu,\"accepted\":%llu,\"duplicates\":%llu,\"rejected\":%llu,\"shed\":%llu,\"acked\":%llu,"
            "\"reconnects\":%"
            "llu,"
            "\"seconds\":%.6f,\"events_per_second\":%.1f,\"latency_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,"
            "\"p999\":%.1f,\"max\":%.1f}}\n",
            static_cast<unsigned long long>(offered), static_cast<unsigned long long>(totals.accepted),
            static_cast<unsigned long long>(totals.duplicates), static_cast<unsigned long long>(rejected),
            static_cast<unsigned long long>(totals.shed), static_cast<unsigned long long>(totals.acked),
            static_cast<unsigned long long>(totals.reconnects), report.seconds, rate, in_us(latency.percentile(0.5)),
            in_us(latency.percentile(0.9)), in_us(latency.percentile(0.99)), in_us(latency.percentile(0.999)),
            in_us(latency.max()));
        return;
    }
    std::printf("offered    %12llu\naccepted   %12llu\nduplicates %12llu\nrejected   %12llu\nacked      %12llu\n",
                static_cast<unsigned long long>(offered), static_cast<unsigned long long>(totals.accepted),
                static_cast<unsigned long long>(totals.duplicates), static_cast<unsigned long long>(rejected),
                static_cast<unsigned long long>(totals.acked));
    if (totals.shed > 0) std::printf("shed       %12llu\n", static_cast<unsigned long long>(totals.shed));
    for (const auto& [reason, count] : totals.shed_reasons)
        std::printf("  shed for %s: %llu\n", reason.c_str(), static_cast<unsigned long long>(count));
    for (const auto& [reason, count] : totals.reasons)
        std::printf("  rejected for %s: %llu\n", reason.c_str(), static_cast<unsigned long long>(count));
    std::printf("%.3f s, %.0f events/s; reconnects %llu\n", report.seconds, rate,
                static_cast<unsigned long long>(totals.reconnects));
    std::printf("latency us  p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n", in_us(latency.percentile(0.5)),
                in_us(latency.percentile(0.9)), in_us(latency.percentile(0.99)), in_us(latency.percentile(0.999)),
                in_us(latency.max()));
}

Progress::Progress(std::uint64_t total) : is_terminal_(::isatty(STDERR_FILENO) == 1), total_(total) {}

void Progress::show(const client::ClientTotals& totals, wire::Rung rung, MonotonicNs now) {
    if (rung != rung_) {
        rung_ = rung;
        std::fprintf(stderr, "%sthe edge is %s\n", is_terminal_ ? "\n" : "", std::string(wire::text(rung_)).c_str());
    }
    if (!is_terminal_ || now.since(shown_) < show_every_ns) return;
    const double seconds = static_cast<double>(now.since(shown_)) / 1e9;
    const double rate = static_cast<double>(totals.acked - shown_acked_) / seconds;
    if (total_ > 0) {
        const int cells = static_cast<int>(std::min<std::uint64_t>(totals.acked * bar_cells / total_, bar_cells));
        std::fprintf(stderr, "\r[%.*s%.*s] ", cells, "##############################", bar_cells - cells,
                     "..............................");
    } else {
        std::fprintf(stderr, "\r");
    }
    std::fprintf(stderr, "%llu acked of %llu offered, %.0f events/s   ", static_cast<unsigned long long>(totals.acked),
                 static_cast<unsigned long long>(totals.offered), rate);
    shown_ = now;
    shown_acked_ = totals.acked;
}

void Progress::finish() {
    if (is_terminal_) std::fprintf(stderr, "\r\033[K");
}

}  // namespace weir::bench
