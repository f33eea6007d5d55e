// Definitions: what an Engine is told to compute: windows, patterns, anomalies, alerts, by name, with expressions of core/rules.
//
// Law       A name is used once per kind. Everything is checked before an engine exists: a mistake says what, line and column.
#pragma once

#include <string>
#include <vector>

#include "central/analytics/alert_machine.hpp"
#include "central/analytics/anomaly_ensemble.hpp"
#include "central/analytics/event_clock.hpp"
#include "central/analytics/pattern_machine.hpp"
#include "central/analytics/window_result.hpp"

namespace weir::analytics {

inline constexpr std::uint32_t definitions_max = 256;  // of each kind

struct WindowDefinition {
    std::string name;
    std::string when = "true";
    std::string key = "key";
    std::string value;     // what is summed; empty: nothing
    std::string distinct;  // what is told apart; empty: nothing
    std::string top;       // what is listed; empty: nothing
    WindowSpec spec;
};

struct PatternDefinition {
    std::string name;
    std::string text;
    PatternLimits limits;
};

// A series for each key of a window: its first versions, in order of time.
enum class SeriesOf : std::uint8_t { count, sum, mean, distinct };
struct AnomalyDefinition {
    std::string name;
    std::string window;
    SeriesOf series = SeriesOf::count;
    AnomalySpec spec;
    std::uint32_t keys_max = 1000;
};

// Conditions are asked of results as of events: type is "window.NAME", "pattern.NAME" or "anomaly.NAME", key the result's key, time its
// end, and data what append_json prints of it.
struct AlertDefinition {
    std::string on;     // "window.NAME", "pattern.NAME", "anomaly.NAME"
    std::string raise;  // condition
    std::string clear;  // condition; empty: whenever raise does not hold
    AlertRule rule;     // with the name; suppressed_by is filled in from the names below
    std::vector<std::string> suppressed_by;
};

struct Definitions {
    EventClockSpec clock;
    std::vector<WindowDefinition> windows;
    std::vector<PatternDefinition> patterns;
    std::vector<AnomalyDefinition> anomalies;
    std::vector<AlertDefinition> alerts;
};

struct AnomalyResult {
    std::string key;
    std::uint64_t time_ns = 0;  // the window's end
    double value = 0;
    AnomalyScore said;
};
// One line of JSON without newline.
void append_json(const PatternMatch& match, std::string& out);
void append_json(const AnomalyResult& result, std::string& out);
void append_json(const Notice& notice, std::string_view rule, std::string& out);

}  // namespace weir::analytics
