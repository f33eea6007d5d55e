// Validate: judges decoded events by the configuration's rules, compiled once.
//
// Thread    Intake runner.
// Law       What it fails becomes a dead letter with a reason and, where a rule said so, that rule's number.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "edge/config.hpp"
#include "edge/expressions.hpp"
#include "edge/intake/event_vector.hpp"
#include "edge/intake/patterns.hpp"

namespace weir::edge {

class Validate {
  public:
    Validate(const EdgeConfig& config, const Expressions& expressions, const PayloadForms& forms);
    // Judges one that is still admitted. `judge`: of the expressions, begun with this event; null if there are none. `form`: of
    // its payload; null if no schema is registered for it.
    void judge_one(EventRef& event, WallNs wall, rules::Judge* judge, const PayloadForms::Form* form) const noexcept;
    // It fails nothing by itself; only a registered schema could.
    [[nodiscard]] bool passes_all() const noexcept {
        return allowed_types_.is_empty() && ahead_ns_max_ == 0 && behind_ns_max_ == 0 && rules_.empty();
    }

  private:
    enum class Field : std::uint8_t { id, type, source, key, time, priority, trace_id, content_type, data, unknown };
    struct Path {
        Field field = Field::unknown;
        std::string inner;     // of data
        std::uint32_t number;  // of it, in PayloadForms
    };
    struct Range {
        Path path;
        std::optional<double> min;
        std::optional<double> max;
    };
    struct Rule {
        Patterns types;
        std::vector<Path> require;
        std::vector<Range> ranges;
        bool reads_data = false;
        Expressions::OfRule expressions;
    };
    [[nodiscard]] static Path compile(const std::string& path, const PayloadForms& forms);
    [[nodiscard]] static bool is_there(const Path& path, const wire::EventView& event, Payload& payload) noexcept;
    [[nodiscard]] static bool is_within(const Range& range, const wire::EventView& event, Payload& payload) noexcept;
    [[nodiscard]] static wire::Reason judge_rule(const Rule& rule, const wire::EventView& event, Payload& payload,
                                                 rules::Judge* judge) noexcept;

    Patterns allowed_types_;
    std::uint64_t ahead_ns_max_;
    std::uint64_t behind_ns_max_;
    std::vector<Rule> rules_;
};

}  // namespace weir::edge
