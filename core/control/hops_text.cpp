#include "core/control/hops_text.hpp"

#include <array>
#include <cstdio>

namespace weir::control {
namespace {

double in_us(std::uint64_t ns) {
    return static_cast<double>(ns) / 1000.0;
}

void append_number(std::string& out, const char* name, double value) {
    std::array<char, 64> text;
    const int bytes = std::snprintf(text.data(), text.size(), ",\"%s\":%.3f", name, value);
    out.append(text.data(), static_cast<std::size_t>(bytes));
}

}  // namespace

std::string hops_json(std::span<const Hop> hops) {
    std::string out = "[";
    for (const Hop& hop : hops) {
        const std::uint64_t count = hop.times.count();
        const double sum_us = in_us(hop.times.sum());
        if (out.size() > 1) out += ',';
        out += R"({"hop":")" + std::string(hop.name) + R"(","from":")" + std::string(hop.from) + R"(","to":")";
        out += std::string(hop.name) + R"(","whole":)" + (hop.is_whole ? "true" : "false");
        out += ",\"count\":" + std::to_string(count);
        append_number(out, "sum_us", sum_us);
        append_number(out, "mean_us", count == 0 ? 0.0 : sum_us / static_cast<double>(count));
        append_number(out, "p50_us", in_us(hop.times.percentile(0.5)));
        append_number(out, "p99_us", in_us(hop.times.percentile(0.99)));
        append_number(out, "max_us", in_us(hop.times.max()));
        out += '}';
    }
    return out + "]\n";
}

void append_hops(MetricsText& text, std::string_view name, std::span<const Hop> hops) {
    for (const Hop& hop : hops) {
        if (hop.is_whole) continue;
        text.histogram(name, "Time of an event from the end of one hop to the end of the next, once per event",
                       {{"hop", hop.name}}, hop.times);
    }
}

}  // namespace weir::control
