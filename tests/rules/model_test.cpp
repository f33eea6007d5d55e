// Random expressions over random events: a naive evaluator walks the tree it printed the text from; the set, with all its sharing,
// reordering and indexing, must say the same, and so must each program printed and compiled again.
#include <cmath>
#include <memory>
#include <random>

#include "tests/rules/rules_bench.hpp"

namespace weir::rules::test {
namespace {

using Random = std::mt19937_64;
__extension__ using Whole = __int128;  // no sum or product of two 64-bit integers overflows it

// A value of its own, which shares nothing with rules::Value.
struct Plain {
    enum Kind { null, boolean, integer, real, text, time, duration, list, object } kind = null;
    bool truth = false;
    Whole whole = 0;  // integer, time, duration, counts
    double real_value = 0;
    std::string words;
};
Plain plain_boolean(bool truth) {
    Plain made;
    made.kind = Plain::boolean;
    made.truth = truth;
    return made;
}
Plain plain_whole(Plain::Kind kind, Whole whole) {
    Plain made;
    if (whole > INT64_MAX || whole < INT64_MIN || (kind == Plain::time && whole < 0)) return made;
    made.kind = kind;
    made.whole = whole;
    return made;
}
Plain plain_real(double value) {
    Plain made;
    if (!std::isfinite(value)) return made;
    made.kind = Plain::real;
    made.real_value = value;
    return made;
}
Plain plain_text(std::string words) {
    Plain made;
    made.kind = Plain::text;
    made.words = std::move(words);
    return made;
}
bool is_number(const Plain& value) {
    return value.kind == Plain::integer || value.kind == Plain::real;
}
// 64 bits of mantissa hold every integer and every double here.
long double number_of(const Plain& value) {
    return value.kind == Plain::real ? static_cast<long double>(value.real_value)
                                     : static_cast<long double>(value.whole);
}
std::optional<int> plain_order(const Plain& left, const Plain& right) {
    const auto sign = [](auto a, auto b) { return a < b ? -1 : b < a ? 1 : 0; };
    if (is_number(left) && is_number(right)) return sign(number_of(left), number_of(right));
    if (left.kind != right.kind) return std::nullopt;
    if (left.kind == Plain::text) return sign(left.words, right.words);
    if (left.kind == Plain::time || left.kind == Plain::duration) return sign(left.whole, right.whole);
    return std::nullopt;
}
bool plain_equal(const Plain& left, const Plain& right) {
    if (left.kind == Plain::null && right.kind == Plain::null) return true;
    if (left.kind == Plain::boolean && right.kind == Plain::boolean) return left.truth == right.truth;
    return plain_order(left, right) == 0;
}
std::string plain_shown(const Plain& value) {
    switch (value.kind) {
        case Plain::null:
            return "null";
        case Plain::boolean:
            return value.truth ? "true" : "false";
        case Plain::real:
            return shown(Value::of_real(value.real_value));
        case Plain::text:
            return shown(Value::of_text(value.words));
        case Plain::integer:
        case Plain::time:
        case Plain::duration:
        case Plain::list:
        case Plain::object:
            break;
    }
    const auto whole = static_cast<std::int64_t>(value.whole);
    const Type type = value.kind == Plain::integer    ? Type::integer
                      : value.kind == Plain::time     ? Type::time
                      : value.kind == Plain::duration ? Type::duration
                      : value.kind == Plain::list     ? Type::list
                                                      : Type::object;
    return shown(Value::of(type, whole));
}

// The event as the model sees it: what each text of a leaf stands for.
using Facts = std::map<std::string, Plain>;

struct Tree {
    std::string op;  // empty: a leaf
    std::string leaf;
    std::vector<std::unique_ptr<Tree>> sides;

