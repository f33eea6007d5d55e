// Patterns and payloads: what rules and routes share: exact texts or prefixes, and the payload: JSON, parsed at most once,
// or of a registered schema.
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
#include "edge/intake/payload_forms.hpp"

namespace weir::edge {

class Patterns {
  public:
    Patterns() = default;
    explicit Patterns(std::vector<std::string> written) : written_(std::move(written)) {}
    [[nodiscard]] bool is_empty() const { return written_.empty(); }
    // An empty list matches everything.
    [[nodiscard]] bool matches(std::string_view text) const noexcept { return written_.empty() || matches_one(text); }

  private:
    // Apart: most lists are empty, and that is one look.
    [[gnu::noinline]] bool matches_one(std::string_view text) const noexcept {
        return std::any_of(written_.begin(), written_.end(),
                           [&](const std::string& one) { return rules::Pattern::from(one).matches(text); });
    }

    std::vector<std::string> written_;
};

// One event's payload, looked into only when a rule or a route asks.
class Payload {
  public:
    // `form`: of the schema that it was verified by, if there is one.
    explicit Payload(const wire::EventView& event, const PayloadForms::Form* form = nullptr) noexcept
        : event_(event), form_(form) {}
    [[nodiscard]] bool has_form() const noexcept { return form_ != nullptr; }
    // Of one with a form: what stands at a path of PayloadForms.
    [[nodiscard]] rules::Value flat(std::uint32_t path) const noexcept { return form_->read(path, event_.payload); }
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
    const PayloadForms::Form* form_;
    bool looked_ = false;
    std::optional<JsonValue> value_;
};

inline constexpr std::string_view data_prefix = "data.";

}  // namespace weir::edge
