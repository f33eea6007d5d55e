// Graph: expressions as nodes that are never there twice: equal sub-expressions, also of different rules, are one node.
//
// Building a node simplifies it: constants are worked out, nested && and || become flat lists with the cheapest first. This is
// allowed because expressions have no effects and no errors.
//
// Ownership Owns its texts; they stay where they are when the graph is moved.
// Bounds    Nodes get no deeper than their builder says (compile.hpp); evaluation recurses at most that deep.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/rules/pattern.hpp"
#include "core/rules/value.hpp"

namespace weir::rules {

using NodeId = std::uint32_t;
inline constexpr std::uint32_t none = UINT32_MAX;
inline constexpr std::uint32_t depth_levels_max = 64;

enum class Field : std::uint8_t {
    id,
    type,
    source,
    key,
    time,
    priority,
    trace,
    content_type,
    edge,
    lane,
    part,
    verdict,
    reason
};
inline constexpr std::array<std::string_view, 13> field_names{"id",       "type",    "source",       "key",  "time",
                                                              "priority", "trace",   "content_type", "edge", "lane",
                                                              "part",     "verdict", "reason"};
[[nodiscard]] Type type_of(Field field) noexcept;

enum class Op : std::uint8_t {
    constant,       // a = number of the constant
    field,          // a = Field
    path,           // a = number of the path
    lookup,         // a = key, b = number of the column
    all,            // a = first of its operands, b = how many: &&
    any,            // the same: ||
    negation,       // !a
    equal,          // a == b; a constant stands right
    less,           // a < b
    less_or_equal,  // a <= b
    member,         // a in list b
    like,           // a like pattern b
    starts_with,    // a, b
    ends_with,
    contains,
    add,  // a, b
    subtract,
    multiply,
    divide,
    modulo,
    fallback,  // default(a, b)
    negate,    // -a
    absolute,
    floor,
    length,
    lower,
    upper,
    to_number,
    to_time,
};

// What Node::a and Node::b name.
enum class Operands : std::uint8_t { nothing, one, two, list };
[[nodiscard]] Operands operands_of(Op op) noexcept;

struct Node {
    Op op = Op::constant;
    Type type = Type::any;  // what it gives, unless null
    bool reads_type = false;
    std::uint16_t depth = 1;
    std::uint32_t cost = 0;  // rough nanoseconds, for the order of conditions
    std::uint32_t a = 0;
    std::uint32_t b = 0;
};

struct PathStep {
    std::string name;
    std::uint32_t index = none;  // none: by name
    auto operator<=>(const PathStep&) const = default;
};
inline constexpr std::size_t path_name_bytes_max = 256;  // of one step
using Path = std::vector<PathStep>;                      // empty: the payload itself

struct Column {
    std::string table;
    std::string name;
    auto operator<=>(const Column&) const = default;
};

class Graph {
  public:
    [[nodiscard]] NodeId constant(const Value& value);  // copies a text
    [[nodiscard]] NodeId boolean(bool value) { return constant(Value::of_boolean(value)); }
    [[nodiscard]] NodeId field(Field field);
    [[nodiscard]] NodeId path(const Path& path);
    [[nodiscard]] NodeId lookup(NodeId key, const Column& column, Type type = Type::any);
    [[nodiscard]] NodeId all(std::vector<NodeId> operands) { return junction(Op::all, std::move(operands)); }
    [[nodiscard]] NodeId any(std::vector<NodeId> operands) { return junction(Op::any, std::move(operands)); }
    [[nodiscard]] NodeId negation(NodeId operand);
    [[nodiscard]] NodeId equal(NodeId left, NodeId right);
    [[nodiscard]] NodeId member(NodeId left, std::vector<Value> list);
    [[nodiscard]] NodeId like(NodeId left, std::string_view pattern);
    // Any other operation; `type` is what it gives. One-sided ones leave `right` out.
    [[nodiscard]] NodeId operation(Op op, Type type, NodeId left, NodeId right = none);

    // The same expression in this graph; `from` may be this graph. What is known of the event's type is put in:
    struct Known {
        enum class Type : std::uint8_t {
            nothing,
            exactly,  // it is `text`
            unnamed,  // it equals no constant that a rule compares it with; of the prefixes that rules ask for, `text` is the longest
            foreign,  // the same, and it begins with none of them
        } type = Type::nothing;
        std::string_view text = {};
    };
    [[nodiscard]] NodeId copy(const Graph& from, NodeId id, const Known& known, std::map<NodeId, NodeId>& done);

    [[nodiscard]] const Node& at(NodeId id) const { return nodes_[id]; }
    [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }
    [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
    [[nodiscard]] const std::vector<NodeId>& operands() const { return operands_; }
    [[nodiscard]] const std::vector<Value>& constants() const { return constants_; }
    [[nodiscard]] const std::vector<std::vector<Value>>& lists() const { return lists_; }
    [[nodiscard]] const std::vector<Pattern>& patterns() const { return patterns_; }
    [[nodiscard]] const std::vector<Path>& paths() const { return paths_; }
    [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }
    // What `id` is made of, one level below it.
    [[nodiscard]] std::vector<NodeId> operands_of(NodeId id) const;
    // The constant that `id` is; nullopt if it is none.
    [[nodiscard]] std::optional<Value> constant_of(NodeId id) const;

    Graph() = default;
    Graph(Graph&&) = default;
    Graph& operator=(Graph&&) = default;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph() = default;

  private:
    [[nodiscard]] NodeId junction(Op op, std::vector<NodeId> operands);
    [[nodiscard]] NodeId intern(Node node);
    [[nodiscard]] std::string_view keep(std::string_view text);
    [[nodiscard]] Value kept(Value value);
    [[nodiscard]] std::optional<Value> work_out(Op op, const Value& left, const Value& right);

    std::vector<Node> nodes_;
    std::vector<NodeId> operands_;
    std::vector<Value> constants_;
    std::vector<std::vector<Value>> lists_;  // each in order, no element twice
    std::vector<Pattern> patterns_;
    std::vector<Path> paths_;
    std::vector<Column> columns_;
    std::deque<std::string> texts_;
    std::map<std::string, std::uint32_t, std::less<>> text_numbers_;
    std::map<std::tuple<Op, Type, std::uint32_t, std::uint32_t>, NodeId> node_numbers_;
    std::map<std::pair<Op, std::vector<NodeId>>, NodeId> junction_numbers_;
    std::map<std::tuple<Type, std::uint32_t, std::uint64_t>, std::uint32_t> constant_numbers_;
    std::map<std::vector<std::uint32_t>, std::uint32_t> list_numbers_;
    std::map<std::string, std::uint32_t, std::less<>> pattern_numbers_;
    std::map<Path, std::uint32_t> path_numbers_;
    std::map<Column, std::uint32_t> column_numbers_;
};

}  // namespace weir::rules