    [[nodiscard]] std::string text() const {
        if (op.empty()) return leaf;
        if (sides.size() == 1 && op.back() != '(') return op + "(" + sides[0]->text() + ")";
        if (op.back() == '(') {
            std::string out = op;
            for (std::size_t i = 0; i < sides.size(); ++i) out += (i > 0 ? ", " : "") + sides[i]->text();
            return out + ")";
        }
        if (op == "in") {
            std::string out = "(" + sides[0]->text() + " in [";
            for (std::size_t i = 1; i < sides.size(); ++i) out += (i > 1 ? ", " : "") + sides[i]->text();
            return out + "])";
        }
        return "(" + sides[0]->text() + " " + op + " " + sides[1]->text() + ")";
    }
};

Plain arithmetic(const std::string& op, const Plain& a, const Plain& b) {
    const bool are_integers = a.kind == Plain::integer && b.kind == Plain::integer;
    const bool are_durations = a.kind == Plain::duration && b.kind == Plain::duration;
    const auto real_of = [](const Plain& value) {
        return value.kind == Plain::real ? value.real_value
                                         : static_cast<double>(static_cast<std::int64_t>(value.whole));
    };
    if (op == "/") {
        if ((is_number(a) && is_number(b)) || are_durations)
            return plain_real(real_of(a) / real_of(b));  // not finite: null
        if (a.kind == Plain::duration && b.kind == Plain::integer && b.whole != 0)
            return plain_whole(Plain::duration, a.whole / b.whole);
        return {};
    }
    if (op == "%") return are_integers && b.whole != 0 ? plain_whole(Plain::integer, a.whole % b.whole) : Plain{};
    if (is_number(a) && is_number(b) && !are_integers) {
        return plain_real(op == "+"   ? real_of(a) + real_of(b)
                          : op == "-" ? real_of(a) - real_of(b)
                                      : real_of(a) * real_of(b));
    }
    if (a.kind == Plain::real || b.kind == Plain::real) return {};
    if (op == "*") {
        const bool scales = (a.kind == Plain::duration && b.kind == Plain::integer) ||
                            (a.kind == Plain::integer && b.kind == Plain::duration);
        return are_integers || scales ? plain_whole(are_integers ? Plain::integer : Plain::duration, a.whole * b.whole)
                                      : Plain{};
    }
    const Whole result = op == "+" ? a.whole + b.whole : a.whole - b.whole;
    if (are_integers || are_durations) return plain_whole(a.kind, result);
    if (a.kind == Plain::time && b.kind == Plain::duration) return plain_whole(Plain::time, result);
    if (op == "+" && a.kind == Plain::duration && b.kind == Plain::time) return plain_whole(Plain::time, result);
    if (op == "-" && a.kind == Plain::time && b.kind == Plain::time) return plain_whole(Plain::duration, result);
    return {};
}

std::string cased(std::string words, bool to_lower) {
    for (char& c : words) {
        if (to_lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        if (!to_lower && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    return words;
}

Plain evaluated(const Tree& tree, const Facts& facts);
bool is_true(const Tree& tree, const Facts& facts) {
    const Plain value = evaluated(tree, facts);
    return value.kind == Plain::boolean && value.truth;
}
Plain called(const Tree& tree, const Facts& facts) {
    const Plain x = evaluated(*tree.sides[0], facts);
    const Plain y = tree.sides.size() > 1 ? evaluated(*tree.sides[1], facts) : Plain{};
    const bool are_texts = x.kind == Plain::text && y.kind == Plain::text;
    if (tree.op == "has(") return plain_boolean(x.kind != Plain::null);
    if (tree.op == "default(") return x.kind == Plain::null ? y : x;
    if (tree.op == "starts_with(") return plain_boolean(are_texts && x.words.substr(0, y.words.size()) == y.words);
    if (tree.op == "ends_with(") {
        return plain_boolean(are_texts && x.words.size() >= y.words.size() &&
                             x.words.substr(x.words.size() - y.words.size()) == y.words);
    }
    if (tree.op == "contains(") return plain_boolean(are_texts && x.words.find(y.words) != std::string::npos);
    if (tree.op == "lower(" || tree.op == "upper(")
        return x.kind == Plain::text ? plain_text(cased(x.words, tree.op == "lower(")) : Plain{};
    if (tree.op == "len(") {
        if (x.kind == Plain::text) return plain_whole(Plain::integer, static_cast<std::int64_t>(x.words.size()));
        return x.kind == Plain::list || x.kind == Plain::object ? plain_whole(Plain::integer, x.whole) : Plain{};
    }
    if (tree.op == "floor(") {
        if (x.kind == Plain::integer) return x;
        if (x.kind != Plain::real || std::fabs(x.real_value) > 1e19) return {};
        return plain_whole(Plain::integer, static_cast<Whole>(std::floor(x.real_value)));
    }
    if (tree.op == "abs(") {
        if (x.kind == Plain::real) return plain_real(std::fabs(x.real_value));
        return x.kind == Plain::integer || x.kind == Plain::duration
                   ? plain_whole(x.kind, x.whole < 0 ? -x.whole : x.whole)
                   : Plain{};
    }
    ADD_FAILURE() << tree.op;
    return {};
}

Plain evaluated(const Tree& tree, const Facts& facts) {
    const std::string& op = tree.op;
    if (op.empty()) return facts.at(tree.leaf);
    if (op == "!") return plain_boolean(!is_true(*tree.sides[0], facts));
    if (op == "&&") return plain_boolean(is_true(*tree.sides[0], facts) && is_true(*tree.sides[1], facts));
    if (op == "||") return plain_boolean(is_true(*tree.sides[0], facts) || is_true(*tree.sides[1], facts));
    if (op.back() == '(') return called(tree, facts);
    const Plain left = evaluated(*tree.sides[0], facts);
    if (op == "-" && tree.sides.size() == 1) {
        if (left.kind == Plain::real) return plain_real(-left.real_value);
        return left.kind == Plain::integer || left.kind == Plain::duration ? plain_whole(left.kind, -left.whole)
                                                                           : Plain{};
    }
    if (op == "in") {
        bool is_one = false;
        for (std::size_t i = 1; i < tree.sides.size(); ++i)
            is_one = is_one || plain_equal(left, evaluated(*tree.sides[i], facts));
        return plain_boolean(is_one);
    }
    const Plain right = evaluated(*tree.sides[1], facts);
    if (op == "like") {
        const bool is_prefix = !right.words.empty() && right.words.back() == '*';
        const std::string front = right.words.substr(0, right.words.size() - (is_prefix ? 1 : 0));
        return plain_boolean(left.kind == Plain::text &&
                             (is_prefix ? left.words.substr(0, front.size()) == front : left.words == front));
    }
    if (op == "==") return plain_boolean(plain_equal(left, right));
    if (op == "!=") return plain_boolean(!plain_equal(left, right));
    const auto order = plain_order(left, right);
    if (op == "<") return plain_boolean(order && *order < 0);
    if (op == "<=") return plain_boolean(order && *order <= 0);
    if (op == ">") return plain_boolean(order && *order > 0);
    if (op == ">=") return plain_boolean(order && *order >= 0);
    return arithmetic(op, left, right);
}

class World {
  public:
    explicit World(std::uint64_t seed) : random_(seed) {
        constants_ = {{"0", plain_whole(Plain::integer, 0)},
                      {"1", plain_whole(Plain::integer, 1)},
                      {"2", plain_whole(Plain::integer, 2)},
                      {"-3", plain_whole(Plain::integer, -3)},
                      {"9223372036854775807", plain_whole(Plain::integer, INT64_MAX)},
                      {"9007199254740993", plain_whole(Plain::integer, 9007199254740993)},
                      {"9007199254740992.0", plain_real(9007199254740992.0)},
                      {"2.0", plain_real(2)},
                      {"0.5", plain_real(0.5)},
                      {"1e300", plain_real(1e300)},
                      {"\"t0\"", plain_text("t0")},
                      {"\"t1\"", plain_text("t1")},
                      {"\"T1\"", plain_text("T1")},
                      {"\"\"", plain_text("")},
                      {"\"t\"", plain_text("t")},
                      {"5m", plain_whole(Plain::duration, 300'000'000'000)},
                      {"1ns", plain_whole(Plain::duration, 1)},
                      {"time(\"2017-12-01T00:00:00Z\")", plain_whole(Plain::time, 1'512'086'400'000'000'000)},
                      {"true", plain_boolean(true)},
                      {"false", plain_boolean(false)},
                      {"null", {}}};
    }

    std::size_t below(std::size_t limit) { return random_() % limit; }
    template <class Of>
    auto one_of(const std::vector<Of>& of) {
        return of[below(of.size())];
    }

    std::unique_ptr<Tree> leaf() {
        static const std::vector<std::string> variables{"type",        "type",        "key",    "source",  "time",
                                                        "priority",    "data.a",      "data.b", "data.c",  "data.o.a",
                                                        "data.o.l[0]", "data.o.l[1]", "data.o", "data.o.l"};
        auto made = std::make_unique<Tree>();
        made->leaf = below(2) == 0 ? one_of(variables) : constant();
        return made;
    }
    std::string constant() {
        return std::next(constants_.begin(), static_cast<std::ptrdiff_t>(below(constants_.size())))->first;
    }
    std::unique_ptr<Tree> constant_leaf(bool is_text) {
        auto made = std::make_unique<Tree>();
        do made->leaf = constant();
        while (is_text && made->leaf[0] != '"');
        return made;
    }
    std::unique_ptr<Tree> tree(int depth) {
        if (depth == 0 || below(8) == 0) return leaf();
        static const std::vector<std::string> ops{
            "&&",        "&&",     "&&",     "||",   "||",     "!",    "==",       "==",           "!=",
            "<",         "<=",     ">",      ">=",   "in",     "in",   "like",     "like",         "+",
            "-",         "*",      "/",      "%",    "neg",    "has(", "default(", "starts_with(", "ends_with(",
            "contains(", "lower(", "upper(", "len(", "floor(", "abs("};
        auto made = std::make_unique<Tree>();
        made->op = one_of(ops);
        const bool has_one = made->op == "!" || made->op == "neg" || made->op == "has(" || made->op == "lower(" ||
                             made->op == "upper(" || made->op == "len(" || made->op == "floor(" || made->op == "abs(";
        if (made->op == "neg") made->op = "-";
        if (made->op == "in" && below(2) == 0) {  // what rules do most
            made->sides.push_back(variable("type"));
        } else {
            made->sides.push_back(tree(depth - 1));
        }
        if (made->op == "in") {
            for (std::size_t count = 1 + below(12); count > 0; --count) made->sides.push_back(constant_leaf(false));
        } else if (made->op == "like") {
            auto pattern = constant_leaf(true);
            if (below(2) == 0) {
                Plain starred = constants_.at(pattern->leaf);
                starred.words += '*';
                pattern->leaf = "\"" + starred.words + "\"";
                constants_[pattern->leaf] = starred;
            }
            made->sides.push_back(std::move(pattern));
        } else if (!has_one) {
            made->sides.push_back(tree(depth - 1));
        }
        return made;
    }
    std::unique_ptr<Tree> variable(std::string name) {
        auto made = std::make_unique<Tree>();
        made->leaf = std::move(name);
        return made;
    }

    // An event, and what each leaf means for it.
    struct Case {
        std::string type, source, key, payload;
        wire::EventView view;
        Facts facts;
    };
    std::unique_ptr<Case> event() {
        auto made = std::make_unique<Case>();
        made->facts = constants_;
        made->type = one_of<std::string>({"t0", "t1", "T1", "t", "other", "t0x"});
        made->source = one_of<std::string>({"t0", "s"});
        made->key = one_of<std::string>({"", "t1", "k"});
        const auto ns = one_of<std::uint64_t>({0, 1'512'086'400'000'000'000, 1'512'086'700'000'000'000});
        const auto priority = static_cast<std::uint8_t>(below(4));
        made->facts["type"] = plain_text(made->type);
        made->facts["source"] = plain_text(made->source);
        made->facts["key"] = made->key.empty() ? Plain{} : plain_text(made->key);
        made->facts["time"] = ns == 0 ? Plain{} : plain_whole(Plain::time, ns);
        made->facts["priority"] = plain_whole(Plain::integer, priority);
        for (const char* const name :
             {"data.a", "data.b", "data.c", "data.o", "data.o.a", "data.o.l", "data.o.l[0]", "data.o.l[1]"}) {
            made->facts[name] = {};
        }
        const bool is_json = below(10) != 0;
        made->payload = payload(is_json ? made->facts : broken_);
        if (!is_json) made->payload += "}";
        made->view.id = "id";
        made->view.type = made->type;
        made->view.source = made->source;
        made->view.key = made->key;
        made->view.time = WallNs{ns};
        made->view.priority = priority;
        made->view.content_type = "application/json";
        made->view.payload = made->payload;
        return made;
    }

  private:
    // A random scalar as JSON; what it means goes to `meaning`.
    std::string scalar(Plain& meaning) {
        switch (below(8)) {
            case 0:
                meaning = {};
                return "null";
            case 1:
                meaning = plain_boolean(below(2) == 0);
                return meaning.truth ? "true" : "false";
            case 2:
                meaning = plain_text("t1");
                return "\"t\\u0031\"";
            case 3:
                meaning = plain_text("T1");
                return "\"T1\"";
            case 4:
                meaning = plain_real(static_cast<double>(below(5)) / 2);
                return std::to_string(meaning.real_value);
            case 5: {
                meaning = plain_whole(Plain::integer, one_of<std::int64_t>({INT64_MAX, INT64_MIN, 9007199254740993}));
                return std::to_string(static_cast<std::int64_t>(meaning.whole));
            }
            default:
                meaning = plain_whole(Plain::integer, static_cast<std::int64_t>(below(7)) - 3);
                return std::to_string(static_cast<std::int64_t>(meaning.whole));
        }
    }
    std::string payload(Facts& facts) {
        std::string out = "{\"unasked\": [{\"a\": 1}], \"a\": " + scalar(facts["data.a"]);
        if (below(3) > 0) out += ", \"b\": " + scalar(facts["data.b"]);
        if (below(3) > 0) {
            out += ", \"o\": {\"l\": [" + scalar(facts["data.o.l[0]"]);
            const bool has_two = below(2) == 0;
            if (has_two) out += ", " + scalar(facts["data.o.l[1]"]);
            out += "], \"a\": " + scalar(facts["data.o.a"]) + "}";
            facts["data.o.l"] = plain_whole(Plain::list, has_two ? 2 : 1);
            facts["data.o"] = plain_whole(Plain::object, 2);
        }
        if (below(3) > 0) out += ", \"c\": " + scalar(facts["data.c"]);
        return out + "}";
    }

    Random random_;
    Facts constants_;
    Facts broken_;  // what a payload that counts for nothing would have meant
};

struct Rule {
    std::unique_ptr<Tree> tree;
    std::string text;
    std::optional<Program> program;
};

// `count` rules that compile. What is refused is refused for its types: most random trees mix them.
std::vector<Rule> random_rules(World& world, std::size_t count, std::size_t& tried) {
    std::vector<Rule> rules;
    while (rules.size() < count) {
        ++tried;
        Rule rule;
        rule.tree = world.tree(static_cast<int>(1 + world.below(4)));
        if (world.below(3) == 0) {  // as most rules begin
            auto guarded = std::make_unique<Tree>();
            guarded->op = "&&";
            auto guard = std::make_unique<Tree>();
            guard->op = "==";
            guard->sides.push_back(world.variable("type"));
            guard->sides.push_back(world.variable(world.below(2) == 0 ? "\"t0\"" : "\"t1\""));
            guarded->sides.push_back(std::move(guard));
            guarded->sides.push_back(std::move(rule.tree));
            rule.tree = std::move(guarded);
        }
        rule.text = rule.tree->text();
        Compiled made = compile(rule.text, any_value);
        if (!made.program) continue;
        rule.program = std::move(made.program);
        rules.push_back(std::move(rule));
    }
    return rules;
}

TEST(RuleSet, SaysWhatANaiveEvaluatorSays) {
    std::size_t tried = 0;
    std::size_t held = 0;
    std::size_t nulls = 0;
    constexpr std::size_t worlds = 150;
    constexpr std::size_t rules_count = 80;
    constexpr std::size_t events_count = 40;
    for (std::uint64_t seed = 1; seed <= worlds && !HasFailure(); ++seed) {
        World world(seed);
        auto rules = random_rules(world, rules_count, tried);
        std::vector<Program> programs;
        std::vector<Program> again;
        for (Rule& rule : rules) {
            const std::string printed = format(*rule.program);
            Compiled second = compile(printed, any_value);
            ASSERT_TRUE(second.program.has_value()) << rule.text << "\n" << describe(second.fault, printed);
            again.push_back(std::move(*second.program));
            programs.push_back(std::move(*rule.program));
        }
        const auto set = RuleSet::build(programs);
        const auto set_again = RuleSet::build(again);
        ASSERT_TRUE(set.ok() && set_again.ok());
        Judge judge(set.value());
        Judge judge_again(set_again.value());
        for (std::size_t n = 0; n < events_count; ++n) {
            const auto event = world.event();
            judge.begin({event->view});
            judge_again.begin({event->view});
            const bool values_first = world.below(2) == 0;  // the order of questions changes no answer
            std::vector<std::uint64_t> bits;
            if (!values_first) bits.assign(judge.matches().begin(), judge.matches().end());
            for (std::uint32_t rule = 0; rule < rules_count; ++rule) {
                const Plain expected = evaluated(*rules[rule].tree, event->facts);
                const std::string where = rules[rule].text + "\n" + event->type + " " + event->payload;
                ASSERT_EQ(shown(judge.value(rule)), plain_shown(expected)) << where;
                ASSERT_EQ(shown(judge_again.value(rule)), plain_shown(expected)) << where;
                nulls += expected.kind == Plain::null ? 1 : 0;
            }
            if (values_first) bits.assign(judge.matches().begin(), judge.matches().end());
            for (std::uint32_t rule = 0; rule < rules_count; ++rule) {
                const bool expected = is_true(*rules[rule].tree, event->facts);
                ASSERT_EQ((bits[rule / 64] >> (rule % 64) & 1U) != 0, expected) << rules[rule].text << "\n"
                                                                                << event->type << " " << event->payload;
                ASSERT_EQ(judge.holds(rule), expected) << rules[rule].text;
                held += expected ? 1 : 0;
            }
        }
    }
    // The test is worth something only while both answers are common.
    const std::size_t asked = worlds * rules_count * events_count;
    EXPECT_GT(held, asked / 20) << asked;
    EXPECT_LT(held, asked * 19 / 20) << asked;
    EXPECT_GT(nulls, asked / 100) << asked;
    RecordProperty("rules_tried", std::to_string(tried));
    RecordProperty("held", std::to_string(held));
}

}  // namespace
}  // namespace weir::rules::test
