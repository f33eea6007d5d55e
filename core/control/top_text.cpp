#include "core/control/top_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "core/control/config_reader.hpp"

namespace weir::control {
namespace {

double sum_of(const Metrics& metrics, std::string_view name, std::string_view label, std::string_view is) {
    double sum = 0;
    for (const Metric& one : metrics.all(name)) {
        if (label.empty() || one.label(label) == is) sum += one.value;
    }
    return sum;
}

}  // namespace

double TopGrowth::sum(std::string_view name, std::string_view label, std::string_view is) const {
    return sum_of(now_, name, label, is);
}

double TopGrowth::grown(std::string_view name, std::string_view label, std::string_view is) const {
    return before_ == nullptr ? 0 : value(name, label, is) - before_->value(name, label, is);
}

std::string TopGrowth::rate(std::string_view name, std::string_view label, std::string_view is) const {
    return is_known() ? number_text(grown(name, label, is) / seconds_) : "-";
}

std::string TopGrowth::sum_rate(std::string_view name, std::string_view label, std::string_view is) const {
    if (!is_known()) return "-";
    return number_text((sum(name, label, is) - sum_of(*before_, name, label, is)) / seconds_);
}

std::string TopGrowth::byte_rate(std::string_view name) const {
    return is_known() ? size_text(grown(name) / seconds_) : "-";
}

std::string printed(const char* format, ...) {
    std::array<char, 512> text;
    va_list values;
    va_start(values, format);
    const int bytes = std::vsnprintf(text.data(), text.size(), format, values);
    va_end(values);
    return {text.data(), std::min(text.size() - 1, static_cast<std::size_t>(std::max(bytes, 0)))};
}

std::string number_text(double value) {
    const std::string digits = printed("%.0f", std::abs(value));
    std::string text;
    if (value < 0 && digits != "0") text += '-';
    for (std::size_t at = 0; at < digits.size(); ++at) {
        if (at > 0 && (digits.size() - at) % 3 == 0) text += ',';
        text += digits[at];
    }
    return text;
}

std::uint64_t whole_number(double value) {
    constexpr double whole_max = 9e18;  // a time of day in nanoseconds is below it
    return static_cast<std::uint64_t>(std::clamp(value, 0.0, whole_max));
}

std::string size_text(double bytes) {
    return bytes_text(whole_number(bytes));
}

std::string share_text(double part, double whole) {
    return whole > 0 ? printed("%.1f %%", 100 * part / whole) : "-";
}

std::string duration_text(double seconds) {
    if (seconds < 1e-3) return printed("%.0f us", seconds * 1e6);
    if (seconds < 1) return printed("%.1f ms", seconds * 1e3);
    if (seconds < 100) return printed("%.2f s", seconds);
    if (seconds < 2 * 3600) return printed("%.0f min", seconds / 60);
    if (seconds < 2 * 86'400) return printed("%.0f h", seconds / 3600);
    return printed("%.0f d", std::min(seconds / 86'400, 1e6));
}

std::string plain_text(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

std::string fitted(std::vector<std::string> lines, const TopSize& size) {
    if (size.rows > 0 && lines.size() > size.rows) {
        const std::size_t left_out = lines.size() - size.rows + 1;
        lines.resize(size.rows - 1);
        lines.push_back("... " + std::to_string(left_out) + " more lines");
    }
    std::string out;
    for (const std::string& line : lines) out += line.substr(0, size.columns) + '\n';
    return out;
}

}  // namespace weir::control
