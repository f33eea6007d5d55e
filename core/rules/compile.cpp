#include "core/rules/compile.hpp"

#include <algorithm>
#include <span>

#include "core/base/assert.hpp"
#include "core/rules/lexer.hpp"

namespace weir::rules {
namespace {

// Thrown to the top of compile() and no further: configuration is read by control threads.
struct Refusal {
    std::size_t at;
    std::string what;
};

struct Part {
    NodeId node = none;
    std::size_t at = 0;  // byte where it begins, for messages
};

struct Function {
    std::string_view name;
    std::size_t arguments;
    Op op;
    Type takes;  // any: whatever comes; else each argument
    Type gives;
};
constexpr std::array<Function, 13> functions{{
    {"has", 1, Op::equal, Type::any, Type::boolean},  // written as !(x == null)
    {"len", 1, Op::length, Type::any, Type::integer},
    {"lower", 1, Op::lower, Type::text, Type::text},
    {"upper", 1, Op::upper, Type::text, Type::text},
    {"starts_with", 2, Op::starts_with, Type::text, Type::boolean},
    {"ends_with", 2, Op::ends_with, Type::text, Type::boolean},
    {"contains", 2, Op::contains, Type::text, Type::boolean},
    {"abs", 1, Op::absolute, Type::any, Type::any},
    {"floor", 1, Op::floor, Type::integer, Type::integer},
    {"number", 1, Op::to_number, Type::any, Type::any},
    {"time", 1, Op::to_time, Type::any, Type::time},
    {"default", 2, Op::fallback, Type::any, Type::any},
    {"lookup", 2, Op::lookup, Type::any, Type::any},
}};

bool is_one_of(Type type, std::initializer_list<Type> types) {
    return std::find(types.begin(), types.end(), type) != types.end();
}
std::string name_of(Type type) {
    return std::string(text(type));
}

// What `op` makes of the two; nullopt: null, whatever the values.
std::optional<Type> arithmetic_type(Op op, Type left, Type right) {
    const auto are = [&](Type a, Type b) { return family_of(left) == a && family_of(right) == b; };
    const Type number = left == Type::real || right == Type::real ? Type::real : Type::integer;
    // An integer may turn out to be a real only where one of the two is of unknown type.
    if (left == Type::any || right == Type::any) {
        const Type known = left == Type::any ? right : left;
        const bool may_be = op == Op::modulo ? is_one_of(known, {Type::any, Type::integer})
                            : op == Op::multiply
                                ? is_one_of(known, {Type::any, Type::integer, Type::real, Type::duration})
                            : op == Op::divide && known == right
                                ? is_one_of(known, {Type::any, Type::integer, Type::real, Type::duration})
                                : is_one_of(known, {Type::any, Type::integer, Type::real, Type::duration, Type::time});
        if (!may_be || (op == Op::divide && known == Type::time)) return std::nullopt;
        return Type::any;
    }
    const bool are_durations = are(Type::duration, Type::duration);
    if (op == Op::modulo) return left == right && left == Type::integer ? std::optional(Type::integer) : std::nullopt;
    if (op == Op::divide) {
        if (are(Type::integer, Type::integer) || are_durations) return Type::real;
        return left == Type::duration && right == Type::integer ? std::optional(Type::duration) : std::nullopt;
    }
    if (are(Type::integer, Type::integer)) return number;
    if (op == Op::multiply) {
        const bool scales =
            (left == Type::duration && right == Type::integer) || (left == Type::integer && right == Type::duration);
        return scales ? std::optional(Type::duration) : std::nullopt;
    }
    if (are_durations || (op == Op::subtract && are(Type::time, Type::time))) return Type::duration;
    if (are(Type::time, Type::duration) || (op == Op::add && are(Type::duration, Type::time))) return Type::time;
    return std::nullopt;
}

class Parser {
  public:
    Parser(std::string_view text, const CompileOptions& options) : lexer_(text), options_(options) { advance(); }

