// Tests of definitions in virtual time: those that ship hold, one that does not is told with what was found, and a wrong file with its places.
#include "central/analysis/rule_tests.hpp"

#include <sstream>

#include "tests/analysis/journal_script.hpp"

namespace weir::central::test {
namespace {

struct Outcome {
    int code = 0;
    std::string said;
};

Outcome run(const CentralConfig& config, const std::string& path) {
    std::ostringstream out;
    const int code = rule_tests_command(config, path, out, out);
    return {code, out.str()};
}

// Of the definitions of journal_script.hpp.
Outcome run_text(const std::string& text) {
    const Directory directory;
    const std::string path = directory.path() + "/tests.toml";
    std::ofstream(path) << text;
    return run(config_of(directory.path()), path);
}

TEST(RuleTests, ThoseOfTheExampleHold) {
    const auto loaded = load_config("central/analytics.example.toml");
    ASSERT_TRUE(loaded.config);
    const Outcome outcome = run(*loaded.config, "central/analytics.tests.toml");
    EXPECT_EQ(outcome.code, 0) << outcome.said;
    EXPECT_EQ(outcome.said, "5 tests, 0 failed\n");
}

TEST(RuleTests, AnExpectationThatDoesNotHoldIsToldWithWhatWasFound) {
    const std::string test = R"([[tests]]
name = "five"
[[tests.events]]
type = "a"
key = "k"
count = 5
[[tests.expect]]
on = "pattern.five"
where = 'data.key == "k"'
count = )";
    EXPECT_EQ(run_text(test + "1\n").code, 0) << run_text(test + "1\n").said;
    const Outcome wrong = run_text(test + "2\n");
    EXPECT_EQ(wrong.code, 1);
    EXPECT_TRUE(wrong.said.starts_with("FAILED five\n  pattern.five where data.key == \"k\": 1 instead of 2\n"))
        << wrong.said;
    EXPECT_NE(wrong.said.find("    pattern.five {\"key\":\"k\""), wrong.said.npos) << wrong.said;
    EXPECT_TRUE(wrong.said.ends_with("1 tests, 1 failed\n")) << wrong.said;
}

TEST(RuleTests, TimeIsVirtualAndEventsMayComeLate) {
    const Outcome outcome = run_text(R"([[tests]]
name = "an absence is certain once its time is over"
[[tests.events]]
type = "violation.submitted"
key = "k"
[[tests.expect]]
on = "pattern.unvalidated"
count = 1

[[tests]]
name = "a day goes by, and a late event makes a second version"
quiet_s = 86400
[[tests.events]]
at_s = 10
type = "a"
key = "k"
data = '{"zip": "19104", "fine": 2.5}'
[[tests.events]]
at_s = 20
late_ms = 300000
type = "a"
key = "k"
data = '{"zip": "19104", "fine": 1}'
[[tests.expect]]
on = "window.fines"
where = 'data.version == 2 && data.sum == 3.5'
count = 1
)");
    EXPECT_EQ(outcome.code, 0) << outcome.said;
}

TEST(RuleTests, MistakesAreToldWithTheirPlaces) {
    const Outcome outcome = run_text(
        "[[tests]]\nname = \"x\"\nstart = \"noon\"\n[[tests.events]]\nkey = \"k\"\n[[tests.expect]]\n"
        "on = \"window.nobody\"\nwhere = \"data.count >\"\n[[tests]]\nname = \"y\"\n");
    EXPECT_EQ(outcome.code, 78);
    for (const char* part :
         {":3:9: tests[0].start: must be a time in RFC 3339", "tests[0].events[0].type: is missing",
          "tests[0].expect[0].on: no window, pattern, anomaly or alert has this name: \"window.nobody\"",
          "tests[0].expect[0].where: ", "tests[1].expect: is missing"}) {
        EXPECT_NE(outcome.said.find(part), outcome.said.npos) << part << "\n" << outcome.said;
    }
}

}  // namespace
}  // namespace weir::central::test
