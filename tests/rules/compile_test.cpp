// What is refused, where the message points, and what a program prints as.
#include "edge/intake/patterns.hpp"
#include "tests/rules/rules_bench.hpp"

namespace weir::rules::test {
namespace {

class Rates final : public Tables {
  public:
    [[nodiscard]] std::optional<std::uint32_t> find_column(std::string_view table,
                                                           std::string_view column) const override {
        if (table != "fines") return std::nullopt;
        if (column == "amount") return 7;
        return column == "place.name" ? std::optional<std::uint32_t>(8) : std::nullopt;
    }
    [[nodiscard]] Value read(std::uint32_t column, const Value& key) const noexcept override {
        if (key.type != Type::text || key.as_text() != "A1") return {};
        return column == 7 ? Value::of_integer(50) : Value::of_text("Broad St");
    }
};

TEST(Compile, PointsAtTheMistake) {
    struct Case {
        const char* text;
        std::uint32_t line;
        std::uint32_t column;
        const char* what;
    };
    const std::vector<Case> cases{
        {"", 1, 1, "something is missing"},
        {"type ==", 1, 8, "something is missing"},
        {"type == 5", 1, 6, "text and integer are never equal"},
        {"priority == \"high\"", 1, 10, "integer and text are never equal"},
        {"type > 5", 1, 6, "text and integer have no order"},
        {"true < false", 1, 6, "not boolean"},
        {"priority > null", 1, 10, "not null"},
        {"priority", 1, 1, "a condition is expected, and this is an integer"},
        {"5", 1, 1, "a condition is expected"},
        {"key && true", 1, 5, "takes conditions, and one side is a text"},
        {"true || priority + 1", 1, 6, "one side is an integer"},
        {"!source", 1, 1, "! takes a condition"},
        {"-key == key", 1, 1, "- takes a number"},
        {"key + 1 == 2", 1, 5, "text + integer has no meaning"},
        {"data.a + \"x\" == 1", 1, 8, "any + text has no meaning"},
        {"time + time == time", 1, 6, "time + time has no meaning"},
        {"time * 2 == time", 1, 6, "time * integer has no meaning"},
        {"null + 1 == 2", 1, 6, "null + integer has no meaning"},
        {"1.5 % 2 == 1", 1, 5, "real % integer has no meaning"},
        {"len(priority) == 1", 1, 5, "len does not take an integer"},
        {"lower(5) == \"5\"", 1, 7, "lower does not take an integer"},
        {"time(\"soon\") < time", 1, 6, "not a time"},
        {"has()", 1, 1, "has takes one argument"},
        {"has(id, key)", 1, 9, "has takes one argument"},
        {"contains(id)", 1, 1, "contains takes two arguments"},
        {"fine > 5", 1, 1, "there is no field fine"},
        {"len > 5", 1, 1, "len is a function"},
        {"size(key) > 5", 1, 1, "there is no function size"},
        {"data(1) == 2", 1, 1, "data is the payload"},
        {"lane == \"fast\"", 1, 1, "not decided yet"},
        {"key.a == 1", 1, 4, "only data and lookup(...) have members"},
        {"data.\"a\" == 1", 1, 6, "the name of a member is missing"},
        {"data[-1] == 1", 1, 6, "an index from 0"},
        {"data[4294967295] == 1", 1, 6, "an index from 0"},
        {"data[1 == 1", 1, 8, "] is missing"},
        {"(true", 1, 6, ") is missing"},
        {"true)", 1, 5, "an operator, or the end"},
        {"true true", 1, 6, "an operator, or the end"},
        {"1 < 2 < 3", 1, 7, "comparisons do not chain"},
        {"type = \"a\"", 1, 6, "write =="},
        {"true & false", 1, 6, "write &&"},
        {"type == 'a'", 1, 9, "between"},
        {"type == \"a", 1, 9, "does not end"},
        {"type == \"a\\q\"", 1, 12, "not an escape"},
        {"type == \"\\ud800\"", 1, 9, "half a surrogate"},
        {"type in \"a\"", 1, 9, "[ is missing"},
        {"type in []", 1, 10, "a value is expected"},
        {"type in [key]", 1, 10, "constants"},
        {"type in [\"a\", 5]", 1, 15, "text and integer are never equal"},
        {"type like key", 1, 11, "like takes a text"},
        {"priority like \"1*\"", 1, 10, "like takes a text, not integer"},
        {"[1] == 2", 1, 1, "a list stands only after"},
        {"9223372036854775808 > data.a", 1, 1, "beyond 64 bits"},
        {"18446744073709551616 > data.a", 1, 1, "beyond 64 bits"},
        {"1e999 > data.a", 1, 1, "beyond what a real can hold"},
        {"007 > data.a", 1, 1, "does not begin with 0"},
        {"10x > data.a", 1, 1, "its units are"},
        {"1.5h > data.a", 1, 1, "a whole number and a unit"},
        {"300000d > data.a", 1, 1, "292 years"},
        {"lookup(5, key) == 1", 1, 8, "the name of the table"},
        {"lookup(\"fines\", 1.5).amount == 1", 1, 17, "a key is a text or an integer"},
        {"lookup(\"fines\", key).a[0] == 1", 1, 23, "columns of a table"},
        {"lookup(\"rates\", key).amount == 1", 1, 1, "there is no table rates"},
        {"lookup(\"fines\", key).x == 1", 1, 1, "with a column x"},
        {"type == \"a\" &&\n  priority > \"b\"", 2, 12, "integer and text have no order"},
        {"true &&\n\n  %", 3, 3, "a value is expected"},
    };
    const Rates rates;
    for (const Case& one : cases) {
        CompileOptions options;
        options.tables = &rates;
        const Compiled made = compile(one.text, options);
        ASSERT_FALSE(made.program.has_value()) << one.text;
        EXPECT_NE(made.fault.what.find(one.what), std::string::npos) << one.text << "\n" << made.fault.what;
        EXPECT_EQ(made.fault.line, one.line) << one.text << "\n" << made.fault.what;
        EXPECT_EQ(made.fault.column, one.column) << one.text << "\n" << made.fault.what;
    }
}

TEST(Compile, DescribesAFaultWithACaretBelowItsPlace) {
    const std::string text = "true &&\n\t\"\xc3\xa4\xc3\xa4\" == 5 ||\nfalse";
    const Compiled made = compile(text);
    EXPECT_EQ(describe(made.fault, text),
              "2:9: text and integer are never equal\n  \t\"\xc3\xa4\xc3\xa4\" == 5 ||\n  \t     ^\n");
}

TEST(Compile, HoldsItsLimits) {
    const auto fault_of = [](const std::string& text) { return compile(text).fault.what; };
    EXPECT_NE(fault_of(std::string(5000, ' ') + "true").find("longer than 4096 bytes"), std::string::npos);
    EXPECT_NE(fault_of(std::string(100, '(') + "true" + std::string(100, ')')).find("nested more deeply"),
              std::string::npos);
    EXPECT_NE(fault_of(std::string(100, '!') + "true").find("nested more deeply"), std::string::npos);
    std::string sums = "data.a";
    for (int i = 0; i < 100; ++i) sums += " - data.a";
    EXPECT_NE(fault_of(sums + " == 1").find("nested more deeply"), std::string::npos);
    std::string many = "data.x0 == 1";
    for (int i = 1; i < 65; ++i) many += " || data.x" + std::to_string(i) + " == 1";
    EXPECT_NE(fault_of(many).find("more than 64 payload paths"), std::string::npos);
    std::string nodes = "key == \"0\"";
    for (int i = 1; i < 200; ++i) nodes += "||key<\"" + std::to_string(i) + '"';
    EXPECT_TRUE(compile(nodes).program.has_value()) << compile(nodes).fault.what;
    CompileOptions few;
    few.limits.nodes_max = 300;
    EXPECT_NE(compile(nodes, few).fault.what.find("too many parts: more than 300"), std::string::npos);
    std::string list = "priority in [0";
    for (int i = 1; i < 300; ++i) list += "," + std::to_string(i);
    EXPECT_NE(fault_of(list + "]").find("more than 256 elements"), std::string::npos);
    std::string steps = "has(data";
    for (int i = 0; i < 17; ++i) steps += ".a";
    EXPECT_NE(fault_of(steps + ")").find("more than 16 steps"), std::string::npos);
    EXPECT_NE(fault_of("has(data[\"" + std::string(257, 'a') + "\"])").find("more than 256 bytes"), std::string::npos);
}

TEST(Compile, KnowsTheTypeOfWhatItGives) {
    const auto type_of = [](const char* text) { return compiled(text, any_value).type(); };
    EXPECT_EQ(type_of("priority + 1"), Type::integer);
    EXPECT_EQ(type_of("priority / 2"), Type::real);
    EXPECT_EQ(type_of("priority + 0.5"), Type::real);
    EXPECT_EQ(type_of("data.a + 1"), Type::any);
    EXPECT_EQ(type_of("time - time"), Type::duration);
    EXPECT_EQ(type_of("lower(key)"), Type::text);
    EXPECT_EQ(type_of("default(key, \"x\")"), Type::text);
    EXPECT_EQ(type_of("data.a && data.b"), Type::boolean);
    EXPECT_EQ(type_of("number(priority)"), Type::integer);
}

TEST(Compile, PrintsWhatItWillRun) {
    EXPECT_EQ(format(compiled("data.fine > 50 * 2 && type == \"a\" && true")),
              "((type == \"a\") && (100 < data[\"fine\"]))");
    EXPECT_EQ(format(compiled("!(data.a && has(key)) || false")), "!((has(key) && data[\"a\"]))");
    EXPECT_EQ(format(compiled("type in [\"b\", \"a\", \"b\"] && key != \"x\"")),
              "((key != \"x\") && (type in [\"a\", \"b\"]))");
    EXPECT_EQ(format(compiled("time > time(\"2017-12-01T00:00:00Z\") + 1m")),
              "(time(\"2017-12-01T00:01:00Z\") < time)");
    EXPECT_EQ(format(compiled("!!data.a")), "!!data[\"a\"]");
    EXPECT_EQ(format(compiled("type like [\"a*\", \"b\"] || 1 == 2")), "((type like \"a*\") || (type == \"b\"))");
}

TEST(Compile, LikeMeansWhatPatternsOfRoutesMean) {
    for (const char* const pattern : {"", "*", "a", "a*", "a**", "*a", "a*b", "ab*", "violation.*"}) {
        for (const char* const text :
             {"", "a", "ab", "a*", "*a", "a*b", "b", "violation.", "violation.x", "violation"}) {
            EXPECT_EQ(Pattern::from(pattern).matches(text), edge::Patterns({pattern}).matches(text))
                << pattern << " " << text;
        }
    }
}

TEST(Compile, LooksUpWhatTheTableHas) {
    const Rates rates;
    const Event event("{\"code\": \"A1\", \"other\": \"B2\"}");
    EXPECT_EQ(said("lookup(\"fines\", data.code).amount * 2", event, &rates), "100");
    EXPECT_EQ(said("lookup(\"fines\", data.code).place.name", event, &rates), "\"Broad St\"");
    EXPECT_EQ(said("lookup(\"fines\", data.other).amount", event, &rates), "null");
    EXPECT_EQ(said("lookup(\"fines\", data.missing).amount == null", event, &rates), "true");
    EXPECT_EQ(said("lookup(\"fines\", \"A1\").amount", event, &rates), "50");
}

}  // namespace
}  // namespace weir::rules::test