    Program whole() {
        const Part root = expression();
        if (!is_kind(Token::Kind::end)) refuse(token_.at, "an operator, or the end, is expected here");
        if (options_.gives_condition && !may_be_boolean(root)) {
            refuse(root.at, "a condition is expected, and this is " + with_article(type_of_part(root)));
        }
        if (graph_.at(root.node).depth > std::min(options_.limits.depth_max, depth_levels_max)) refuse_depth(root.at);
        return Program(std::move(graph_), root.node);
    }

  private:
    [[noreturn]] static void refuse(std::size_t at, std::string what) { throw Refusal{at, std::move(what)}; }
    [[noreturn]] void refuse_depth(std::size_t at) const {
        refuse(at, "nested more deeply than " + std::to_string(options_.limits.depth_max));
    }
    static std::string with_article(Type type) {
        return (is_one_of(type, {Type::integer, Type::object}) ? "an "
                : type == Type::null                           ? ""
                                                               : "a ") +
               name_of(type);
    }

    void advance() {
        token_ = lexer_.next();
        if (token_.kind == Token::Kind::wrong) refuse(token_.at, token_.text);
        if (++words_ > 4 * std::size_t{options_.limits.nodes_max} || graph_.node_count() > options_.limits.nodes_max) {
            refuse(token_.at, "too many parts: more than " + std::to_string(options_.limits.nodes_max));
        }
    }
    [[nodiscard]] bool is_kind(Token::Kind kind) const { return token_.kind == kind; }
    [[nodiscard]] bool is(std::string_view symbol) const {
        return token_.kind == Token::Kind::symbol && token_.written == symbol;
    }
    [[nodiscard]] bool is_word(std::string_view word) const {
        return token_.kind == Token::Kind::name && token_.written == word;
    }
    bool take(std::string_view symbol) {
        if (!is(symbol)) return false;
        advance();
        return true;
    }
    void expect(std::string_view symbol, const char* where) {
        if (!take(symbol)) refuse(token_.at, std::string(symbol) + " is missing " + where);
    }

    [[nodiscard]] Type type_of_part(const Part& part) const { return graph_.at(part.node).type; }
    [[nodiscard]] bool may_be_boolean(const Part& part) const {
        return is_one_of(type_of_part(part), {Type::boolean, Type::any});
    }
    void must_be_condition(const Part& part, std::string_view for_what, std::size_t at) const {
        if (!may_be_boolean(part)) {
            refuse(at,
                   std::string(for_what) + " takes conditions, and one side is " + with_article(type_of_part(part)));
        }
    }

    // One level of nesting, from where the parser calls itself.
    class Level {
      public:
        explicit Level(Parser& parser) : parser_(parser) {
            if (++parser_.level_ > std::min(parser_.options_.limits.depth_max, depth_levels_max)) {
                parser_.refuse_depth(parser_.token_.at);
            }
        }
        ~Level() { --parser_.level_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;

      private:
        Parser& parser_;
    };

    Part expression() {
        const Level level(*this);
        return chain("||", [this] { return conjunction(); });
    }
    Part conjunction() {
        return chain("&&", [this] { return comparison(); });
    }
    template <class Next>
    Part chain(std::string_view symbol, Next next) {
        const Part first = next();
        if (!is(symbol)) return first;
        std::vector<NodeId> operands{first.node};
        bool is_first = true;
        while (is(symbol)) {
            const std::size_t at = token_.at;
            advance();
            if (is_first) must_be_condition(first, symbol, at);
            is_first = false;
            const Part right = next();
            must_be_condition(right, symbol, at);
            operands.push_back(right.node);
        }
        return {symbol == "&&" ? graph_.all(std::move(operands)) : graph_.any(std::move(operands)), first.at};
    }

