#include "edge/intake/route.hpp"

namespace weir::edge {
namespace {

std::uint8_t lane_index(const std::vector<LaneState>& lanes, std::string_view name) {
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        if (lanes[index].is_configured && lanes[index].name == name) return static_cast<std::uint8_t>(index);
    }
    WEIR_ASSERT(!"a route's lane is configured");
    return 0;
}

}  // namespace

Route::Route(const EdgeConfig& config, const Expressions& expressions, const PayloadForms& forms,
             const std::vector<LaneState>& lanes)
    : default_lane_(lane_index(lanes, "default")) {
    for (const RouteConfig& from : config.routes) {
        Compiled& route = routes_.emplace_back();
        route.lane = lane_index(lanes, from.lane);
        route.types = Patterns(from.types);
        route.keys = Patterns(from.keys);
        route.sources = Patterns(from.sources);
        route.priority_min = from.priority_min;
        route.when = expressions.routes()[routes_.size() - 1];
        for (const FieldEquals& field : from.equals) {
            Equals& equals = route.equals.emplace_back();
            equals.in_data = field.path.starts_with(data_prefix);
            equals.path = equals.in_data ? field.path.substr(data_prefix.size()) : field.path;
            equals.value = field.value;
            equals.number = rules::read_number(field.value);
            equals.number_at = equals.in_data ? forms.number_of(equals.path) : 0;
            json_quote(field.value, equals.quoted);
        }
    }
}

// As JSON would have it: a value's text is what was written, a number's value what was written as a number.
bool Route::is_equal(const Equals& equals, const rules::Value& value) noexcept {
    if (value.type == rules::Type::text) return value.as_text() == equals.value;
    if (value.type == rules::Type::boolean) return equals.value == (value.is_true() ? "true" : "false");
    return value.is_number() && rules::is_equal(value, equals.number);
}

bool Route::holds(const Equals& equals, const wire::EventView& event, Payload& payload) noexcept {
    if (!equals.in_data) {
        if (equals.path == "source") return event.source == equals.value;
        if (equals.path == "key") return event.key == equals.value;
        return equals.path == "type" && event.type == equals.value;
    }
    if (payload.has_form()) return is_equal(equals, payload.flat(equals.number_at));
    if (!payload.is_json_typed()) return false;
    const auto value = payload.at(equals.path);
    if (!value) return false;
    return value->raw == (value->kind == JsonKind::string ? equals.quoted : equals.value);
}

bool Route::matches(const Compiled& route, const wire::EventView& event, Payload& payload,
                    rules::Judge* judge) noexcept {
    if (event.priority < route.priority_min || !route.types.matches(event.type) || !route.keys.matches(event.key) ||
        !route.sources.matches(event.source)) {
        return false;
    }
    for (const Equals& equals : route.equals) {
        if (!holds(equals, event, payload)) return false;
    }
    return !route.when || judge->holds(*route.when);
}

void Route::judge_one(EventRef& event, rules::Judge* judge, const PayloadForms::Form* form) const noexcept {
    event.lane = default_lane_;
    Payload payload(event.view, form);
    for (const Compiled& route : routes_) {
        if (!matches(route, event.view, payload, judge)) continue;
        event.lane = route.lane;
        return;
    }
}

}  // namespace weir::edge
