// Route: the first route that matches names an event's lane; without one it is "default".
//
// Thread    Intake runner.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "edge/config.hpp"
#include "edge/expressions.hpp"
#include "edge/intake/event_vector.hpp"
#include "edge/intake/patterns.hpp"

namespace weir::edge {

class Route {
  public:
    Route(const EdgeConfig& config, const Expressions& expressions, const PayloadForms& forms,
          const std::vector<LaneState>& lanes);
    // Gives one that is still admitted its lane. `judge`: of the expressions, begun with this event; null if there are none. `form`:
    // of its payload; null if no schema is registered for it.
    void judge_one(EventRef& event, rules::Judge* judge, const PayloadForms::Form* form) const noexcept;
    // The lane of every event; nullopt: there are routes.
    [[nodiscard]] std::optional<std::uint8_t> only_lane() const noexcept {
        return routes_.empty() ? std::optional(default_lane_) : std::nullopt;
    }

  private:
    struct Equals {
        std::string path;  // "source", "key", "type", or inside data
        bool in_data = false;
        std::string value;
        std::string quoted;       // as a JSON string
        rules::Value number;      // as a number; null if it is none
        std::uint32_t number_at;  // of the path, in PayloadForms
    };
    struct Compiled {
        std::uint8_t lane = 0;
        Patterns types, keys, sources;
        std::uint8_t priority_min = 0;
        std::vector<Equals> equals;
        Expressions::Number when;
    };
    [[nodiscard]] static bool is_equal(const Equals& equals, const rules::Value& value) noexcept;
    [[nodiscard]] static bool holds(const Equals& equals, const wire::EventView& event, Payload& payload) noexcept;
    [[nodiscard]] static bool matches(const Compiled& route, const wire::EventView& event, Payload& payload,
                                      rules::Judge* judge) noexcept;

    std::uint8_t default_lane_ = 0;
    std::vector<Compiled> routes_;
};

}  // namespace weir::edge
