// LANGUAGE.md, line by line: what an expression gives for one event.
#include "tests/rules/rules_bench.hpp"

namespace weir::rules::test {
namespace {

constexpr const char* payload =
    R"({"fine": 120, "rate": 2.5, "whole": 120.0, "code": "A1", "flag": true, "off": false, "none": null,
  "empty": "", "plate": "KZX-9\u00e9", "Mixed": "aBc\u00c4", "n": "41", "when": "2017-12-01T00:00:00Z", "big": 9223372036854775807,
  "small": -9223372036854775808, "huge": 9223372036854775808, "vast": 1e999, "half": "\ud800", "exact": 9007199254740993,
  "list": [1, "two", [3, {"deep": 4}], null], "object": {"a": {"b": [{"c": "here"}]}, "odd name": 7, "in": 8},
  "twice": {"a": 1}, "twice": {"b": 2}, "zero": 0, "minus": -7, "lines": "a\nb"})";

struct Case {
    const char* text;
    const char* expected;
};
void check(const std::vector<Case>& cases) {
    const Event event(payload);
    for (const Case& one : cases) EXPECT_EQ(said(one.text, event), one.expected) << one.text;
}

TEST(Language, ExamplesOfTheBriefHold) {
    check({{R"(type == "violation.parking" && data.fine > 100)", "true"},
           {R"(source in ["philly/police","b"])", "true"},
           {R"(type like "violation.*")", "true"},
           {"priority >= 2", "true"},
           {"has(data.plate)", "true"},
           {R"(starts_with(key, "PHL"))", "true"},
           {R"(lookup("table", data.code).fine)", "null"},
           {R"(time - time(data.when) > 5s)", "true"},
           {R"(!(type like "violation.*") || data.object.a.b[0].c == "here")", "true"}});
}

TEST(Language, FieldsAreWhatTheEventSays) {
    check({{"id", "\"ppa-9001\""},
           {"type", "\"violation.parking\""},
           {"source", "\"philly/police\""},
           {"key", "\"PHL-19139\""},
           {"time", "@1512086407000000000"},
           {"priority", "2"},
           {"trace", "\"000102030405060708090a0b0c0dfeff\""},
           {"content_type", "\"application/json\""},
           {"edge", "\"north\""},
           {"lane", "\"fast\""},
           {"part", "\"live\""}});
    Event bare;
    bare.view.key = {};
    bare.view.time = WallNs{0};
    bare.view.trace_id = {};
    for (const char* const field : {"key", "time", "trace"}) EXPECT_EQ(said(field, bare), "null") << field;
    bare.view.time = WallNs{static_cast<std::uint64_t>(INT64_MAX) + 1};
    EXPECT_EQ(said("time", bare), "null");
}

TEST(Language, PathsReadThePayload) {
    check({{"data.fine", "120"},
           {"data.rate", "2.5r"},
           {"data.whole", "120r"},
           {"data.flag", "true"},
           {"data.none", "null"},
           {"data.missing", "null"},
           {"data.missing.deeper[3]", "null"},
           {"data.fine.deeper", "null"},
           {"data.fine[0]", "null"},
           {"data.empty", "\"\""},
           {"data.plate", "\"KZX-9\xc3\xa9\""},
           {"data.lines", "\"a\\nb\""},
           {"data.half", "null"},
           {"data.big", "9223372036854775807"},
           {"data.small", "-9223372036854775808"},
           {"data.huge", "9.2233720368547758e+18r"},
           {"data.vast", "null"},
           {"data.list", "list of 4"},
           {"data.list[1]", "\"two\""},
           {"data.list[2][1].deep", "4"},
           {"data.list[4]", "null"},
           {"data.list.a", "null"},
           {"data.object.a.b[0].c", "\"here\""},
           {"data[\"object\"][\"odd name\"]", "7"},
           {"data.object.in", "8"},
           {"data.twice.a", "null"},
           {"data.twice.b", "2"},
           {"data", "object of 25"}});
}

TEST(Language, ComparisonsKnowTwoAnswers) {
    check({{"data.fine == 120", "true"},
           {"data.fine == 120.0", "true"},
           {"data.whole == 120", "true"},
           {"data.exact == 9007199254740992.0", "false"},  // equal if it were rounded
           {"data.exact > 9007199254740992.0", "true"},
           {"data.big < 9223372036854775808.0", "true"},
           {"data.huge > data.big", "true"},
           {"data.code == 1", "false"},
           {"data.code != 1", "true"},
           {"data.code < 1", "false"},
           {"data.code >= 1", "false"},
           {"data.missing == null", "true"},
           {"data.none == null", "true"},
           {"data.missing == data.none", "true"},
           {"data.missing != 5", "true"},
           {"data.missing < 5", "false"},
           {"!(data.missing < 5)", "true"},
           {"null == null", "true"},
           {"data.list == data.list", "false"},
           {"data.object == null", "false"},
           {"data.flag == true", "true"},
           {"data.flag > data.off", "false"},
           {"\"a\" < \"ab\" && \"ab\" < \"b\" && \"Z\" < \"a\"", "true"},
           {"data.code <= \"A1\" && data.code >= \"A1\"", "true"},
           {"10m > 9m59s999ms && 1h30m == 90m && 1d == 24h && 1us == 1000ns", "true"},
           {"time > time(\"2017-12-01T00:00:06.9Z\")", "true"},
           {"time <= time(\"2017-12-01T01:00:07+01:00\")", "true"}});
}

