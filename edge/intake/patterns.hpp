// Patterns and payloads: what rules and routes share: exact texts or prefixes, and the payload's JSON, parsed at most once.
//
// Thread    Intake runner; nothing here allocates after construction.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/rules/json_paths.hpp"
#include "core/rules/pattern.hpp"
#include "core/wire/event.hpp"

namespace weir::edge {

class Patterns {
  public:
    Patterns() = default;
    explicit Patterns(std::vector<std::string> written) : written_(std::move(written)) {}
    [[nodiscard]] bool is_empty() const { return written_.empty(); }
    // An empty list matches everything.
    [[nodiscard]] bool matches(std::string_view text) const noexcept {
        return written_.empty() || std::any_of(written_.begin(), written_.end(), [&](const std::string& one) {
                   return rules::Pattern::from(one).matches(text);
               });
    }

  private:
    std::vector<std::string> written_;
};

// One event's payload, looked into only when a rule or a route asks.
class Payload {
  public:
    explicit Payload(const wire::EventView& event) noexcept : event_(event) {}
    [[nodiscard]] bool is_json_typed() const noexcept { return rules::is_json(event_.content_type); }
    [[nodiscard]] bool parses() noexcept {
        if (!looked_) {
            JsonFault fault;
            value_ = json_parse(event_.payload, fault);
            looked_ = true;
        }
        return value_.has_value();
    }
    // `path` without "data.".
    [[nodiscard]] std::optional<JsonValue> at(std::string_view path) noexcept {
        if (!parses() || value_->kind != JsonKind::object) return std::nullopt;
        return json_path(value_->raw, path);
    }

  private:
    const wire::EventView& event_;
    bool looked_ = false;
    std::optional<JsonValue> value_;
};

inline constexpr std::string_view data_prefix = "data.";

}  // namespace weir::edge
