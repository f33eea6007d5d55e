// MetricsReader: the text of /metrics read back, for tools that show it.
//
// Thread    Any.
// Format    Prometheus text format 0.0.4, as metrics_text.hpp writes it. Lines that are none of it are left out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::control {

struct Metric {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
    // The value of a label; empty if it has none of that name.
    [[nodiscard]] std::string_view label(std::string_view name) const;
};

class Metrics {
  public:
    [[nodiscard]] static Metrics read(std::string_view text);
    // All of a name, in the text's order.
    [[nodiscard]] const std::vector<Metric>& all(std::string_view name) const;
    // Of the names that begin and end so, in order.
    [[nodiscard]] std::vector<std::string> names(std::string_view begin, std::string_view end) const;
    // The one of a name (and of a label's value); 0 if there is none.
    [[nodiscard]] double value(std::string_view name, std::string_view label = {}, std::string_view is = {}) const;

  private:
    std::map<std::string, std::vector<Metric>, std::less<>> by_name_;
};

// What a histogram counted between two readings of /metrics, or since the start of the one.
struct HopTimes {
    double count = 0;
    double sum_s = 0;
    double p50_s = 0;  // the upper end of the bucket it falls into: at most this
    double p99_s = 0;
    double max_s = 0;  // since the start
};
// `before`: null for all since the start. `name`: without _bucket. `hop`: the value of its label of that name, if it has one.
[[nodiscard]] HopTimes hop_times(const Metrics& now, const Metrics* before, std::string_view name,
                                 std::string_view hop = {});

}  // namespace weir::control
