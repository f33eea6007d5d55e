// LatencyLog: the latencies of a run, in all and by the time at which their events were due.
//
// Thread    One.
// Bounds    slices_max slices of slice_ns; what is due later counts in the last one.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "bench/log_linear.hpp"

namespace weir::bench {

class LatencyLog {
  public:
    static constexpr std::uint64_t slice_ns = 100'000'000;
    static constexpr std::size_t slices_max = 36'000;  // an hour
    using All = LogLinear<7>;
    using Slice = LogLinear<4>;

    // `due_ns`: since the steady part began.
    void record(std::uint64_t latency_ns, std::uint64_t due_ns) {
        all_.record(latency_ns);
        const std::size_t index = std::min<std::uint64_t>(due_ns / slice_ns, slices_max - 1);
        while (slices_.size() <= index) slices_.emplace_back();
        slices_[index].record(latency_ns);
    }
    void merge(const LatencyLog& other);
    [[nodiscard]] const All& all() const { return all_; }
    [[nodiscard]] const std::deque<Slice>& slices() const { return slices_; }

  private:
    All all_;
    std::deque<Slice> slices_;
};

// The percentiles that every report shows, by the name of their key in JSON.
struct NamedShare {
    const char* key;
    const char* text;
    double share;
};
inline constexpr NamedShare reported_shares[] = {{"p50", "p50", 0.5},      {"p75", "p75", 0.75},
                                                 {"p90", "p90", 0.9},      {"p99", "p99", 0.99},
                                                 {"p999", "p99.9", 0.999}, {"p9999", "p99.99", 0.9999}};

// The percentile distribution as HdrHistogram's tools print and read it (.hgrm); values in microseconds.
[[nodiscard]] std::string hgrm_text(const LatencyLog::All& log);

}  // namespace weir::bench
