// MetricsText: our counters and histograms in the text format that Prometheus reads.
//
// Thread    One control thread, one per request.
// Format    Prometheus text format 0.0.4; names by the rule of core/metrics/METRICS.md, times in seconds.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/metrics/histogram.hpp"

namespace weir::control {

inline constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class MetricsText {
  public:
    MetricsText();
    ~MetricsText();
    MetricsText(const MetricsText&) = delete;
    MetricsText& operator=(const MetricsText&) = delete;

    // Several values of one name, told apart by their labels, become one family; its help is the first one's. The name
    // of a counter ends in _total.
    void counter(std::string_view name, std::string_view help, MetricLabels labels, std::uint64_t value);
    // Of time that was spent: NAME ends in _seconds_total.
    void seconds_total(std::string_view name, std::string_view help, MetricLabels labels, std::uint64_t ns);
    void gauge(std::string_view name, std::string_view help, MetricLabels labels, double value);
    // NAME (which ends in _seconds) with buckets at the powers of two of nanoseconds from about 1 us to 17 s, and a
    // gauge NAME_max.
    void histogram(std::string_view name, std::string_view help, MetricLabels labels, const Histogram& histogram);
    [[nodiscard]] std::string text() const;

  private:
    struct Families;
    std::unique_ptr<Families> families_;
};

}  // namespace weir::control
