// ChartScale: where a value lies on an axis, and where its marks are.
#pragma once

#include <string>
#include <vector>

#include "bench/chart.hpp"

namespace weir::bench {

class ChartScale {
  public:
    // From `low` to `high` as pixels; `values` are all that will be drawn.
    ChartScale(const Axis& axis, const std::vector<double>& values, double low_pixel, double high_pixel);

    struct Mark {
        double pixel;
        std::string text;
    };
    [[nodiscard]] const std::vector<Mark>& marks() const { return marks_; }
    [[nodiscard]] bool can_show(double value) const { return !is_log_ || in(value) > 0; }
    [[nodiscard]] double pixel(double value) const;

  private:
    [[nodiscard]] double in(double value) const { return kind_ == AxisKind::percentile ? 1 / (1 - value) : value; }
    [[nodiscard]] double place(double inner) const;
    void mark_log();
    void mark_linear();

    AxisKind kind_;
    bool is_log_;
    double low_ = 0;
    double high_ = 1;
    double low_pixel_;
    double high_pixel_;
    std::vector<Mark> marks_;
};

}  // namespace weir::bench
