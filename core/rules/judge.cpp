// Judge: runs the rules of a set on one event after the other.
#include <algorithm>

#include "core/base/json_scan.hpp"
#include "core/rules/rule_set.hpp"

namespace weir::rules {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

Value text_or_null(std::string_view text) {
    return text.empty() ? Value{} : Value::of_text(text);
}

}  // namespace

Judge::Judge(const RuleSet& set, std::size_t scratch_bytes)
    : set_(&set),
      steps_(set.steps_.data()),
      operands_(set.graph_.operands().data()),
      constants_(set.graph_.constants().data()),
      scratch_(scratch_bytes),
      matched_((set.rule_count() + 63) / 64),
      memos_(set.memo_count_),
      slots_(set.paths_.slot_count()) {}

void Judge::begin(const Subject& subject) noexcept {
    event_ = &subject.event;
    edge_ = subject.edge;
    lane_ = subject.lane;
    part_ = subject.part;
    verdict_ = subject.verdict;
    reason_ = subject.reason;
    payload_ = PayloadState::unread;
    scratch_used_ = 0;
    of_type_ = set_->candidates_of(subject.event.type);
    if (++round_ == 0) {  // gone round: what is remembered from before must not look new
        std::fill(memos_.begin(), memos_.end(), Memo{});
        round_ = 1;
    }
}

std::span<const std::uint64_t> Judge::matches(std::uint32_t rules_end) noexcept {
    WEIR_ASSERT(event_ != nullptr);
    std::fill(matched_.begin(), matched_.end(), 0);
    for (const auto candidates : {of_type_, std::span<const RuleSet::Candidate>(set_->general_)}) {
        for (const auto [rule, node] : candidates) {
            if (rule >= rules_end) break;  // they are in order
            if (truth_of(node)) matched_[rule / 64] |= std::uint64_t{1} << (rule % 64);
        }
    }
    return matched_;
}

std::optional<std::uint32_t> Judge::first_match(std::uint32_t rules_begin, std::uint32_t rules_end) noexcept {
    WEIR_ASSERT(event_ != nullptr);
    const auto is_before = [](const RuleSet::Candidate& candidate, std::uint32_t rule) {
        return candidate.rule < rule;
    };
    const std::span<const RuleSet::Candidate> general(set_->general_);
    auto one = std::lower_bound(of_type_.begin(), of_type_.end(), rules_begin, is_before);
    auto other = std::lower_bound(general.begin(), general.end(), rules_begin, is_before);
    while (one != of_type_.end() || other != general.end()) {
        const bool takes_one = other == general.end() || (one != of_type_.end() && one->rule < other->rule);
        const RuleSet::Candidate candidate = takes_one ? *one++ : *other++;
        if (candidate.rule >= rules_end) return std::nullopt;
        if (truth_of(candidate.node)) return candidate.rule;
    }
    return std::nullopt;
}

bool Judge::holds(std::uint32_t rule) noexcept {
    WEIR_ASSERT(event_ != nullptr);
    WEIR_ASSERT(rule < set_->rule_count());
    return truth_of(set_->roots_[rule]);
}

Value Judge::value(std::uint32_t rule) noexcept {
    WEIR_ASSERT(event_ != nullptr);
    WEIR_ASSERT(rule < set_->rule_count());
    return value_of(set_->roots_[rule]);
}

inline Value Judge::at_slot(std::uint32_t number) noexcept {
    if (payload_ == PayloadState::unread) read_payload();
    Slot& slot = slots_[number];
    if (slot.form != Slot::Form::read) read_slot(number);
    return slot.value;
}

// What most conditions are made of, without going round by the switch.
inline Value Judge::operand(NodeId id) noexcept {
    const RuleSet::Step& step = steps_[id];
    if (step.op == Op::constant) return constants_[step.a];
    return step.op == Op::path ? at_slot(step.a) : value_of(id);
}

bool Judge::truth_of(NodeId id) noexcept {
    const RuleSet::Step& step = steps_[id];
    if (step.memo == none) return work_out_truth(step);
    Memo& memo = memos_[step.memo];
    if (memo.round != round_) {
        // A value may be asked for later, its truth now: what is remembered is the value.
        memo.value = work_out(step);
        memo.round = round_;
    }
    return memo.value.is_true();
}

