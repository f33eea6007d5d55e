// Chart: lines over axes, drawn as SVG that needs nothing else: no script, no font file, readable on white.
//
// Thread    Any; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::bench {

enum class AxisKind : std::uint8_t {
    number,        // 1, 10, 1k, 1M
    microseconds,  // 100 us, 1 ms, 1 s
    seconds,
    bytes,       // 64, 1 KiB
    percentile,  // a share of 0 to below 1, drawn by 1 / (1 - share) on a log axis: 0 %, 90 %, 99 %
};
[[nodiscard]] bool axis_kind_of(std::string_view text, AxisKind& kind);

struct Axis {
    std::string title;
    AxisKind kind = AxisKind::number;
    bool is_log = false;  // values of 0 and less are then left out
    bool is_from_zero = false;
};
struct Series {
    std::string name;
    std::vector<std::pair<double, double>> points;  // by growing x
    bool is_marked = false;                         // a dot at each point: few points, each measured by itself
};
struct Chart {
    std::string title;
    Axis x;
    Axis y;
    std::vector<Series> series;
};
// The charts below one another, under a title and lines of text (of what, and how it went).
[[nodiscard]] std::string svg_of(std::string_view title, const std::vector<std::string>& lines,
                                 const std::vector<Chart>& charts);

}  // namespace weir::bench
