#include "bench/chart_axis.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace weir::bench {
namespace {

constexpr double marks_wanted = 6;           // of a linear axis, about
constexpr double decades_with_halves = 1.6;  // a log axis shorter than this also has marks at 2 and 5

std::string short_number(double value, const char* unit) {
    char text[48];
    std::snprintf(text, sizeof text, "%.4g%s", value, unit);
    return text;
}

std::string text_of(AxisKind kind, double value) {
    switch (kind) {
        case AxisKind::microseconds:
            if (value >= 1e6) return short_number(value / 1e6, " s");
            if (value >= 1e3) return short_number(value / 1e3, " ms");
            return short_number(value, " us");
        case AxisKind::seconds:
            return short_number(value, " s");
        case AxisKind::bytes:
            if (value >= 1 << 20) return short_number(value / (1 << 20), " MiB");
            if (value >= 1 << 10) return short_number(value / (1 << 10), " KiB");
            return short_number(value, " B");
        case AxisKind::percentile: {
            // 1, 10, 100, 1000: no, one, two, three nines.
            const double percent = 100 - 100 / value;
            char text[32];
            std::snprintf(text, sizeof text, "%.*f %%",
                          std::max(0, static_cast<int>(std::lround(std::log10(value))) - 2), percent);
            return text;
        }
        case AxisKind::number:
            break;
    }
    if (value >= 1e6) return short_number(value / 1e6, "M");
    if (value >= 1e3) return short_number(value / 1e3, "k");
    return short_number(value, "");
}

}  // namespace

bool axis_kind_of(std::string_view text, AxisKind& kind) {
    constexpr std::pair<std::string_view, AxisKind> names[] = {{"number", AxisKind::number},
                                                               {"microseconds", AxisKind::microseconds},
                                                               {"seconds", AxisKind::seconds},
                                                               {"bytes", AxisKind::bytes},
                                                               {"percentile", AxisKind::percentile}};
    for (const auto& [name, one] : names) {
        if (name != text) continue;
        kind = one;
        return true;
    }
    return false;
}

ChartScale::ChartScale(const Axis& axis, const std::vector<double>& values, double low_pixel, double high_pixel)
    : kind_(axis.kind),
      is_log_(axis.is_log || axis.kind == AxisKind::percentile),
      low_pixel_(low_pixel),
      high_pixel_(high_pixel) {
    std::vector<double> shown;
    for (const double value : values) {
        if (can_show(value)) shown.push_back(in(value));
    }
    if (axis.is_from_zero && !is_log_) shown.push_back(0);
    if (shown.empty()) shown = {1, 10};
    low_ = *std::min_element(shown.begin(), shown.end());
    high_ = *std::max_element(shown.begin(), shown.end());
    if (is_log_) {
        mark_log();
    } else {
        mark_linear();
    }
}

double ChartScale::place(double inner) const {
    const double part = is_log_ ? (std::log10(inner) - std::log10(low_)) / (std::log10(high_) - std::log10(low_))
                                : (inner - low_) / (high_ - low_);
    return low_pixel_ + part * (high_pixel_ - low_pixel_);
}

double ChartScale::pixel(double value) const {
    return place(in(value));
}

// By powers of ten, of two for bytes; a short axis also at 2 and 5. It begins and ends with a mark.
void ChartScale::mark_log() {
    const double base = kind_ == AxisKind::bytes ? 4 : 10;
    const bool is_short = base > 9 && kind_ != AxisKind::percentile && std::log10(high_ / low_) < decades_with_halves;
    std::vector<double> at;
    const double first = std::floor(std::log(low_) / std::log(base) + 1e-9);
    const double last = std::ceil(std::log(high_) / std::log(base) - 1e-9);
    for (double power = first; power <= std::max(last, first + 1); ++power) {
        const double value = std::pow(base, power);
        at.push_back(value);
        if (is_short && power < std::max(last, first + 1)) at.insert(at.end(), {2 * value, 5 * value});
    }
    while (at.size() > 2 && at[1] <= low_ * (1 + 1e-9)) at.erase(at.begin());
    while (at.size() > 2 && at[at.size() - 2] >= high_ * (1 - 1e-9)) at.pop_back();
    low_ = at.front();
    high_ = at.back();
    for (const double value : at) marks_.push_back({place(value), text_of(kind_, value)});
}

void ChartScale::mark_linear() {
    if (high_ <= low_) high_ = low_ + 1;
    const double rough = (high_ - low_) / marks_wanted;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    const double part = rough / power;
    const double step = power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
    low_ = std::floor(low_ / step + 1e-9) * step;
    high_ = std::ceil(high_ / step - 1e-9) * step;
    for (double value = low_; value <= high_ + step / 2; value += step)
        marks_.push_back({place(value), text_of(kind_, value)});
}

}  // namespace weir::bench