bool Judge::work_out_truth(const RuleSet::Step& step) noexcept {
    const auto texts = [&](Value& left, Value& right) {
        left = value_of(step.a);
        right = value_of(step.b);
        return left.type == Type::text && right.type == Type::text;
    };
    Value left;
    Value right;
    switch (step.op) {
        case Op::all:
            for (std::uint32_t i = 0; i < step.b; ++i) {
                if (!truth_of(operands_[step.a + i])) return false;
            }
            return true;
        case Op::any:
            for (std::uint32_t i = 0; i < step.b; ++i) {
                if (truth_of(operands_[step.a + i])) return true;
            }
            return false;
        case Op::negation:
            return !truth_of(step.a);
        case Op::equal:
            return is_equal(operand(step.a), operand(step.b));
        case Op::less:
            return is_less(operand(step.a), operand(step.b));
        case Op::less_or_equal:
            return is_less_or_equal(operand(step.a), operand(step.b));
        case Op::member:
            return is_member(operand(step.a), set_->graph_.lists()[step.b]);
        case Op::like:
            left = value_of(step.a);
            return left.type == Type::text && set_->graph_.patterns()[step.b].matches(left.as_text());
        case Op::starts_with:
            return texts(left, right) && left.as_text().starts_with(right.as_text());
        case Op::ends_with:
            return texts(left, right) && left.as_text().ends_with(right.as_text());
        case Op::contains:
            return texts(left, right) && has_inside(left.as_text(), right.as_text());
        case Op::constant:
        case Op::field:
        case Op::path:
        case Op::lookup:
        case Op::add:
        case Op::subtract:
        case Op::multiply:
        case Op::divide:
        case Op::modulo:
        case Op::fallback:
        case Op::negate:
        case Op::absolute:
        case Op::floor:
        case Op::length:
        case Op::lower:
        case Op::upper:
        case Op::to_number:
        case Op::to_time:
            return work_out(step).is_true();
    }
    return false;
}

Value Judge::value_of(NodeId id) noexcept {
    const RuleSet::Step& step = steps_[id];
    if (step.memo == none) return work_out(step);
    Memo& memo = memos_[step.memo];
    if (memo.round != round_) {
        memo.value = work_out(step);
        memo.round = round_;
    }
    return memo.value;
}

Value Judge::work_out(const RuleSet::Step& step) noexcept {
    switch (step.op) {
        case Op::constant:
            return constants_[step.a];
        case Op::path:
            return at_slot(step.a);
        case Op::field:
            return field_of(static_cast<Field>(step.a));
        case Op::all:
        case Op::any:
        case Op::negation:
        case Op::equal:
        case Op::less:
        case Op::less_or_equal:
        case Op::member:
        case Op::like:
        case Op::starts_with:
        case Op::ends_with:
        case Op::contains:
            return Value::of_boolean(work_out_truth(step));
        case Op::lookup:
            return lookup(step.b, value_of(step.a));
        case Op::add:
            return add(value_of(step.a), value_of(step.b));
        case Op::subtract:
            return subtract(value_of(step.a), value_of(step.b));
        case Op::multiply:
            return multiply(value_of(step.a), value_of(step.b));
        case Op::divide:
            return divide(value_of(step.a), value_of(step.b));
        case Op::modulo:
            return modulo(value_of(step.a), value_of(step.b));
        case Op::fallback: {
            const Value first = value_of(step.a);
            return first.is_null() ? value_of(step.b) : first;
        }
        case Op::negate:
            return negate(value_of(step.a));
        case Op::absolute:
            return absolute(value_of(step.a));
        case Op::floor:
            return floor_of(value_of(step.a));
        case Op::length:
            return length_of(value_of(step.a));
        case Op::lower:
            return change_case(value_of(step.a), true);
        case Op::upper:
            return change_case(value_of(step.a), false);
        case Op::to_number:
            return to_number(value_of(step.a));
        case Op::to_time:
            return to_time(value_of(step.a));
    }
    return {};
}

