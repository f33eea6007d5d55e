#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "central/analytics/alert_machine.hpp"
#include "tests/simulation/random.hpp"

namespace weir::analytics::test {
namespace {

constexpr std::uint64_t second = ns_per_second;
constexpr std::uint64_t base_ns = 1'700'000'000 * second;

AlertRule rule_of(const std::string& name) {
    AlertRule rule;
    rule.name = name;
    return rule;
}

struct AlertBench {
    explicit AlertBench(std::vector<AlertRule> rules) : machine(std::move(rules)) {}
    AlertMachine machine;
    std::vector<Notice> out;

    // What was said since the last call: "fired@3 resolved@9".
    std::string said() {
        std::string text_of;
        for (const Notice& one : std::exchange(out, {})) {
            if (!text_of.empty()) text_of += ' ';
            text_of += std::string(text(one.kind)) + "@" + std::to_string((one.time_ns - base_ns) / second);
            if (one.fate != Fate::told) text_of += "(" + std::string(text(one.fate)) + ")";
            if (one.kind == NoticeKind::folded) text_of += "x" + std::to_string(one.count);
            if (one.is_evicted) text_of += "(evicted)";
        }
        return text_of;
    }
    AlertBench& raise(std::uint64_t at_s, std::string_view key = "k", std::uint32_t rule = 0) {
        machine.observe(rule, key, Observed::raise, base_ns + at_s * second, out);
        return *this;
    }
    AlertBench& neither(std::uint64_t at_s) {
        machine.observe(0, "k", Observed::neither, base_ns + at_s * second, out);
        return *this;
    }
    AlertBench& clear(std::uint64_t at_s, std::string_view key = "k", std::uint32_t rule = 0) {
        machine.observe(rule, key, Observed::clear, base_ns + at_s * second, out);
        return *this;
    }
    AlertBench& pass(std::uint64_t to_s) {
        machine.advance(base_ns + to_s * second, out);
        return *this;
    }
};

}  // namespace

TEST(Alerts, FireOnceTheConditionHasHeldForItsTime) {
    AlertRule rule = rule_of("a");
    rule.for_ns = 10 * second;
    AlertBench bench({rule});
    EXPECT_EQ(bench.raise(0).raise(5).pass(9).said(), "");
    EXPECT_EQ(bench.pass(10).said(), "fired@10");
    EXPECT_EQ(bench.raise(12).raise(20).pass(100).said(), "") << "once";
    EXPECT_EQ(bench.clear(101).said(), "resolved@101");
    EXPECT_EQ(bench.raise(110).clear(115).pass(200).said(), "") << "it did not hold";
    EXPECT_EQ(bench.raise(210).neither(215).pass(300).said(), "") << "nor did this";
    EXPECT_EQ(bench.raise(310).raise(325).said(), "fired@320") << "an observation lets time pass too";
}

TEST(Alerts, BetweenRaiseAndClearNothingChanges) {
    AlertRule rule = rule_of("a");
    rule.clear_ns = 10 * second;
    AlertBench bench({rule});
    EXPECT_EQ(bench.neither(0).said(), "");
    EXPECT_EQ(bench.raise(1).said(), "fired@1");
    EXPECT_EQ(bench.neither(2).clear(3).neither(5).clear(8).pass(17).said(), "") << "neither begins the time anew";
    EXPECT_EQ(bench.pass(18).said(), "resolved@18");
    EXPECT_EQ(bench.machine.firing_count(), 0U);
}

TEST(Alerts, EscalateOnceRepeatAndGrowStale) {
    AlertRule rule = rule_of("a");
    rule.escalate_ns = 30 * second;
    rule.repeat_ns = 20 * second;
    rule.stale_ns = 100 * second;
    AlertBench bench({rule});
    bench.raise(0).pass(35);
    ASSERT_EQ(bench.out.size(), 3U);
    EXPECT_EQ(bench.out[0].severity, Severity::warning);
    EXPECT_EQ(bench.out[2].severity, Severity::critical);
    EXPECT_EQ(bench.said(), "fired@0 repeated@20 escalated@30");
    EXPECT_EQ(bench.pass(65).said(), "repeated@50");
    EXPECT_EQ(bench.raise(80).said(), "repeated@70");
    EXPECT_EQ(bench.pass(1'000'000'000).said(), "repeated@90 resolved@180") << "a jump of time repeats once";
}

TEST(Alerts, AreSilencedSuppressedAndGroupedButNeverUnsaid) {
    AlertRule cause = rule_of("cause");
    AlertRule effect = rule_of("effect");
    effect.suppressed_by = {0};
    AlertRule grouped = rule_of("grouped");
    grouped.group = "g";
    grouped.group_ns = 60 * second;
    AlertBench bench({cause, effect, grouped});
    ASSERT_TRUE(bench.machine.silence({"cause", "quiet", base_ns, base_ns + 100 * second}));
    EXPECT_EQ(bench.raise(1, "quiet").raise(1, "loud").said(), "fired@1(silenced) fired@1");
    EXPECT_EQ(bench.clear(100, "quiet").raise(101, "quiet").said(), "resolved@100 fired@101")
        << "silence is over at its end";
    EXPECT_EQ(bench.raise(102, "loud", 1).raise(102, "else", 1).said(), "fired@102(suppressed) fired@102");
    EXPECT_EQ(bench.raise(110, "a", 2).raise(111, "b", 2).raise(112, "c", 2).said(),
              "fired@110 fired@111(grouped) fired@112(grouped)");
    EXPECT_EQ(bench.pass(169).said(), "");
    EXPECT_EQ(bench.pass(170).said(), "folded@170x2");
    EXPECT_EQ(bench.pass(300).raise(301, "d", 2).said(), "fired@301");
    for (std::uint32_t index = 0; index < silences_max; ++index) {
        ASSERT_TRUE(bench.machine.silence({"", "", 0, base_ns + 400 * second}));
    }
    EXPECT_FALSE(bench.machine.silence({"", "", 0, base_ns + 400 * second}));
    bench.pass(400);
    EXPECT_TRUE(bench.machine.silence({"", "", 0, base_ns + 500 * second})) << "those that are over make room";
}

TEST(Alerts, KeysAreBoundedAndWhatMakesRoomIsResolved) {
    AlertRule rule = rule_of("a");
    rule.keys_max = 2;
    AlertBench bench({rule});
    EXPECT_EQ(bench.raise(1, "a").raise(2, "b").raise(3, "c").said(), "fired@1 fired@2 fired@3 resolved@3(evicted)");
    EXPECT_EQ(bench.machine.firing_count(), 2U);
}

TEST(Alerts, EveryFiredIsResolvedOnceAndReloadedStateGoesOnWithTheSameBytes) {
    std::vector<AlertRule> rules{rule_of("a"), rule_of("b"), rule_of("c")};
    rules[0].for_ns = 5 * second;
    rules[0].clear_ns = 3 * second;
    rules[1].stale_ns = 20 * second;
    rules[1].repeat_ns = 7 * second;
    rules[1].suppressed_by = {0};
    rules[2].group = "g";
    rules[2].escalate_ns = 9 * second;
    rules[2].keys_max = 3;
    AlertMachine straight(rules);
    auto reloaded = std::make_unique<AlertMachine>(rules);
    std::vector<Notice> straight_out;
    std::vector<Notice> reloaded_out;
    sim::Random random(3);
    std::uint64_t now = base_ns;
    for (int index = 0; index < 3000; ++index) {
        now += random.below(2 * second);
        const auto rule = static_cast<std::uint32_t>(random.below(3));
        const std::string key = "k" + std::to_string(random.below(5));
        const auto what = static_cast<Observed>(random.below(3));
        const std::uint64_t at = now - random.below(4 * second);
        if (random.chance(10)) {
            ASSERT_TRUE(straight.silence({"b", key, now, now + 30 * second}));
            ASSERT_TRUE(reloaded->silence({"b", key, now, now + 30 * second}));
        }
        straight.observe(rule, key, what, at, straight_out);
        reloaded->observe(rule, key, what, at, reloaded_out);
        straight.advance(now, straight_out);
        reloaded->advance(now, reloaded_out);
        StateWriter one;
        straight.save(one);
        StateWriter two;
        reloaded->save(two);
        ASSERT_EQ(one.bytes(), two.bytes()) << index;
        reloaded = std::make_unique<AlertMachine>(rules);
        StateReader in(two.bytes());
        reloaded->load(in);
        ASSERT_TRUE(in.is_done());
    }
    ASSERT_EQ(straight_out, reloaded_out);
    std::map<std::pair<std::uint32_t, std::string>, int> firing;
    std::map<NoticeKind, int> kinds;
    std::map<Fate, int> fates;
    for (const Notice& one : straight_out) {
        ++kinds[one.kind];
        ++fates[one.fate];
        int& is_firing = firing[{one.rule, one.key}];
        if (one.kind == NoticeKind::fired) ++is_firing;
        if (one.kind == NoticeKind::resolved) --is_firing;
        ASSERT_TRUE(is_firing == 0 || is_firing == 1);
        ASSERT_TRUE(is_firing == 1 || one.kind == NoticeKind::resolved || one.kind == NoticeKind::folded);
    }
    EXPECT_EQ(kinds.size(), 5U) << "some kind of notice never came";
    EXPECT_EQ(fates.size(), 4U) << "some fate never came";
}

}  // namespace weir::analytics::test
