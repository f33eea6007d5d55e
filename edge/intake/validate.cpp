#include "edge/intake/validate.hpp"

namespace weir::edge {

Validate::Validate(const EdgeConfig& config, const Expressions& expressions, const PayloadForms& forms)
    : allowed_types_(config.validate.allowed_types),
      ahead_ns_max_(config.validate.time_ahead_s_max * ns_per_second),
      behind_ns_max_(config.validate.time_behind_s_max * ns_per_second) {
    for (const RuleConfig& from : config.rules) {
        Rule& rule = rules_.emplace_back();
        rule.types = Patterns(from.types);
        for (const std::string& path : from.require) rule.require.push_back(compile(path, forms));
        for (const RangeConfig& range : from.ranges) {
            rule.ranges.push_back({compile(range.path, forms), range.min, range.max});
        }
        for (const Path& path : rule.require) rule.reads_data = rule.reads_data || path.field == Field::data;
        for (const Range& range : rule.ranges) rule.reads_data = rule.reads_data || range.path.field == Field::data;
        rule.expressions = expressions.rules()[rules_.size() - 1];
    }
}

Validate::Path Validate::compile(const std::string& path, const PayloadForms& forms) {
    if (path.starts_with(data_prefix)) {
        const std::string inner = path.substr(data_prefix.size());
        return {Field::data, inner, forms.number_of(inner)};
    }
    if (path == "id") return {Field::id, {}, 0};
    if (path == "type") return {Field::type, {}, 0};
    if (path == "source") return {Field::source, {}, 0};
    if (path == "key") return {Field::key, {}, 0};
    if (path == "time") return {Field::time, {}, 0};
    if (path == "priority") return {Field::priority, {}, 0};
    if (path == "trace_id") return {Field::trace_id, {}, 0};
    if (path == "content_type") return {Field::content_type, {}, 0};
    return {Field::unknown, {}, 0};
}

bool Validate::is_there(const Path& path, const wire::EventView& event, Payload& payload) noexcept {
    switch (path.field) {
        case Field::id:
            return !event.id.empty();
        case Field::type:
            return !event.type.empty();
        case Field::source:
            return !event.source.empty();
        case Field::key:
            return !event.key.empty();
        case Field::time:
            return event.time.value != 0;
        case Field::priority:
            return true;
        case Field::trace_id:
            return !event.trace_id.empty();
        case Field::content_type:
            return !event.content_type.empty();
        case Field::data: {
            if (payload.has_form()) {
                const rules::Value value = payload.flat(path.number);
                return !value.is_null() && (value.type != rules::Type::text || value.bytes > 0);
            }
            const auto value = payload.at(path.inner);
            return value && value->kind != JsonKind::null && value->raw != "\"\"";
        }
        case Field::unknown:
            return false;
    }
    return false;
}

bool Validate::is_within(const Range& range, const wire::EventView& event, Payload& payload) noexcept {
    double number = 0;
    if (range.path.field == Field::priority) {
        number = event.priority;
    } else if (range.path.field == Field::time) {
        if (event.time.value == 0) return true;
        number = static_cast<double>(event.time.value);
    } else if (range.path.field == Field::data && payload.has_form()) {
        const rules::Value value = payload.flat(range.path.number);
        if (value.is_null()) return true;
        if (!value.is_number()) return false;
        number = value.type == rules::Type::real ? value.real : static_cast<double>(value.integer);
    } else if (range.path.field == Field::data) {
        const auto value = payload.at(range.path.inner);
        if (!value || value->kind == JsonKind::null) return true;
        const auto read = json_number(*value);
        if (!read) return false;
        number = *read;
    } else {
        return true;
    }
    return (!range.min || number >= *range.min) && (!range.max || number <= *range.max);
}

wire::Reason Validate::judge_rule(const Rule& rule, const wire::EventView& event, Payload& payload,
                                  rules::Judge* judge) noexcept {
    // A payload that says it is something else than JSON, and is of no registered schema, has no fields to judge.
    const bool judges_data = rule.reads_data && (payload.has_form() || payload.is_json_typed());
    if (judges_data && !payload.has_form() && !payload.parses()) return wire::Reason::payload_not_json;
    for (const Path& path : rule.require) {
        if (path.field == Field::data && !judges_data) continue;
        if (!is_there(path, event, payload)) return wire::Reason::field_missing;
    }
    for (const Range& range : rule.ranges) {
        if (range.path.field == Field::data && !judges_data) continue;
        if (!is_within(range, event, payload)) return wire::Reason::out_of_range;
    }
    if (rule.expressions.must && !judge->holds(*rule.expressions.must)) {
        // Of a payload that is not what it says nothing holds: that is the reason then.
        const bool is_broken = judge->payload_state() == rules::PayloadState::broken;
        return is_broken && payload.is_json_typed() ? wire::Reason::payload_not_json : wire::Reason::rule_failed;
    }
    return wire::Reason::none;
}

void Validate::judge_one(EventRef& event, WallNs wall, rules::Judge* judge,
                         const PayloadForms::Form* form) const noexcept {
    const auto fail = [&](wire::Reason reason) { event.fail(Verdict::dead_letter, reason, wire::StageId::validate); };
    if (!allowed_types_.matches(event.view.type)) return fail(wire::Reason::type_not_allowed);
    const std::uint64_t time = event.view.time.value;
    if (time != 0) {
        if (ahead_ns_max_ != 0 && time > wall.value && time - wall.value > ahead_ns_max_) {
            return fail(wire::Reason::time_skew);
        }
        if (behind_ns_max_ != 0 && time < wall.value && wall.value - time > behind_ns_max_) {
            return fail(wire::Reason::time_skew);
        }
    }
    if (form != nullptr) {
        const wire::Reason reason = form->verify(event.view.payload);
        if (reason != wire::Reason::none) return fail(reason);
    }
    Payload payload(event.view, form);
    for (std::size_t index = 0; index < rules_.size(); ++index) {
        const Rule& rule = rules_[index];
        if (!rule.types.matches(event.view.type)) continue;
        if (rule.expressions.when && !judge->holds(*rule.expressions.when)) continue;
        const wire::Reason reason = judge_rule(rule, event.view, payload, judge);
        if (reason == wire::Reason::none) continue;
        event.rule = static_cast<std::uint16_t>(index + 1);
        return fail(reason);
    }
}

}  // namespace weir::edge