    [[nodiscard]] bool is_comparison() const {
        for (const char* const symbol : {"==", "!=", "<", "<=", ">", ">="}) {
            if (is(symbol)) return true;
        }
        return is_word("in") || is_word("like");
    }
    Part comparison() {
        const Part left = sum();
        if (!is_comparison()) return left;
        const std::string op(token_.written);
        const std::size_t at = token_.at;
        advance();
        Part made{none, left.at};
        if (op == "in") {
            made.node = membership(left, at);
        } else if (op == "like") {
            made.node = likeness(left, at);
        } else {
            const Part right = sum();
            made.node = op == "==" || op == "!=" ? equality(left, right, op, at) : order(left, right, op, at);
        }
        if (is_comparison()) refuse(token_.at, "comparisons do not chain; join them with &&");
        return made;
    }
    NodeId equality(const Part& left, const Part& right, const std::string& op, std::size_t at) {
        must_be_comparable(type_of_part(left), type_of_part(right), at);
        const NodeId equal = graph_.equal(left.node, right.node);
        return op == "==" ? equal : graph_.negation(equal);
    }
    static void must_be_comparable(Type left, Type right, std::size_t at) {
        if (is_one_of(left, {Type::any, Type::null}) || is_one_of(right, {Type::any, Type::null})) return;
        if (family_of(left) != family_of(right))
            refuse(at, name_of(left) + " and " + name_of(right) + " are never equal");
    }
    NodeId order(const Part& left, const Part& right, const std::string& op, std::size_t at) {
        const Type a = type_of_part(left);
        const Type b = type_of_part(right);
        for (const Type type : {a, b}) {
            if (type != Type::any && !is_ordered(type))
                refuse(at, op + " takes numbers, texts, times or durations, not " + name_of(type));
        }
        if (a != Type::any && b != Type::any && family_of(a) != family_of(b)) {
            refuse(at, name_of(a) + " and " + name_of(b) + " have no order");
        }
        const bool turns = op[0] == '>';
        return graph_.operation(op.size() == 2 ? Op::less_or_equal : Op::less, Type::boolean,
                                turns ? right.node : left.node, turns ? left.node : right.node);
    }

    NodeId membership(const Part& left, std::size_t at) {
        expect("[", "after in");
        std::vector<Value> list;
        do {
            const Part element = sum();
            const auto value = graph_.constant_of(element.node);
            if (!value) refuse(element.at, "the elements of a list are constants");
            must_be_comparable(type_of_part(left), value->type, element.at);
            list.push_back(*value);
            if (list.size() > options_.limits.list_elements_max) refuse_list(at);
        } while (take(","));
        expect("]", "at the end of the list");
        return graph_.member(left.node, std::move(list));
    }
    NodeId likeness(const Part& left, std::size_t at) {
        if (!is_one_of(type_of_part(left), {Type::text, Type::any}))
            refuse(at, "like takes a text, not " + name_of(type_of_part(left)));
        if (!is("[")) return graph_.like(left.node, pattern());
        advance();
        std::vector<NodeId> either;
        do {
            either.push_back(graph_.like(left.node, pattern()));
            if (either.size() > options_.limits.list_elements_max) refuse_list(at);
        } while (take(","));
        expect("]", "at the end of the list");
        return graph_.any(std::move(either));
    }
    [[noreturn]] void refuse_list(std::size_t at) const {
        refuse(at, "a list of more than " + std::to_string(options_.limits.list_elements_max) + " elements");
    }
    std::string pattern() {
        if (!is_kind(Token::Kind::text)) refuse(token_.at, "like takes a text, or a list of texts, between \" and \"");
        std::string text = token_.text;
        advance();
        return text;
    }