Value Judge::field_of(Field field) noexcept {
    switch (field) {
        case Field::id:
            return Value::of_text(event_->id);
        case Field::type:
            return Value::of_text(event_->type);
        case Field::source:
            return Value::of_text(event_->source);
        case Field::content_type:
            return Value::of_text(event_->content_type);
        case Field::key:
            return text_or_null(event_->key);
        case Field::priority:
            return Value::of_integer(event_->priority);
        case Field::time: {
            const std::uint64_t ns = event_->time.value;
            return ns == 0 || ns > INT64_MAX ? Value{} : Value::of_time(static_cast<std::int64_t>(ns));
        }
        case Field::trace:
            return trace_text();
        case Field::edge:
            return text_or_null(edge_);
        case Field::lane:
            return text_or_null(lane_);
        case Field::part:
            return text_or_null(part_);
        case Field::verdict:
            return text_or_null(verdict_);
        case Field::reason:
            return text_or_null(reason_);
    }
    return {};
}

Value Judge::trace_text() noexcept {
    const std::string_view id = event_->trace_id;
    const std::span<char> text = claim_scratch(2 * id.size());
    if (id.empty() || text.empty()) return {};
    for (std::size_t i = 0; i < id.size(); ++i) {
        const auto byte = static_cast<unsigned char>(id[i]);
        text[2 * i] = hex_digits[byte >> 4U];
        text[2 * i + 1] = hex_digits[byte & 15U];
    }
    return Value::of_text({text.data(), text.size()});
}

void Judge::read_payload() noexcept {
    if (is_json(event_->content_type)) {
        payload_ = set_->paths_.read(event_->payload, slots_) ? PayloadState::json : PayloadState::broken;
        return;
    }
    const auto found = std::find_if(set_->flat_paths_.begin(), set_->flat_paths_.end(), [&](const FlatPaths& one) {
        return one.is_for(event_->type, event_->content_type);
    });
    Slot nothing;
    payload_ = PayloadState::other;
    if (found != set_->flat_paths_.end()) {
        flat_ = &*found;
        payload_ = flat_->accepts(event_->payload) ? PayloadState::flat : PayloadState::broken;
        if (payload_ == PayloadState::flat) nothing.form = Slot::Form::in_flatbuffer;
    }
    std::fill(slots_.begin(), slots_.end(), nothing);
}

void Judge::read_slot(std::uint32_t number) noexcept {
    Slot& slot = slots_[number];
    const std::string_view written = slot.value.type == Type::text ? slot.value.as_text() : std::string_view{};
    Value value;
    switch (slot.form) {
        case Slot::Form::read:
            return;
        case Slot::Form::in_flatbuffer:
            value = flat_->read(number, event_->payload);
            break;
        case Slot::Form::written_number:
            value = read_number(written);
            break;
        case Slot::Form::written_text: {
            const std::span<char> room = claim_scratch(written.size());
            const JsonValue quoted{JsonKind::string, {written.data() - 1, written.size() + 2}};
            if (const auto bytes = json_text_into(quoted, room)) value = Value::of_text({room.data(), *bytes});
            break;
        }
    }
    slot = {value, Slot::Form::read};
}

bool Judge::is_member(const Value& value, const std::vector<Value>& list) const noexcept {
    constexpr std::size_t one_by_one_max = 8;
    if (list.size() <= one_by_one_max) {
        return std::any_of(list.begin(), list.end(), [&](const Value& one) { return is_equal(value, one); });
    }
    const auto at = std::lower_bound(list.begin(), list.end(), value, is_before);
    return at != list.end() && is_equal(value, *at);
}

Value Judge::lookup(std::uint32_t column, const Value& key) const noexcept {
    const auto number = set_->columns_[column];
    if (!number || (key.type != Type::text && key.type != Type::integer)) return {};
    return set_->tables_->read(*number, key);
}

Value Judge::change_case(const Value& value, bool to_lower) noexcept {
    if (value.type != Type::text || value.bytes == 0) return value.type == Type::text ? value : Value{};
    const std::span<char> text = claim_scratch(value.bytes);
    if (text.empty()) return {};
    const char first = to_lower ? 'A' : 'a';
    for (std::uint32_t i = 0; i < value.bytes; ++i) {
        const char c = value.start[i];
        const bool changes = c >= first && c <= first + 25;
        text[i] = changes ? static_cast<char>(c ^ 0x20) : c;
    }
    return Value::of_text({text.data(), text.size()});
}

std::span<char> Judge::claim_scratch(std::size_t bytes) noexcept {
    if (bytes > scratch_.size() - scratch_used_) return {};
    const std::span<char> room(scratch_.data() + scratch_used_, bytes);
    scratch_used_ += bytes;
    return room;
}

}  // namespace weir::rules
