#include "central/analytics/window_result.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include "core/base/json_scan.hpp"

namespace weir::analytics {
namespace {

void append_real(double value, std::string& out) {
    std::array<char, 32> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out.append(digits.data(), written.ptr);
}

void append_member(std::string_view name, std::string_view value, std::string& out) {
    out.append(",\"").append(name).append("\":").append(value);
}

void append_real_member(std::string_view name, double value, std::string& out) {
    append_member(name, {}, out);
    append_real(value, out);
}

void append_measures(const Values& values, const AggregateSpec& spec, std::string& out) {
    append_member("sum", decimal_text(values.sum, spec.decimals), out);
    append_member("min", decimal_text(values.min, spec.decimals), out);
    append_member("max", decimal_text(values.max, spec.decimals), out);
    append_real_member("avg", number_of(values.mean, spec.decimals), out);
    append_real_member("stddev", number_of(values.deviation, spec.decimals), out);
    for (std::size_t at = 0; at < values.percentiles.size(); ++at) {
        append_real_member("p" + decimal_text(spec.percentiles[at], 3),
                           number_of(values.percentiles[at], spec.decimals), out);
    }
}

void append_top(const std::vector<TopEntry>& top, std::string& out) {
    append_member("top", "[", out);
    for (const TopEntry& entry : top) {
        if (out.back() != '[') out.push_back(',');
        out.append("{\"text\":");
        json_quote(entry.text, out);
        append_member("count", std::to_string(entry.count), out);
        append_member("over", std::to_string(entry.over), out);
        out.push_back('}');
    }
    out.push_back(']');
}

}  // namespace

std::string fault_of(const WindowSpec& spec) {
    if (spec.keys_max == 0 || spec.panes_max == 0) return "room for no key";
    if (spec.length_ns == 0 && spec.spread_ns > 0) return "a session's answers are not spread";
    if (spec.length_ns == 0) return spec.gap_ns == 0 ? "a session needs a gap" : "";
    if (spec.step_ns == 0 || spec.length_ns % spec.step_ns != 0) return "the length is no multiple of the step";
    if (spec.length_ns / spec.step_ns > panes_per_window_max) return "more than 1440 steps in a window";
    return {};
}

void save(const WindowCounts& counts, StateWriter& out) {
    for (const std::uint64_t one : {counts.events, counts.late, counts.detached, counts.evicted, counts.results})
        out.put(one);
}

void load(WindowCounts& counts, StateReader& in) {
    for (std::uint64_t* one : {&counts.events, &counts.late, &counts.detached, &counts.evicted, &counts.results}) {
        *one = in.get<std::uint64_t>();
    }
}

WindowResult next_version(Said& said, Values values) {
    WindowResult made;
    made.version = ++said.version;
    made.change_count = static_cast<std::int64_t>(values.count - said.count);
    made.change_sum = values.sum - said.sum;
    said.count = values.count;
    said.sum = values.sum;
    made.values = std::move(values);
    return made;
}

void sort_results(std::vector<WindowResult>& results, std::size_t first) {
    std::sort(results.begin() + static_cast<std::ptrdiff_t>(first), results.end(),
              [](const WindowResult& a, const WindowResult& b) {
                  return std::tie(a.end_ns, a.start_ns, a.key, a.born, a.version) <
                         std::tie(b.end_ns, b.start_ns, b.key, b.born, b.version);
              });
}

void append_json(const WindowResult& result, const AggregateSpec& spec, std::string& out) {
    out.append("{\"key\":");
    json_quote(result.key, out);
    append_member("start_ns", std::to_string(result.start_ns), out);
    append_member("end_ns", std::to_string(result.end_ns), out);
    append_member("born", std::to_string(result.born), out);
    append_member("version", std::to_string(result.version), out);
    append_member("marks", std::to_string(result.marks), out);
    append_member("count", std::to_string(result.values.count), out);
    append_member("redated", std::to_string(result.values.redated), out);
    append_member("change_count", std::to_string(result.change_count), out);
    append_member("change_sum", decimal_text(result.change_sum, spec.decimals), out);
    append_member("measured", std::to_string(result.values.measured), out);
    if (result.values.measured > 0) append_measures(result.values, spec, out);
    if (spec.has_distinct) append_real_member("distinct", result.values.distinct, out);
    if (spec.top_count > 0) append_top(result.values.top, out);
    out.push_back('}');
}

}  // namespace weir::analytics