    Part sum() {
        Part left = product();
        while (is("+") || is("-"))
            left = arithmetic(left, is("+") ? Op::add : Op::subtract, [this] { return product(); });
        return left;
    }
    Part product() {
        Part left = unary();
        while (is("*") || is("/") || is("%")) {
            const Op op = is("*") ? Op::multiply : is("/") ? Op::divide : Op::modulo;
            left = arithmetic(left, op, [this] { return unary(); });
        }
        return left;
    }
    template <class Next>
    Part arithmetic(const Part& left, Op op, Next next) {
        const std::string symbol(token_.written);
        const std::size_t at = token_.at;
        advance();
        const Part right = next();
        const auto type = arithmetic_type(op, type_of_part(left), type_of_part(right));
        if (!type)
            refuse(at,
                   name_of(type_of_part(left)) + " " + symbol + " " + name_of(type_of_part(right)) + " has no meaning");
        return {graph_.operation(op, *type, left.node, right.node), left.at};
    }

    Part unary() {
        const std::size_t at = token_.at;
        if (is("!")) {
            const Level level(*this);
            advance();
            const Part operand = unary();
            if (!may_be_boolean(operand))
                refuse(at, "! takes a condition, and this is " + with_article(type_of_part(operand)));
            return {graph_.negation(operand.node), at};
        }
        if (!is("-")) return postfix();
        const Level level(*this);
        advance();
        if (is_kind(Token::Kind::integer)) {
            const std::uint64_t magnitude = token_.integer;
            advance();
            return {graph_.constant(Value::of_integer(static_cast<std::int64_t>(0 - magnitude))), at};
        }
        const Part operand = unary();
        const Type type = type_of_part(operand);
        if (!is_one_of(type, {Type::any, Type::integer, Type::real, Type::duration})) {
            refuse(at, "- takes a number or a duration, not " + name_of(type));
        }
        return {graph_.operation(Op::negate, type, operand.node), at};
    }

    Part postfix() {
        const std::size_t at = token_.at;
        if (is_word("data")) {
            advance();
            return data(at);
        }
        const Part made = primary();
        if (is(".") || is("[")) refuse(token_.at, "only data and lookup(...) have members");
        return made;
    }
    Part data(std::size_t at) {
        if (is("(")) refuse(at, "data is the payload, not a function");
        Path path;
        while (is(".") || is("[")) {
            path.push_back(is(".") ? PathStep{member_name(), none} : subscript());
            if (path.size() > options_.limits.path_steps_max) {
                refuse(at, "a path of more than " + std::to_string(options_.limits.path_steps_max) + " steps");
            }
        }
        const Part made{graph_.path(path), at};
        if (graph_.paths().size() > options_.limits.paths_max) {
            refuse(at, "more than " + std::to_string(options_.limits.paths_max) + " payload paths");
        }
        return made;
    }
    std::string member_name() {
        advance();  // the point
        if (!is_kind(Token::Kind::name))
            refuse(token_.at, "the name of a member is missing; odd ones are written [\"so\"]");
        std::string name(token_.written);
        if (name.size() > path_name_bytes_max) refuse(token_.at, long_name());
        advance();
        return name;
    }
    static std::string long_name() { return "a name of more than " + std::to_string(path_name_bytes_max) + " bytes"; }
    PathStep subscript() {
        advance();  // the bracket
        PathStep step;
        if (is_kind(Token::Kind::text)) {
            step.name = token_.text;
            if (step.name.size() > path_name_bytes_max) refuse(token_.at, long_name());
        } else if (is_kind(Token::Kind::integer) && token_.integer < none) {
            step.index = static_cast<std::uint32_t>(token_.integer);
        } else {
            refuse(token_.at, "an index from 0, or a name between \" and \", is expected here");
        }
        advance();
        expect("]", "after the index");
        return step;
    }