TEST(Language, LogicTakesOnlyTheBooleanTrue) {
    check({{"data.flag && true", "true"},
           {"data.fine && true", "false"},
           {"data.fine || data.missing", "false"},
           {"!data.fine", "true"},
           {"!!data.fine", "false"},
           {"!!data.flag", "true"},
           {"(data.fine && true) == null", "false"},
           {"true || false && false", "true"},
           {"(true || false) && false", "false"},
           {"!true == false", "true"}});
}

TEST(Language, InAndLike) {
    check({{"data.fine in [1, 120.0, \"x\"]", "true"},
           {"data.fine in [1, 2]", "false"},
           {"data.missing in [null, 1]", "true"},
           {"data.missing in [1, 2]", "false"},
           {"priority in [-1, 1 + 1]", "true"},
           {"data.code in [\"Z9\",\"B\",\"C\",\"D\",\"E\",\"F\",\"G\",\"H\",\"A1\",\"I\"]", "true"},
           {"data.code in [\"Z9\",\"B\",\"C\",\"D\",\"E\",\"F\",\"G\",\"H\",\"A\",\"I\"]", "false"},
           {"data.list in [1,2,3,4,5,6,7,8,9,10]", "false"},
           {"type like \"violation.parking\"", "true"},
           {"type like \"violation\"", "false"},
           {"type like \"*\"", "true"},
           {"type like \"*.parking\"", "false"},
           {"type like [\"a.*\", \"violation.*\"]", "true"},
           {"data.missing like \"*\"", "false"},
           {"data.fine like \"1*\"", "false"}});
}

TEST(Language, ArithmeticNeverFails) {
    check({{"data.fine + 1", "121"},
           {"data.fine / 50", "2.3999999999999999r"},
           {"7 / 2", "3.5r"},
           {"7 % 4", "3"},
           {"data.minus % 4", "-3"},
           {"data.rate % 2", "null"},
           {"data.fine / data.zero", "null"},
           {"data.fine / 0.0", "null"},
           {"data.fine % data.zero", "null"},
           {"data.big + 1", "null"},
           {"data.small - 1", "null"},
           {"data.big * 2", "null"},
           {"-data.small", "null"},
           {"data.small % -1", "0"},
           {"data.big * 2.0", "1.8446744073709552e+19r"},
           {"1e308 * data.fine", "null"},
           {"data.code + 1", "null"},
           {"data.missing * 0", "null"},
           {"-9223372036854775808", "-9223372036854775808"},
           {"1 + 2 * 3 - 4 - 5", "-2"},
           {"-data.fine * -2", "240"},
           {"time + 3s - time", "3000000000ns"},
           {"3s + time == time + 3s", "true"},
           {"time - 20000d", "null"},
           {"time + 100000d", "null"},
           {"10m / 3", "200000000000ns"},
           {"10m / 4m", "2.5r"},
           {"2 * 10m - 5m", "900000000000ns"},
           {"10m * data.rate", "null"},
           {"-10m", "-600000000000ns"}});
}

TEST(Language, Functions) {
    check({{"has(data.empty)", "true"},
           {"has(data.none)", "false"},
           {"has(key)", "true"},
           {"has(data.list)", "true"},
           {"len(data.plate)", "7"},
           {"len(data.list)", "4"},
           {"len(data.object)", "3"},
           {"len(data.fine)", "null"},
           {"len(\"\")", "0"},
           {"lower(data.Mixed)", "\"abc\xc3\x84\""},
           {"upper(data.Mixed)", "\"ABC\xc3\x84\""},
           {"lower(data.fine)", "null"},
           {"lower(\"@AZ[\")", "\"@az[\""},
           {"lower(data.empty)", "\"\""},
           {"starts_with(data.code, \"A\")", "true"},
           {"ends_with(data.code, \"1\")", "true"},
           {"contains(source, \"y/p\")", "true"},
           {"contains(data.fine, \"1\")", "false"},
           {"starts_with(data.missing, \"\")", "false"},
           {"abs(data.minus)", "7"},
           {"abs(-1.5)", "1.5r"},
           {"abs(-5m)", "300000000000ns"},
           {"abs(data.small)", "null"},
           {"floor(data.rate)", "2"},
           {"floor(-2.5)", "-3"},
           {"floor(1e300)", "null"},
           {"floor(data.fine)", "120"},
           {"number(data.n) + 1", "42"},
           {"number(data.code)", "null"},
           {"number(data.rate)", "2.5r"},
           {"number(\" 1\")", "null"},
           {"time(data.when)", "@1512086400000000000"},
           {"time(data.code)", "null"},
           {"default(data.missing, 5)", "5"},
           {"default(data.fine, 5)", "120"},
           {"default(data.off, true)", "false"}});
}

TEST(Language, APayloadThatIsNoJsonHasNoMembers) {
    for (const char* const broken :
         {"{\"fine\": 120", "{\"fine\": 120}}", "{\"fine\": 120, \"x\": nul}", "", "{\"fine\": 120,}",
          "{\"fine\": 012}", "{\"fine\": 120, \"x\": \"\xff\"}", "{\"fine\": 120, \"x\": \"\\q\"}"}) {
        const Event event(broken);
        EXPECT_EQ(said("data.fine", event), "null") << broken;
        EXPECT_EQ(said("!has(data.fine) && data == null", event), "true") << broken;
    }
    Event other("{\"fine\": 120}");
    other.view.content_type = "text/plain";
    EXPECT_EQ(said("data.fine", other), "null");
    other.view.content_type = "application/vnd.city+json; charset=utf-8";
    EXPECT_EQ(said("data.fine", other), "120");
    const Event element("[10, 20]");
    EXPECT_EQ(said("data[1]", element), "20");
    EXPECT_EQ(said("data", Event("17")), "17");
}

}  // namespace
}  // namespace weir::rules::test
