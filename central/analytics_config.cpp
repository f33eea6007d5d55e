#include "central/analytics_config.hpp"

#include <algorithm>
#include <charconv>

#include "central/analytics/engine.hpp"
#include "central/analytics/pattern_language.hpp"
#include "core/rules/compile.hpp"

namespace weir::central {
namespace {

using analytics::Member;
using control::Bounds;
using control::ConfigTable;

constexpr std::uint64_t day_s = 86'400;
constexpr std::uint64_t window_s_max = 31 * day_s;
constexpr std::uint64_t spread_ms_max = 3'600'000;
constexpr std::uint32_t keys_max = 10'000'000;

// The budget's terms: what the operators of central/analytics hold for one of each.
constexpr std::uint64_t pane_bytes = 160;
constexpr std::uint64_t sketch_bytes = 512 * 16;
constexpr std::uint64_t distinct_bytes = 2048;
constexpr std::uint64_t top_bytes = 64 * 96;
constexpr std::uint64_t key_bytes = 384;  // its table entry, and a text of key_bytes_max
constexpr std::uint64_t waiting_bytes = 384;
constexpr std::uint64_t run_bytes = 128;
constexpr std::uint64_t series_bytes = 120U << 10;
constexpr std::uint64_t alert_bytes = 512;

// What is computed is a function of the journal, which reference data is not part of: a lookup is a mistake, not a null.
class NoTables final : public rules::Tables {
  public:
    [[nodiscard]] std::optional<std::uint32_t> find_column(std::string_view, std::string_view) const override {
        return std::nullopt;
    }
    [[nodiscard]] rules::Value read(std::uint32_t, const rules::Value&) const noexcept override { return {}; }
};

std::string place_of(const rules::Fault& fault) {
    return "at " + std::to_string(fault.line) + ":" + std::to_string(fault.column) + ": " + fault.what;
}

void expression(ConfigTable& table, std::string_view key, std::string& into, bool gives_condition) {
    table.text(key, into);
    if (!table.has(key) || into.empty()) return;
    static const NoTables no_tables;
    const auto compiled =
        rules::compile(into, {.is_placed = true, .gives_condition = gives_condition, .tables = &no_tables});
    if (!compiled.program) table.fault(key, place_of(compiled.fault));
}

// A name as results, alerts and questions use it.
void read_name(ConfigTable& table, std::string& into) {
    table.needs_text("name", into);
    const auto is_good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    if (into.empty()) return;
    if (into.size() > 64 || !std::all_of(into.begin(), into.end(), is_good)) {
        table.fault("name", "must be 1 to 64 of A-Z, a-z, 0-9, '-' and '_'");
    }
}

template <class Definitions, class NameOf>
void check_unique(ConfigTable& table, const Definitions& others, const std::string& name, std::string_view kind,
                  NameOf name_of) {
    if (std::any_of(others.begin(), others.end(), [&](const auto& other) { return name_of(other) == name; })) {
        table.fault("name", "another " + std::string(kind) + " has this name: \"" + name + '"');
    }
}

template <class Number>
void seconds(ConfigTable& table, std::string_view key, Number& into_ns, std::uint64_t min, std::uint64_t max) {
    std::uint64_t told = into_ns / ns_per_second;
    table.number(key, told, Bounds{min, max, "s"});
    into_ns = told * ns_per_second;
}

// "50", "99.9": in hundred-thousandths.
std::optional<std::uint32_t> percentile_of(std::string_view text) {
    std::uint32_t whole = 0, part = 0;
    const char* const end = text.data() + text.size();
    const auto [point, fault] = std::from_chars(text.data(), end, whole);
    if (fault != std::errc{} || whole > 100) return std::nullopt;
    if (point != end) {
        const auto digits = static_cast<std::size_t>(end - point) - 1;
        if (*point != '.' || digits == 0 || digits > 3) return std::nullopt;
        const auto [stop, wrong] = std::from_chars(point + 1, end, part);
        if (wrong != std::errc{} || stop != end) return std::nullopt;
        for (std::size_t at = digits; at < 3; ++at) part *= 10;
    }
    const std::uint32_t told = whole * 1000 + part;
    if (told > 100'000) return std::nullopt;
    return told;
}

void read_aggregate(ConfigTable& table, analytics::WindowDefinition& made) {
    auto& aggregate = made.spec.aggregate;
    expression(table, "value", made.value, false);
    expression(table, "distinct", made.distinct, false);
    expression(table, "top", made.top, false);
    aggregate.has_distinct = !made.distinct.empty();
    table.number("decimals", aggregate.decimals, Bounds{0, 9, "decimals"});
    std::vector<std::string> percentiles;
    table.texts("percentiles", percentiles);
    for (std::size_t index = 0; index < percentiles.size(); ++index) {
        const auto told = percentile_of(percentiles[index]);
        if (!told) table.fault("percentiles", index, "must be \"0\" to \"100\", with at most three decimals");
        aggregate.percentiles.push_back(told.value_or(0));
    }
    if (percentiles.size() > 16) table.fault("percentiles", "has more than 16 entries");
    if (!percentiles.empty() && made.value.empty()) table.fault("percentiles", "needs a value to be of");
    std::uint32_t top_count = made.top.empty() ? 1 : 10;
    table.number("top_count", top_count, Bounds{1, 64, "texts"});
    if (table.has("top_count") && made.top.empty()) table.fault("top_count", "needs a text to list: top");
    aggregate.top_count = made.top.empty() ? 0 : top_count;
}

void read_window(ConfigTable& table, AnalyticsConfig& config) {
    analytics::WindowDefinition made;
    read_name(table, made.name);
    check_unique(table, config.definitions.windows, made.name, "window", [](const auto& one) { return one.name; });
    expression(table, "when", made.when, true);
    expression(table, "key", made.key, false);
    auto& spec = made.spec;
    seconds(table, "length_s", spec.length_ns, 1, window_s_max);
    std::uint64_t step_s = spec.length_ns / ns_per_second;
    table.number("step_s", step_s, Bounds{1, window_s_max, "s"});
    spec.step_ns = step_s * ns_per_second;
    std::uint64_t gap_s = 0;
    table.number("gap_s", gap_s, Bounds{0, window_s_max, "s"});
    if (gap_s > 0) {
        if (table.has("length_s")) table.fault("gap_s", "a session has no length: leave out length_s or gap_s");
        spec.length_ns = 0;
        spec.gap_ns = gap_s * ns_per_second;
    }
    std::uint64_t spread_ms = 0;
    table.number("spread_ms", spread_ms, Bounds{0, spread_ms_max, "ms"});
    if (spread_ms > 0 && gap_s > 0) {
        table.fault("spread_ms", "a session's answers are not spread");
    } else {
        spec.spread_ns = spread_ms * ns_per_ms;
    }
    seconds(table, "lateness_s", spec.lateness_ns, 0, 366 * day_s);
    table.number("keys_max", spec.keys_max, Bounds{1, keys_max, "keys"});
    table.number("panes_max", spec.panes_max, Bounds{1, 100'000'000, "panes"});
    read_aggregate(table, made);
    if (const std::string fault = fault_of(spec); !fault.empty()) {
        table.fault(table.has("step_s") ? "step_s" : "length_s", fault);
    }
    config.definitions.windows.push_back(std::move(made));
}

void read_pattern(ConfigTable& table, AnalyticsConfig& config) {
    analytics::PatternDefinition made;
    read_name(table, made.name);
    check_unique(table, config.definitions.patterns, made.name, "pattern", [](const auto& one) { return one.name; });
    table.needs_text("pattern", made.text);
    static const NoTables no_tables;
    if (!made.text.empty()) {
        const auto compiled = analytics::compile_pattern(made.text, &no_tables);
        if (!compiled.pattern) table.fault("pattern", place_of(compiled.fault));
    }
    table.number("keys_max", made.limits.keys_max, Bounds{1, keys_max, "keys"});
    table.number("runs_per_key_max", made.limits.runs_per_key_max, Bounds{1, 65'536, "runs"});
    table.number("waiting_max", made.limits.waiting_max, Bounds{1, 100'000'000, "events"});
    config.definitions.patterns.push_back(std::move(made));
}

void read_anomaly(ConfigTable& table, AnalyticsConfig& config) {
    analytics::AnomalyDefinition made;
    read_name(table, made.name);
    check_unique(table, config.definitions.anomalies, made.name, "anomaly", [](const auto& one) { return one.name; });
    table.needs_text("window", made.window);
    const auto& windows = config.definitions.windows;
    if (!made.window.empty() &&
        std::none_of(windows.begin(), windows.end(), [&](const auto& window) { return window.name == made.window; })) {
        table.fault("window", "no window has this name: \"" + made.window + '"');
    }
    using analytics::SeriesOf;
    table.choice("of", made.series,
                 {{"count", SeriesOf::count},
                  {"sum", SeriesOf::sum},
                  {"avg", SeriesOf::mean},
                  {"distinct", SeriesOf::distinct}});
    std::vector<std::string> members;
    table.texts("members", members);
    if (table.has("members")) made.spec.members = 0;
    for (std::size_t index = 0; index < members.size(); ++index) {
        std::size_t member = 0;
        while (member < analytics::member_count && analytics::text(static_cast<Member>(member)) != members[index]) {
            ++member;
        }
        if (member == analytics::member_count) {
            table.fault("members", index, "no detector has this name: \"" + members[index] + '"');
        } else {
            made.spec.members |= 1U << member;
        }
    }
    std::optional<double> alarm_at;
    table.decimal("alarm_at", alarm_at);
    if (alarm_at && (*alarm_at < 0.1 || *alarm_at > 1000)) table.fault("alarm_at", "must be 0.1 to 1000");
    made.spec.alarm_at = alarm_at.value_or(made.spec.alarm_at);
    table.number("quiet_values", made.spec.quiet_values, Bounds{0, 1'000'000, "values"});
    table.number("warm_values", made.spec.warm_values, Bounds{1, 1'000'000, "values"});
    table.number("keys_max", made.keys_max, Bounds{1, 1'000'000, "keys"});
    config.definitions.anomalies.push_back(std::move(made));
}

bool is_result(const analytics::Definitions& told, const std::string& type) {
    const auto has = [&](const auto& all, const std::string& kind) {
        return std::any_of(all.begin(), all.end(), [&](const auto& one) { return kind + one.name == type; });
    };
    return has(told.windows, "window.") || has(told.patterns, "pattern.") || has(told.anomalies, "anomaly.");
}

void read_alert(ConfigTable& table, AnalyticsConfig& config) {
    analytics::AlertDefinition made;
    analytics::AlertRule& rule = made.rule;
    read_name(table, rule.name);
    check_unique(table, config.definitions.alerts, rule.name, "alert", [](const auto& one) { return one.rule.name; });
    table.needs_text("on", made.on);
    if (!made.on.empty() && !is_result(config.definitions, made.on)) {
        table.fault("on", "no window, pattern or anomaly has this name: \"" + made.on + '"');
    }
    made.raise = "true";
    expression(table, "raise", made.raise, true);
    expression(table, "clear", made.clear, true);
    using analytics::Severity;
    table.choice("severity", rule.severity,
                 {{"info", Severity::info}, {"warning", Severity::warning}, {"critical", Severity::critical}});
    seconds(table, "for_s", rule.for_ns, 0, window_s_max);
    seconds(table, "clear_s", rule.clear_ns, 0, window_s_max);
    seconds(table, "stale_s", rule.stale_ns, 0, window_s_max);
    seconds(table, "escalate_s", rule.escalate_ns, 0, window_s_max);
    seconds(table, "repeat_s", rule.repeat_ns, 0, window_s_max);
    table.text("group", rule.group);
    seconds(table, "group_s", rule.group_ns, 0, window_s_max);
    table.texts("suppressed_by", made.suppressed_by);
    table.number("keys_max", rule.keys_max, Bounds{1, 1'000'000, "keys"});
    config.definitions.alerts.push_back(std::move(made));
}

void read_bounds(ConfigTable& table, AnalyticsConfig& config) {
    table.number("checkpoint_ms", config.checkpoint_ms, Bounds{10, 600'000, "ms"});
    table.number("commit_ms", config.commit_ms, Bounds{1, 10'000, "ms"});
    table.number("rows_max", config.rows_max, Bounds{1, 1'000'000'000, "rows"});
    table.number("query_ms_max", config.query_ms_max, Bounds{1, 600'000, "ms"});
    auto& clock = config.definitions.clock;
    seconds(table, "future_s_max", clock.future_ns_max, 0, window_s_max);
    std::uint64_t disorder_ms = clock.disorder_ns / ns_per_ms;
    table.number("disorder_ms", disorder_ms, Bounds{0, 86'400'000, "ms"});
    clock.disorder_ns = disorder_ms * ns_per_ms;
    seconds(table, "idle_s_max", clock.idle_ns_max, 1, window_s_max);
    seconds(table, "join_s_max", clock.join_ns_max, 0, window_s_max);
    seconds(table, "standing_s_max", clock.standing_ns_max, 1, window_s_max);
    table.number("sources_max", clock.sources_max, Bounds{1, 65'536, "edges"});
}

}  // namespace

void read_analytics(ConfigTable& root, AnalyticsConfig& config) {
    using analytics::definitions_max;
    root.table("analytics", [&](ConfigTable& inner) { read_bounds(inner, config); });
    root.tables("windows", definitions_max, [&](ConfigTable& inner) { read_window(inner, config); });
    root.tables("patterns", definitions_max, [&](ConfigTable& inner) { read_pattern(inner, config); });
    root.tables("anomalies", definitions_max, [&](ConfigTable& inner) { read_anomaly(inner, config); });
    root.tables("alerts", definitions_max, [&](ConfigTable& inner) { read_alert(inner, config); });
    root.tables("sinks", sinks_max, [&](ConfigTable& inner) { read_sink(inner, config.sinks); });
    const auto& alerts = config.definitions.alerts;
    for (std::size_t index = 0; index < alerts.size(); ++index) {
        for (const std::string& name : alerts[index].suppressed_by) {
            if (std::none_of(alerts.begin(), alerts.end(), [&](const auto& one) { return one.rule.name == name; })) {
                root.fault("alerts", index, "suppressed_by: no alert has this name: \"" + name + '"');
            }
        }
    }
}

void add_budget(const AnalyticsConfig& config, control::BudgetText& terms) {
    const auto& told = config.definitions;
    for (const auto& window : told.windows) {
        const auto& aggregate = window.spec.aggregate;
        std::uint64_t pane = pane_bytes;
        if (!aggregate.percentiles.empty()) pane += sketch_bytes;
        if (aggregate.has_distinct) pane += distinct_bytes;
        if (aggregate.top_count > 0) pane += top_bytes;
        terms.memory("window " + window.name + ": panes_max and keys_max",
                     window.spec.panes_max * pane + window.spec.keys_max * key_bytes);
    }
    for (const auto& pattern : told.patterns) {
        const auto& limits = pattern.limits;
        terms.memory("pattern " + pattern.name + ": waiting_max, and one run of each of keys_max",
                     limits.waiting_max * waiting_bytes + limits.keys_max * (key_bytes + run_bytes));
    }
    for (const auto& anomaly : told.anomalies) {
        terms.memory("anomaly " + anomaly.name + ": keys_max", anomaly.keys_max * series_bytes);
    }
    for (const auto& alert : told.alerts) {
        terms.memory("alert " + alert.rule.name + ": keys_max", alert.rule.keys_max * alert_bytes);
    }
}

Result<AnalyticsConfig> analytics_of_text(std::string_view text) {
    control::ConfigFile file = control::parse_config("kept", text);
    AnalyticsConfig config;
    if (file.is_readable()) {
        // The keys that are not of analytics are unknown here.
        control::ConfigFile ours = file;
        std::erase_if(ours.root.members, [](const auto& member) {
            return member.first != "analytics" && member.first != "windows" && member.first != "patterns" &&
                   member.first != "anomalies" && member.first != "alerts" && member.first != "sinks";
        });
        {
            ConfigTable root(ours);
            read_analytics(root, config);
        }
        file.faults = ours.faults;
    }
    if (const auto lines = file.error_lines(); !lines.empty()) return Error{0, lines.front()};
    config.text = text;
    return config;
}

}  // namespace weir::central