    Part primary() {
        const std::size_t at = token_.at;
        switch (token_.kind) {
            case Token::Kind::text:
                return literal(Value::of_text(token_.text));
            case Token::Kind::integer:
                if (token_.integer > INT64_MAX) refuse(at, "beyond 64 bits");
                return literal(Value::of_integer(static_cast<std::int64_t>(token_.integer)));
            case Token::Kind::real:
                return literal(Value::of_real(token_.real));
            case Token::Kind::duration:
                return literal(Value::of_duration(static_cast<std::int64_t>(token_.integer)));
            case Token::Kind::name:
                return named();
            case Token::Kind::symbol:
                break;
            case Token::Kind::end:
            case Token::Kind::wrong:
                refuse(at, "something is missing here");
        }
        if (is("[")) refuse(at, "a list stands only after in and like");
        if (!take("(")) refuse(at, "a value is expected here");
        const Part inner = expression();
        expect(")", "here");
        return {inner.node, at};
    }
    Part literal(const Value& value) {
        const Part made{graph_.constant(value), token_.at};
        advance();
        return made;
    }
    Part named() {
        const std::string name(token_.written);
        const std::size_t at = token_.at;
        if (name == "true" || name == "false") return literal(Value::of_boolean(name == "true"));
        if (name == "null") return literal({});
        advance();
        if (is("(")) return call(name, at);
        const auto* const found = std::find(field_names.begin(), field_names.end(), name);
        if (found == field_names.end()) refuse(at, unknown_name(name));
        const auto field = static_cast<Field>(found - field_names.begin());
        const bool is_of_judged = field >= Field::verdict;
        if ((is_of_judged && !options_.is_judged) || (!is_of_judged && field >= Field::edge && !options_.is_placed))
            refuse(at, name + " is not decided yet where this expression runs");
        return {graph_.field(field), at};
    }
    static std::string unknown_name(const std::string& name) {
        for (const Function& function : functions) {
            if (function.name == name) return name + " is a function: " + name + "(...)";
        }
        std::string what = "there is no field " + name + "; there are data";
        for (const std::string_view field : field_names) what += " " + std::string(field);
        return what;
    }

    Part call(const std::string& name, std::size_t at) {
        const auto* const function =
            std::find_if(functions.begin(), functions.end(), [&](const Function& one) { return one.name == name; });
        if (function == functions.end()) {
            std::string what = "there is no function " + name + "; there are";
            for (const Function& one : functions) what += " " + std::string(one.name);
            refuse(at, what);
        }
        advance();  // (
        if (function->op == Op::lookup) return lookup(at);
        std::vector<Part> arguments;
        if (!is(")")) {
            do {
                if (arguments.size() == function->arguments) refuse_count(*function, token_.at);
                arguments.push_back(expression());
            } while (take(","));
        }
        if (arguments.size() != function->arguments) refuse_count(*function, at);
        expect(")", "after the arguments");
        return {apply(*function, arguments), at};
    }
    [[noreturn]] static void refuse_count(const Function& function, std::size_t at) {
        refuse(at,
               std::string(function.name) + " takes " + (function.arguments == 1 ? "one argument" : "two arguments"));
    }
    NodeId apply(const Function& function, const std::vector<Part>& arguments) {
        for (const Part& argument : arguments) must_suit(function, argument);
        const Part& first = arguments[0];
        const Type type = type_of_part(first);
        if (function.name == "has") return graph_.negation(graph_.equal(first.node, graph_.constant({})));
        if (function.op == Op::fallback) {
            const Type other = type_of_part(arguments[1]);
            const Type gives = type == Type::null || type == other ? other : Type::any;
            return graph_.operation(function.op, gives, first.node, arguments[1].node);
        }
        if (function.op == Op::absolute) return graph_.operation(function.op, type, first.node);
        if (function.op == Op::to_number) {
            return graph_.operation(function.op, type == Type::text ? Type::any : type, first.node);
        }
        if (function.op == Op::to_time && graph_.constant_of(first.node)) {
            const Value value = to_time(*graph_.constant_of(first.node));
            if (value.is_null()) refuse(first.at, "not a time; write it as \"2017-12-01T00:00:07Z\"");
            return graph_.constant(value);
        }
        return graph_.operation(function.op, function.gives, first.node,
                                arguments.size() > 1 ? arguments[1].node : none);
    }
    void must_suit(const Function& function, const Part& argument) const {
        const Type type = type_of_part(argument);
        if (type == Type::any) return;
        bool suits = function.takes == Type::any || family_of(type) == function.takes;
        if (function.op == Op::length) suits = type == Type::text;
        if (function.op == Op::absolute) suits = is_one_of(type, {Type::integer, Type::real, Type::duration});
        if (function.op == Op::to_number) suits = is_one_of(type, {Type::integer, Type::real, Type::text});
        if (function.op == Op::to_time) suits = is_one_of(type, {Type::time, Type::text});
        if (!suits) refuse(argument.at, std::string(function.name) + " does not take " + with_article(type));
    }

