#include "core/control/metrics_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace weir::control {
namespace {

bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

std::string_view take_name(std::string_view& rest) {
    const auto end = std::find_if_not(rest.begin(), rest.end(), is_name);
    const std::string_view name = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    rest.remove_prefix(name.size());
    return name;
}

bool take(std::string_view& rest, std::string_view what) {
    if (!rest.starts_with(what)) return false;
    rest.remove_prefix(what.size());
    return true;
}

// A label's value between quotes, its escapes resolved.
std::optional<std::string> take_text(std::string_view& rest) {
    if (!take(rest, "\"")) return std::nullopt;
    std::string text;
    while (!rest.empty()) {
        const char c = rest.front();
        rest.remove_prefix(1);
        if (c == '"') return text;
        if (c != '\\') {
            text += c;
            continue;
        }
        if (rest.empty()) return std::nullopt;
        text += rest.front() == 'n' ? '\n' : rest.front();
        rest.remove_prefix(1);
    }
    return std::nullopt;
}

std::optional<double> number_of(std::string_view text) {
    if (text == "+Inf") return std::numeric_limits<double>::infinity();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || std::isnan(value)) return std::nullopt;
    return value;
}

// NAME{LABEL="VALUE",...} NUMBER
std::optional<std::pair<std::string, Metric>> metric_of(std::string_view line) {
    const std::string name(take_name(line));
    if (name.empty()) return std::nullopt;
    Metric metric;
    if (take(line, "{")) {
        while (!take(line, "}")) {
            const std::string label(take_name(line));
            if (label.empty() || !take(line, "=")) return std::nullopt;
            auto text = take_text(line);
            if (!text) return std::nullopt;
            metric.labels.emplace_back(label, std::move(*text));
            if (!take(line, ",") && !line.starts_with('}')) return std::nullopt;
        }
    }
    if (!take(line, " ")) return std::nullopt;
    const auto value = number_of(line.substr(0, line.find(' ')));
    if (!value) return std::nullopt;
    metric.value = *value;
    return std::pair(name, std::move(metric));
}

}  // namespace

std::string_view Metric::label(std::string_view name) const {
    const auto found = std::find_if(labels.begin(), labels.end(), [&](const auto& one) { return one.first == name; });
    return found == labels.end() ? std::string_view{} : found->second;
}

Metrics Metrics::read(std::string_view text) {
    Metrics metrics;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (auto one = metric_of(line)) metrics.by_name_[one->first].push_back(std::move(one->second));
    }
    return metrics;
}

const std::vector<Metric>& Metrics::all(std::string_view name) const {
    static const std::vector<Metric> none;
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? none : found->second;
}

std::vector<std::string> Metrics::names(std::string_view begin, std::string_view end) const {
    std::vector<std::string> found;
    for (const auto& [name, values] : by_name_) {
        if (name.starts_with(begin) && name.ends_with(end)) found.push_back(name);
    }
    return found;
}

double Metrics::value(std::string_view name, std::string_view label, std::string_view is) const {
    for (const Metric& one : all(name)) {
        if (label.empty() || one.label(label) == is) return one.value;
    }
    return 0;
}

HopTimes hop_times(const Metrics& now, const Metrics* before, std::string_view name, std::string_view hop) {
    const std::string buckets_name = std::string(name) + "_bucket";
    const auto is_of_it = [&](const Metric& one) { return one.label("hop") == hop; };
    const auto earlier = [&](const std::string& of, std::string_view end) {
        if (before == nullptr) return 0.0;
        for (const Metric& one : before->all(of)) {
            if (is_of_it(one) && one.label("le") == end) return one.value;
        }
        return 0.0;
    };
    const auto now_of = [&](const std::string& of) {
        const auto& all = now.all(of);
        const auto found = std::find_if(all.begin(), all.end(), is_of_it);
        return found == all.end() ? 0.0 : found->value;
    };
    std::vector<std::pair<double, double>> buckets;  // upper end, how many up to it
    for (const Metric& one : now.all(buckets_name)) {
        const auto end = number_of(one.label("le"));
        if (!end || !is_of_it(one)) continue;
        buckets.emplace_back(*end, one.value - earlier(buckets_name, one.label("le")));
    }
    HopTimes times;
    const std::string sum_name = std::string(name) + "_sum";
    times.sum_s = now_of(sum_name) - earlier(sum_name, {});
    times.max_s = now_of(std::string(name) + "_max");
    if (buckets.empty()) return times;
    times.count = buckets.back().second;
    const auto at_most = [&](double share) {
        const double rank = std::ceil(share * times.count);
        for (const auto& [end, count] : buckets) {
            if (count >= rank) return std::min(end, times.max_s);
        }
        return times.max_s;
    };
    if (times.count > 0) {
        times.p50_s = at_most(0.5);
        times.p99_s = at_most(0.99);
    }
    return times;
}

}  // namespace weir::control
