#include "core/rules/graph.hpp"

#include <algorithm>
#include <bit>

#include "core/base/assert.hpp"

namespace weir::rules {
namespace {

// Rough nanoseconds; only their order matters.
constexpr std::uint32_t cost_max = 1U << 20;
constexpr std::uint32_t path_cost = 20;  // one scan of the payload serves all, but the first that asks pays for it
constexpr std::uint32_t lookup_cost = 50;
constexpr std::uint32_t text_cost = 10;

std::uint32_t cost_of(Op op) {
    switch (op) {
        case Op::constant:
            return 0;
        case Op::path:
            return path_cost;
        case Op::lookup:
            return lookup_cost;
        case Op::starts_with:
        case Op::ends_with:
        case Op::contains:
        case Op::lower:
        case Op::upper:
        case Op::to_number:
        case Op::to_time:
        case Op::member:
            return text_cost;
        default:
            return 1;
    }
}

std::string changed_case(std::string_view from, bool to_lower) {
    std::string to(from);
    for (char& c : to) {
        if (to_lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (!to_lower && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return to;
}

}  // namespace

Operands operands_of(Op op) noexcept {
    switch (op) {
        case Op::constant:
        case Op::field:
        case Op::path:
            return Operands::nothing;
        case Op::all:
        case Op::any:
            return Operands::list;
        case Op::lookup:
        case Op::negation:
        case Op::member:
        case Op::like:
        case Op::negate:
        case Op::absolute:
        case Op::floor:
        case Op::length:
        case Op::lower:
        case Op::upper:
        case Op::to_number:
        case Op::to_time:
            return Operands::one;
        case Op::equal:
        case Op::less:
        case Op::less_or_equal:
        case Op::starts_with:
        case Op::ends_with:
        case Op::contains:
        case Op::add:
        case Op::subtract:
        case Op::multiply:
        case Op::divide:
        case Op::modulo:
        case Op::fallback:
            return Operands::two;
    }
    return Operands::nothing;
}

Type type_of(Field field) noexcept {
    switch (field) {
        case Field::time:
            return Type::time;
        case Field::priority:
            return Type::integer;
        case Field::id:
        case Field::type:
        case Field::source:
        case Field::key:
        case Field::trace:
        case Field::content_type:
        case Field::edge:
        case Field::lane:
        case Field::part:
        case Field::verdict:
        case Field::reason:
            return Type::text;
    }
    return Type::any;
}

std::string_view Graph::keep(std::string_view text) {
    const auto found = text_numbers_.find(text);
    if (found != text_numbers_.end()) return texts_[found->second];
    text_numbers_.emplace(std::string(text), static_cast<std::uint32_t>(texts_.size()));
    return texts_.emplace_back(text);
}

Value Graph::kept(Value value) {
    return value.type == Type::text ? Value::of_text(keep(value.as_text())) : value;
}

// Everything but all, any, lookup and constants comes through here: type, depth and cost follow from the operands.
NodeId Graph::intern(Node node) {
    const auto key = std::make_tuple(node.op, node.type, node.a, node.b);
    const auto found = node_numbers_.find(key);
    if (found != node_numbers_.end()) return found->second;
    const auto id = static_cast<NodeId>(nodes_.size());
    node_numbers_.emplace(key, id);
    nodes_.push_back(node);
    return id;
}

NodeId Graph::constant(const Value& value) {
    const Value own = kept(value);
    const auto bits = own.type == Type::real   ? std::bit_cast<std::uint64_t>(own.real)
                      : own.type == Type::text ? reinterpret_cast<std::uint64_t>(own.start)
                                               : static_cast<std::uint64_t>(own.integer);
    const auto [at, is_new] = constant_numbers_.try_emplace(std::make_tuple(own.type, own.bytes, bits),
                                                            static_cast<std::uint32_t>(constants_.size()));
    if (is_new) constants_.push_back(own);
    return intern({Op::constant, own.type, false, 1, 0, at->second, 0});
}

std::optional<Value> Graph::constant_of(NodeId id) const {
    const Node& node = nodes_[id];
    if (node.op != Op::constant) return std::nullopt;
    return constants_[node.a];
}

NodeId Graph::field(Field field) {
    return intern({Op::field, type_of(field), field == Field::type, 1, 1, static_cast<std::uint32_t>(field), 0});
}

NodeId Graph::path(const Path& path) {
    const auto [at, is_new] = path_numbers_.try_emplace(path, static_cast<std::uint32_t>(paths_.size()));
    if (is_new) paths_.push_back(path);
    return intern({Op::path, Type::any, false, 1, path_cost, at->second, 0});
}

NodeId Graph::lookup(NodeId key, const Column& column, Type type) {
    const auto [at, is_new] = column_numbers_.try_emplace(column, static_cast<std::uint32_t>(columns_.size()));
    if (is_new) columns_.push_back(column);
    return operation(Op::lookup, type, key, at->second);
}

NodeId Graph::negation(NodeId operand) {
    if (const auto value = constant_of(operand)) return boolean(!value->is_true());
    const Node inner = nodes_[operand];
    if (inner.op == Op::negation) return all({inner.a});  // the truth of what is inside
    return operation(Op::negation, Type::boolean, operand);
}

NodeId Graph::equal(NodeId left, NodeId right) {
    // == has no sides: constants to the right, else the older node to the left.
    if (nodes_[left].op == Op::constant || (nodes_[right].op != Op::constant && right < left)) std::swap(left, right);
    return operation(Op::equal, Type::boolean, left, right);
}

NodeId Graph::member(NodeId left, std::vector<Value> list) {
    for (Value& value : list) value = kept(value);
    std::sort(list.begin(), list.end(), is_before);
    list.erase(std::unique(list.begin(), list.end(), is_equal), list.end());
    if (list.empty()) return boolean(false);
    if (list.size() == 1) return equal(left, constant(list[0]));
    if (const auto value = constant_of(left)) {
        return boolean(std::any_of(list.begin(), list.end(), [&](const Value& one) { return is_equal(*value, one); }));
    }
    std::vector<std::uint32_t> numbers;
    for (const Value& value : list) numbers.push_back(constant(value));
    const auto [at, is_new] = list_numbers_.try_emplace(numbers, static_cast<std::uint32_t>(lists_.size()));
    if (is_new) lists_.push_back(std::move(list));
    return operation(Op::member, Type::boolean, left, at->second);
}

NodeId Graph::like(NodeId left, std::string_view written) {
    const Pattern pattern = Pattern::from(written);
    if (!pattern.is_prefix) return equal(left, constant(Value::of_text(written)));
    if (const auto value = constant_of(left)) {
        return boolean(value->type == Type::text && pattern.matches(value->as_text()));
    }
    const auto found = pattern_numbers_.find(written);
    auto number = static_cast<std::uint32_t>(patterns_.size());
    if (found != pattern_numbers_.end()) {
        number = found->second;
    } else {
        pattern_numbers_.emplace(std::string(written), number);
        patterns_.push_back(Pattern::from(keep(written)));
    }
    return operation(Op::like, Type::boolean, left, number);
}

NodeId Graph::operation(Op op, Type type, NodeId left, NodeId right) {
    const Node a = nodes_[left];
    Node node{op, type, a.reads_type, static_cast<std::uint16_t>(a.depth + 1), cost_of(op) + a.cost, left, right};
    if (rules::operands_of(op) == Operands::two) {
        const Node b = nodes_[right];
        if (a.op == Op::constant && b.op == Op::constant) {
            if (const auto value = work_out(op, constants_[a.a], constants_[b.a])) return constant(*value);
        }
        node.reads_type = node.reads_type || b.reads_type;
        node.depth = static_cast<std::uint16_t>(std::max(a.depth, b.depth) + 1);
        node.cost += b.cost;
    } else if (a.op == Op::constant && op != Op::lookup) {
        if (const auto value = work_out(op, constants_[a.a], {})) return constant(*value);
    }
    node.cost = std::min(node.cost, cost_max);
    return intern(node);
}

std::optional<Value> Graph::work_out(Op op, const Value& left, const Value& right) {
    const bool are_texts = left.type == Type::text && right.type == Type::text;
    switch (op) {
        case Op::equal:
            return Value::of_boolean(is_equal(left, right));
        case Op::less:
            return Value::of_boolean(is_less(left, right));
        case Op::less_or_equal:
            return Value::of_boolean(is_less_or_equal(left, right));
        case Op::starts_with:
            return Value::of_boolean(are_texts && left.as_text().starts_with(right.as_text()));
        case Op::ends_with:
            return Value::of_boolean(are_texts && left.as_text().ends_with(right.as_text()));
        case Op::contains:
            return Value::of_boolean(are_texts && has_inside(left.as_text(), right.as_text()));
        case Op::add:
            return add(left, right);
        case Op::subtract:
            return subtract(left, right);
        case Op::multiply:
            return multiply(left, right);
        case Op::divide:
            return divide(left, right);
        case Op::modulo:
            return modulo(left, right);
        case Op::fallback:
            return left.is_null() ? right : left;
        case Op::negate:
            return negate(left);
        case Op::absolute:
            return absolute(left);
        case Op::floor:
            return floor_of(left);
        case Op::length:
            return length_of(left);
        case Op::lower:
        case Op::upper:
            return left.type == Type::text ? Value::of_text(keep(changed_case(left.as_text(), op == Op::lower)))
                                           : Value{};
        case Op::to_number:
            return to_number(left);
        case Op::to_time:
            return to_time(left);
        case Op::constant:
        case Op::field:
        case Op::path:
        case Op::lookup:
        case Op::all:
        case Op::any:
        case Op::negation:
        case Op::member:
        case Op::like:
            return std::nullopt;
    }
    return std::nullopt;
}

NodeId Graph::junction(Op op, std::vector<NodeId> operands) {
    const bool decides = op == Op::any;  // true decides ||, false decides &&
    std::vector<NodeId> flat;
    for (const NodeId operand : operands) {
        if (nodes_[operand].op == op) {
            const Node inner = nodes_[operand];
            for (std::uint32_t i = 0; i < inner.b; ++i) flat.push_back(operands_[inner.a + i]);
        } else {
            flat.push_back(operand);
        }
    }
    for (const NodeId operand : flat) {
        const auto value = constant_of(operand);
        if (value && value->is_true() == decides) return boolean(decides);
    }
    std::erase_if(flat, [&](NodeId operand) { return nodes_[operand].op == Op::constant; });
    std::sort(flat.begin(), flat.end(), [&](NodeId left, NodeId right) {
        return std::make_pair(nodes_[left].cost, left) < std::make_pair(nodes_[right].cost, right);
    });
    flat.erase(std::unique(flat.begin(), flat.end()), flat.end());
    if (flat.empty()) return boolean(!decides);
    // A lone operand stays in its && when it may be no boolean: only its truth is meant. (|| the same, as &&.)
    if (flat.size() == 1) {
        if (nodes_[flat[0]].type == Type::boolean) return flat[0];
        op = Op::all;
    }
    const auto key = std::make_pair(op, flat);
    const auto found = junction_numbers_.find(key);
    if (found != junction_numbers_.end()) return found->second;
    Node node{op,
              Type::boolean,
              false,
              0,
              cost_of(op),
              static_cast<std::uint32_t>(operands_.size()),
              static_cast<std::uint32_t>(flat.size())};
    for (const NodeId operand : flat) {
        const Node& inner = nodes_[operand];
        node.reads_type = node.reads_type || inner.reads_type;
        node.depth = std::max(node.depth, static_cast<std::uint16_t>(inner.depth + 1));
        node.cost = std::min(node.cost + inner.cost, cost_max);
    }
    operands_.insert(operands_.end(), flat.begin(), flat.end());
    const auto id = static_cast<NodeId>(nodes_.size());
    nodes_.push_back(node);
    junction_numbers_.emplace(key, id);
    return id;
}

std::vector<NodeId> Graph::operands_of(NodeId id) const {
    const Node& node = nodes_[id];
    switch (rules::operands_of(node.op)) {
        case Operands::nothing:
            return {};
        case Operands::one:
            return {node.a};
        case Operands::two:
            return {node.a, node.b};
        case Operands::list:
            return {operands_.begin() + node.a, operands_.begin() + node.a + node.b};
    }
    return {};
}

NodeId Graph::copy(const Graph& from, NodeId id, const Known& known, std::map<NodeId, NodeId>& done) {
    const auto found = done.find(id);
    if (found != done.end()) return found->second;
    const Node node = from.nodes_[id];
    if (&from == this && !node.reads_type) return id;
    const auto again = [&](NodeId operand) { return copy(from, operand, known, done); };
    const bool is_unnamed = known.type == Known::Type::unnamed || known.type == Known::Type::foreign;
    const auto is_type = [&](NodeId operand) {
        return from.nodes_[operand].op == Op::field && from.nodes_[operand].reads_type;
    };
    NodeId made = none;
    switch (node.op) {
        case Op::constant:
            made = constant(from.constants_[node.a]);
            break;
        case Op::field:
            made = node.reads_type && known.type == Known::Type::exactly ? constant(Value::of_text(known.text))
                                                                         : field(static_cast<Field>(node.a));
            break;
        case Op::path:
            made = path(Path(from.paths_[node.a]));
            break;
        case Op::lookup:
            made = lookup(again(node.a), Column(from.columns_[node.b]), node.type);
            break;
        case Op::all:
        case Op::any: {
            std::vector<NodeId> operands;
            for (std::uint32_t i = 0; i < node.b; ++i) operands.push_back(again(from.operands_[node.a + i]));
            made = junction(node.op, std::move(operands));
            break;
        }
        case Op::negation:
            made = negation(again(node.a));
            break;
        case Op::equal:
            made = is_unnamed && is_type(node.a) && from.nodes_[node.b].op == Op::constant
                       ? boolean(false)
                       : equal(again(node.a), again(node.b));
            break;
        case Op::member:
            made = is_unnamed && is_type(node.a) ? boolean(false)
                                                 : member(again(node.a), std::vector<Value>(from.lists_[node.b]));
            break;
        case Op::like: {
            const std::string prefix(from.patterns_[node.b].text);
            if (is_unnamed && is_type(node.a)) {
                made = boolean(known.type == Known::Type::unnamed && known.text.starts_with(prefix));
            } else {
                made = like(again(node.a), prefix + '*');
            }
            break;
        }
        case Op::less:
        case Op::less_or_equal:
        case Op::starts_with:
        case Op::ends_with:
        case Op::contains:
        case Op::add:
        case Op::subtract:
        case Op::multiply:
        case Op::divide:
        case Op::modulo:
        case Op::fallback:
            made = operation(node.op, node.type, again(node.a), again(node.b));
            break;
        case Op::negate:
        case Op::absolute:
        case Op::floor:
        case Op::length:
        case Op::lower:
        case Op::upper:
        case Op::to_number:
        case Op::to_time:
            made = operation(node.op, node.type, again(node.a));
            break;
    }
    done.emplace(id, made);
    return made;
}

}  // namespace weir::rules
