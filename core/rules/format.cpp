// format(): a program as text again.
#include <charconv>

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/rules/compile.hpp"

namespace weir::rules {
namespace {

class Printer {
  public:
    explicit Printer(const Graph& graph) : graph_(graph) {}
    [[nodiscard]] std::string of(NodeId id) const {
        const Node& node = graph_.at(id);
        switch (node.op) {
            case Op::constant:
                return written(graph_.constants()[node.a]);
            case Op::field:
                return std::string(field_names[node.a]);
            case Op::path:
                return "data" + steps(graph_.paths()[node.a]);
            case Op::lookup:
                return lookup(node);
            case Op::all:
                return junction(node, " && ");
            case Op::any:
                return junction(node, " || ");
            case Op::negation:
                return negation(node);
            case Op::equal:
                return infix(node, " == ");
            case Op::less:
                return infix(node, " < ");
            case Op::less_or_equal:
                return infix(node, " <= ");
            case Op::member:
                return member(node);
            case Op::like:
                return "(" + of(node.a) + " like " + quoted(std::string(graph_.patterns()[node.b].text) + "*") + ")";
            case Op::starts_with:
                return call("starts_with", node, true);
            case Op::ends_with:
                return call("ends_with", node, true);
            case Op::contains:
                return call("contains", node, true);
            case Op::add:
                return infix(node, " + ");
            case Op::subtract:
                return infix(node, " - ");
            case Op::multiply:
                return infix(node, " * ");
            case Op::divide:
                return infix(node, " / ");
            case Op::modulo:
                return infix(node, " % ");
            case Op::fallback:
                return call("default", node, true);
            case Op::negate:
                return "-(" + of(node.a) + ")";
            case Op::absolute:
                return call("abs", node, false);
            case Op::floor:
                return call("floor", node, false);
            case Op::length:
                return call("len", node, false);
            case Op::lower:
                return call("lower", node, false);
            case Op::upper:
                return call("upper", node, false);
            case Op::to_number:
                return call("number", node, false);
            case Op::to_time:
                return call("time", node, false);
        }
        return {};
    }

  private:
    static std::string quoted(std::string_view text) {
        std::string out;
        json_quote(text, out);
        return out;
    }
    static std::string real(double value) {
        std::array<char, 32> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
        std::string out(digits.data(), end);
        // A real stays one when it is read again.
        if (out.find_first_of(".e") == std::string::npos) out += ".0";
        return out;
    }
    static std::string written(const Value& value) {
        switch (value.type) {
            case Type::boolean:
                return value.integer != 0 ? "true" : "false";
            case Type::integer:
                return std::to_string(value.integer);
            case Type::real:
                return real(value.real);
            case Type::text:
                return quoted(value.as_text());
            case Type::time:
                return "time(" + quoted(format_time(WallNs{static_cast<std::uint64_t>(value.integer)})) + ")";
            case Type::duration:
                // There is no literal for the least one: it is made of two.
                if (value.integer == INT64_MIN) return "(-9223372036854775807ns - 1ns)";
                return std::to_string(value.integer) + "ns";
            case Type::null:
            case Type::list:
            case Type::object:
            case Type::any:
                return "null";
        }
        return {};
    }
    static std::string steps(const Path& path) {
        std::string out;
        for (const PathStep& step : path) {
            out += "[" + (step.index == none ? quoted(step.name) : std::to_string(step.index)) + "]";
        }
        return out;
    }
    [[nodiscard]] std::string infix(const Node& node, const char* symbol) const {
        return "(" + of(node.a) + symbol + of(node.b) + ")";
    }
    [[nodiscard]] std::string call(const char* name, const Node& node, bool has_two) const {
        return std::string(name) + "(" + of(node.a) + (has_two ? ", " + of(node.b) : "") + ")";
    }
    [[nodiscard]] std::string negation(const Node& node) const {
        const Node& inner = graph_.at(node.a);
        if (inner.op != Op::equal) return "!(" + of(node.a) + ")";
        if (const auto right = graph_.constant_of(inner.b); right && right->is_null())
            return "has(" + of(inner.a) + ")";
        return infix(inner, " != ");
    }
    [[nodiscard]] std::string junction(const Node& node, const char* symbol) const {
        // Of one operand only the truth is meant: `!!` says that in the language.
        if (node.b == 1) return "!!" + of(graph_.operands()[node.a]);
        std::string out = "(";
        for (std::uint32_t i = 0; i < node.b; ++i) {
            if (i > 0) out += symbol;
            out += of(graph_.operands()[node.a + i]);
        }
        return out + ")";
    }
    [[nodiscard]] std::string member(const Node& node) const {
        std::string out = "(" + of(node.a) + " in [";
        bool is_first = true;
        for (const Value& value : graph_.lists()[node.b]) {
            if (!is_first) out += ", ";
            is_first = false;
            out += written(value);
        }
        return out + "])";
    }
    [[nodiscard]] std::string lookup(const Node& node) const {
        const Column& column = graph_.columns()[node.b];
        std::string out = "lookup(" + quoted(column.table) + ", " + of(node.a) + ")";
        return column.name.empty() ? out : out + "." + column.name;
    }

    const Graph& graph_;
};

}  // namespace

std::string format(const Program& program) {
    return Printer(program.graph()).of(program.root());
}

}  // namespace weir::rules
