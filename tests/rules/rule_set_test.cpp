// Many rules together: who is looked at, when the payload is read, what is remembered.
#include "tests/rules/rules_bench.hpp"

namespace weir::rules::test {
namespace {

std::vector<std::uint32_t> matched(Judge& judge, const RuleSet& set) {
    std::vector<std::uint32_t> rules;
    const auto words = judge.matches();
    for (std::uint32_t rule = 0; rule < set.rule_count(); ++rule) {
        const bool is_set = (words[rule / 64] >> (rule % 64) & 1U) != 0;
        EXPECT_EQ(is_set, judge.holds(rule)) << rule;
        if (is_set) rules.push_back(rule);
    }
    return rules;
}
using Rules = std::vector<std::uint32_t>;

TEST(RuleSet, LooksOnlyAtRulesThatCouldHoldForTheType) {
    const RuleSet set = set_of({"type == \"a\" && priority > 0", "type in [\"a\", \"b\"] && priority > 1",
                                "type like \"c.*\" && priority > 0", "priority > 1",
                                "(type == \"b\" && priority > 1) || type == \"d\"", "type != \"a\"", "len(type) == 1"});
    EXPECT_EQ(set.candidate_count("a"), 4U);    // 0 1 3 6
    EXPECT_EQ(set.candidate_count("b"), 5U);    // 1 3 4 5 6
    EXPECT_EQ(set.candidate_count("d"), 4U);    // 3 4 5 6
    EXPECT_EQ(set.candidate_count("c.x"), 4U);  // 2 3 5 6
    EXPECT_EQ(set.candidate_count("x"), 3U);    // 3 5 6
    Judge judge(set);
    Event event;
    const auto for_type = [&](std::string_view type) {
        event.view.type = type;
        judge.begin({event.view});
        return matched(judge, set);
    };
    EXPECT_EQ(for_type("a"), (Rules{0, 1, 3, 6}));
    EXPECT_EQ(for_type("b"), (Rules{1, 3, 4, 5, 6}));
    EXPECT_EQ(for_type("d"), (Rules{3, 4, 5, 6}));
    EXPECT_EQ(for_type("c.x"), (Rules{2, 3, 5}));
    EXPECT_EQ(for_type("unheard"), (Rules{3, 5}));
}

TEST(RuleSet, RulesBehindTheEndOfARangeAreNotAmongTheMatches) {
    const RuleSet set = set_of({"type == \"a\"", "priority > 0", "type like \"a*\"", "true", "type == \"a\""});
    Judge judge(set);
    Event event;
    event.view.type = "a";
    judge.begin({event.view});
    for (std::uint32_t end = 0; end <= 5; ++end) {
        const std::uint64_t all = judge.matches().front();
        EXPECT_EQ(judge.matches(end).front(), all & ((std::uint64_t{1} << end) - 1)) << end;
    }
}

TEST(RuleSet, TakesTheLongestPrefixThatATypeBeginsWith) {
    const RuleSet set = set_of(
        {"type like \"a.*\"", "type like \"a.b.*\"", "type like \"a.b.c*\"", "type like \"b*\"", "type == \"a.b.d\""});
    Judge judge(set);
    Event event;
    const auto for_type = [&](std::string_view type) {
        event.view.type = type;
        judge.begin({event.view});
        return matched(judge, set);
    };
    EXPECT_EQ(for_type("a.c"), (Rules{0}));  // the prefix before it in order, a.b.c, is not one of it
    EXPECT_EQ(for_type("a.b.a"), (Rules{0, 1}));
    EXPECT_EQ(for_type("a.b.cc"), (Rules{0, 1, 2}));
    EXPECT_EQ(for_type("a.b.d"), (Rules{0, 1, 4}));
    EXPECT_EQ(for_type("a.b.e"), (Rules{0, 1}));
    EXPECT_EQ(for_type("a"), (Rules{}));
    EXPECT_EQ(for_type("b"), (Rules{3}));
    EXPECT_EQ(for_type("a\xff"), (Rules{}));
    EXPECT_EQ(set.candidate_count("a.c"), 1U);
    EXPECT_EQ(set.candidate_count("zzz"), 0U);
}

TEST(RuleSet, ReadsThePayloadOnlyWhenARuleNeedsIt) {
    const RuleSet set =
        set_of({"type == \"other\" && data.a > 1", "data.a == 1 && priority > 2", "priority == 2 || data.b == 1"});
    Judge judge(set);
    Event event("{\"a\": 1}");
    judge.begin({event.view});
    EXPECT_EQ(matched(judge, set), (Rules{2}));
    EXPECT_EQ(judge.payload_state(), PayloadState::unread);
    event.view.priority = 3;
    judge.begin({event.view});
    EXPECT_EQ(matched(judge, set), (Rules{1}));
    EXPECT_EQ(judge.payload_state(), PayloadState::json);
    event.view.payload = "{\"a\": 1";
    judge.begin({event.view});
    EXPECT_EQ(matched(judge, set), (Rules{}));
    EXPECT_EQ(judge.payload_state(), PayloadState::broken);
    event.view.content_type = "text/plain";
    judge.begin({event.view});
    EXPECT_EQ(matched(judge, set), (Rules{}));
    EXPECT_EQ(judge.payload_state(), PayloadState::other);
}

TEST(RuleSet, SaysTheFirstRuleOfARangeThatHolds) {
    const RuleSet set = set_of(
        {"type == \"x\"", "priority == 2", "type == \"violation.parking\"", "false", "data.a == 1", "priority == 2"});
    Judge judge(set);
    const Event event("{\"a\": 1}");
    judge.begin({event.view});
    EXPECT_EQ(judge.first_match(0, 6), 1U);
    EXPECT_EQ(judge.first_match(2, 6), 2U);
    EXPECT_EQ(judge.first_match(3, 6), 4U);
    EXPECT_EQ(judge.first_match(5, 6), 5U);
    EXPECT_EQ(judge.first_match(3, 4), std::nullopt);
    EXPECT_EQ(judge.first_match(6, 6), std::nullopt);
}

TEST(RuleSet, FirstMatchAgreesWithMatchesWhateverTheRange) {
    std::vector<std::string> texts;
    for (int i = 0; i < 150; ++i) {
        texts.push_back(i % 3 == 0 ? "type == \"t" + std::to_string(i % 7) + "\" && data.a > " + std::to_string(i % 11)
                        : i % 3 == 1 ? "data.a > " + std::to_string(i % 13)
                                     : "type like \"t*\" && data.b == " + std::to_string(i % 5));
    }
    const RuleSet set = set_of(texts);
    Judge judge(set);
    for (int type = 0; type < 9; ++type) {
        const std::string name = "t" + std::to_string(type);
        Event event("{\"a\": " + std::to_string(type + 2) + ", \"b\": " + std::to_string(type % 5) + "}");
        event.view.type = name;
        judge.begin({event.view});
        const Rules all = matched(judge, set);
        ASSERT_FALSE(all.empty());
        for (std::uint32_t begin = 0; begin < 150; begin += 7) {
            const auto at = std::lower_bound(all.begin(), all.end(), begin);
            const auto expected = at == all.end() ? std::nullopt : std::optional<std::uint32_t>(*at);
            EXPECT_EQ(judge.first_match(begin, 150), expected);
        }
    }
}

class Counting final : public Tables {
  public:
    mutable int reads = 0;
    [[nodiscard]] std::optional<std::uint32_t> find_column(std::string_view, std::string_view) const override {
        return 1;
    }
    [[nodiscard]] Value read(std::uint32_t, const Value& key) const noexcept override {
        ++reads;
        return key;
    }
};

TEST(RuleSet, WorksOutAnEqualSubExpressionOncePerEvent) {
    const Counting tables;
    const RuleSet set =
        set_of({"lookup(\"t\", key).x == \"PHL-19139\"", "lookup(\"t\", key).x != \"PHL-19139\" || priority == 9",
                "type == \"violation.parking\" && starts_with(lookup(\"t\", key).x, \"PHL\")"},
               &tables);
    Judge judge(set);
    Event event;
    for (int round = 1; round <= 3; ++round) {
        judge.begin({event.view});
        EXPECT_EQ(matched(judge, set), (Rules{0, 2}));
        EXPECT_EQ(tables.reads, round);
    }
    event.view.key = "other";  // nothing is remembered from the event before
    judge.begin({event.view});
    EXPECT_EQ(matched(judge, set), (Rules{1}));
}

TEST(RuleSet, EqualRulesAreOneNode) {
    const RuleSet one = set_of({"data.a + data.b > 5 && key == \"x\""});
    const RuleSet same = set_of({"data.a + data.b > 5 && key == \"x\"", "key == \"x\" && (5 < data.a + data.b)"});
    EXPECT_EQ(one.node_count(), same.node_count());
    EXPECT_EQ(same.path_count(), 2U);
}

TEST(RuleSet, TextsWithoutRoomAreNull) {
    const RuleSet set =
        set_of({"lower(data.a) == \"abcdefgh\"", "upper(data.a) == \"ABCDEFGH\"", "data.b == \"x\\ny\""});
    const Event event("{\"a\": \"abcdEFGH\", \"b\": \"x\\ny\"}");
    Judge roomy(set, 8 + 8 + 4);
    roomy.begin({event.view});
    EXPECT_EQ(matched(roomy, set), (Rules{0, 1, 2}));
    Judge tight(set, 8);
    tight.begin({event.view});
    EXPECT_EQ(tight.matches()[0], 1U);
    tight.begin({event.view});  // the next event has all of it again
    EXPECT_TRUE(tight.holds(1));
    EXPECT_FALSE(tight.holds(0));
}

TEST(RuleSet, RefusesMoreThanItsLimits) {
    const auto what = [](const std::vector<std::string>& texts, const RuleSetLimits& limits) {
        std::vector<Program> programs;
        for (const std::string& text : texts) programs.push_back(compiled(text));
        const auto set = RuleSet::build(programs, {.tables = nullptr, .schemas = {}, .limits = limits});
        return set ? "" : set.error().what;
    };
    const std::vector<std::string> two{"type == \"a\" && data.a > 1", "type == \"b\" && data.b > 1"};
    EXPECT_EQ(what(two, {}), "");
    EXPECT_EQ(what(two, {.rules_max = 1}), "more than 1 rules");
    EXPECT_EQ(what(two, {.nodes_max = 10}), "rules of more than 10 nodes together");
    EXPECT_EQ(what(two, {.paths_max = 1}), "rules with more than 1 payload paths together");
    EXPECT_EQ(what(two, {.types_max = 1}), "rules that name more than 1 event types");
}

TEST(RuleSet, WithoutRulesNothingMatches) {
    const RuleSet set = set_of({});
    Judge judge(set);
    const Event event;
    judge.begin({event.view});
    EXPECT_TRUE(judge.matches().empty());
    EXPECT_EQ(judge.first_match(0, 0), std::nullopt);
}

}  // namespace
}  // namespace weir::rules::test