    Part lookup(std::size_t at) {
        if (!is_kind(Token::Kind::text))
            refuse(token_.at, "the name of the table, between \" and \", is expected here");
        Column column{token_.text, {}};
        advance();
        expect(",", "between table and key");
        const Part key = expression();
        if (!is_one_of(type_of_part(key), {Type::any, Type::text, Type::integer})) {
            refuse(key.at, "a key is a text or an integer, not " + name_of(type_of_part(key)));
        }
        expect(")", "after the key");
        std::size_t steps = 0;
        while (is(".")) {
            column.name += (column.name.empty() ? "" : ".") + member_name();
            if (++steps > options_.limits.path_steps_max) {
                refuse(at, "a path of more than " + std::to_string(options_.limits.path_steps_max) + " steps");
            }
        }
        if (is("[")) refuse(token_.at, "columns of a table are read by .name");
        Type type = Type::any;
        if (options_.tables != nullptr) {
            const auto number = options_.tables->find_column(column.table, column.name);
            if (!number) {
                refuse(at, "there is no table " + column.table +
                               (column.name.empty() ? "" : " with a column " + column.name));
            } else {
                type = options_.tables->type_of(*number);
            }
        }
        return {graph_.lookup(key.node, column, type), at};
    }

    Lexer lexer_;
    const CompileOptions& options_;
    Token token_;
    Graph graph_;
    std::size_t words_ = 0;
    std::uint32_t level_ = 0;
};

Fault fault_at(std::string_view text, std::size_t at, std::string what) {
    Fault fault;
    fault.what = std::move(what);
    const std::string_view before = text.substr(0, at);
    fault.line += static_cast<std::uint32_t>(std::count(before.begin(), before.end(), '\n'));
    const std::size_t newline = before.rfind('\n');
    fault.column = static_cast<std::uint32_t>(newline == std::string_view::npos ? at + 1 : at - newline);
    return fault;
}

}  // namespace

Compiled compile(std::string_view text, const CompileOptions& options) {
    Compiled compiled;
    if (text.size() > options.limits.text_bytes_max) {
        compiled.fault.what = "longer than " + std::to_string(options.limits.text_bytes_max) + " bytes";
        return compiled;
    }
    try {
        compiled.program = Parser(text, options).whole();
    } catch (const Refusal& refusal) {
        compiled.fault = fault_at(text, refusal.at, refusal.what);
    }
    return compiled;
}

std::string describe(const Fault& fault, std::string_view text) {
    for (std::uint32_t line = 1; line < fault.line && text.find('\n') != std::string_view::npos; ++line) {
        text.remove_prefix(text.find('\n') + 1);
    }
    const std::string_view line = text.substr(0, text.find('\n'));
    std::string out = std::to_string(fault.line) + ":" + std::to_string(fault.column) + ": " + fault.what + "\n  ";
    // One cell per character: bytes that go on with one are not counted; tabs stay so that the caret stands below them.
    std::string caret = "  ";
    for (std::size_t at = 0; at < line.size(); ++at) {
        const auto c = static_cast<unsigned char>(line[at]);
        out += c < 0x20 && c != '\t' ? ' ' : line[at];
        if (at + 1 < fault.column && (c & 0xc0U) != 0x80U) caret += c == '\t' ? '\t' : ' ';
    }
    return out + "\n" + caret + "^\n";
}

}  // namespace weir::rules
