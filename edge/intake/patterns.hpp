// Patterns and payloads: what rules and routes share: exact texts or prefixes, and the payload's JSON, parsed at most once.
//
// Thread    Intake runner; nothing here allocates after construction.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/wire/event.hpp"

namespace weir::edge {

class Patterns {
  public:
    Patterns() = default;
    explicit Patterns(const std::vector<std::string>& texts) {
        for (const std::string& text : texts) {
            const bool is_prefix = !text.empty() && text.back() == '*';
            patterns_.push_back({is_prefix ? text.substr(0, text.size() - 1) : text, is_prefix});
        }
    }
    [[nodiscard]] bool is_empty() const { return patterns_.empty(); }
    // An empty list matches everything.
    [[nodiscard]] bool matches(std::string_view text) const noexcept {
        return patterns_.empty() || std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& pattern) {
                   return pattern.is_prefix ? text.starts_with(pattern.text) : text == pattern.text;
               });
    }

  private:
    struct Pattern {
        std::string text;
        bool is_prefix = false;
    };
    std::vector<Pattern> patterns_;
};

[[nodiscard]] inline bool is_json(std::string_view content_type) noexcept {
    const std::string_view bare = content_type.substr(0, content_type.find(';'));
    return bare == "application/json" || bare.ends_with("+json");
}

// One event's payload, looked into only when a rule or a route asks.
class Payload {
  public:
    explicit Payload(const wire::EventView& event) noexcept : event_(event) {}
    [[nodiscard]] bool is_json_typed() const noexcept { return is_json(event_.content_type); }
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
