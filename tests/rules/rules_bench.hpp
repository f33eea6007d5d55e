// RulesBench: an event to ask about, and the short way from an expression's text to what it says.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/rules/rule_set.hpp"

namespace weir::rules::test {

// As a person would write it: 3, 2.5, "text", true, null, 90ns, @ns, list of 2.
inline std::string shown(const Value& value) {
    switch (value.type) {
        case Type::null:
            return "null";
        case Type::boolean:
            return value.integer != 0 ? "true" : "false";
        case Type::integer:
            return std::to_string(value.integer);
        case Type::real: {
            std::array<char, 64> digits{};
            std::snprintf(digits.data(), digits.size(), "%.17gr", value.real);
            return digits.data();
        }
        case Type::text: {
            std::string out;
            json_quote(value.as_text(), out);
            return out;
        }
        case Type::time:
            return "@" + std::to_string(value.integer);
        case Type::duration:
            return std::to_string(value.integer) + "ns";
        case Type::list:
            return "list of " + std::to_string(value.integer);
        case Type::object:
            return "object of " + std::to_string(value.integer);
        case Type::any:
            return "any";
    }
    return {};
}

inline Program compiled(std::string_view text, const CompileOptions& options = {}) {
    Compiled made = compile(text, options);
    if (!made.program) {
        ADD_FAILURE() << describe(made.fault, text);
        return std::move(*compile("false").program);
    }
    return std::move(*made.program);
}

inline RuleSet set_of(const std::vector<std::string>& texts, const Tables* tables = nullptr,
                      CompileOptions options = {}) {
    options.tables = tables;
    std::vector<Program> programs;
    for (const std::string& text : texts) programs.push_back(compiled(text, options));
    auto set = RuleSet::build(programs, {.tables = tables, .schemas = {}, .limits = {}});
    if (!set) ADD_FAILURE() << set.error().what;
    return std::move(set.value());
}

struct Event {
    std::string payload;
    wire::EventView view;

    explicit Event(std::string json = "{}") : payload(std::move(json)) {
        view.id = "ppa-9001";
        view.type = "violation.parking";
        view.source = "philly/police";
        view.key = "PHL-19139";
        view.time = WallNs{1512086407ULL * ns_per_second};
        view.priority = 2;
        view.trace_id = std::string_view("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\xfe\xff", 16);
        view.content_type = "application/json";
        view.payload = payload;
    }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    ~Event() = default;
};

inline const CompileOptions any_value{
    .is_placed = true, .is_judged = true, .gives_condition = false, .tables = nullptr, .limits = {}};

// What `text` gives for `event`, which is on edge north in the live part of lane fast.
inline std::string said(const std::string& text, const Event& event, const Tables* tables = nullptr) {
    const RuleSet set = set_of({text}, tables, any_value);
    Judge judge(set);
    judge.begin({event.view, "north", "fast", "live"});
    return shown(judge.value(0));
}

}  // namespace weir::rules::test
