#include <gtest/gtest.h>

#include <map>
#include <set>

#include "central/analytics/pattern_machine.hpp"
#include "tests/simulation/random.hpp"

namespace weir::analytics::test {
namespace {

constexpr std::uint64_t second = ns_per_second;
constexpr std::uint64_t base_ns = 1'700'000'000 * second;
constexpr std::uint64_t the_end = 4'000'000'000 * second;
constexpr std::string_view names = "a: type == \"a\"\nb: type == \"b\"\nc: type == \"c\"\nd: type == \"d\"\n";

// Defines what the pattern uses of a, b, c, d; their conditions are numbered as the pattern first names them.
Pattern pattern_of(const std::string& sequence) {
    std::string text = sequence + "\n";
    for (const char name : std::string("abcd")) {
        for (std::size_t at = 0; at < sequence.size(); ++at) {
            const bool stands_alone = sequence[at] == name && (at + 1 == sequence.size() || sequence[at + 1] == ' ') &&
                                      (at == 0 || sequence[at - 1] == ' ' || sequence[at - 1] == '!');
            if (!stands_alone) continue;
            text += std::string(1, name) + ": type == \"" + name + "\"\n";
            break;
        }
    }
    CompiledPattern made = compile_pattern(text);
    if (!made.pattern) ADD_FAILURE() << rules::describe(made.fault, text);
    return std::move(*made.pattern);
}

rules::Fault fault_in(const std::string& text) {
    const CompiledPattern made = compile_pattern(text);
    EXPECT_FALSE(made.pattern.has_value()) << text;
    return made.fault;
}

std::vector<std::vector<PatternEvent>> random_records(std::uint64_t seed, std::uint64_t late_s) {
    sim::Random random(seed);
    std::vector<std::vector<PatternEvent>> records(120);
    std::uint64_t now = base_ns;
    std::uint64_t ordinal = 0;
    for (auto& record : records) {
        now += random.below(12 * second);
        for (std::uint64_t left = random.below(6); left > 0; --left) {
            PatternEvent event;
            // Whole seconds, so that times meet and deadlines are hit to the nanosecond.
            event.time_ns = (now - random.below(late_s * second)) / second * second;
            event.ordinal = ++ordinal;
            event.key = "key-" + std::to_string(random.below(4));
            event.conditions = static_cast<std::uint32_t>(1U << random.below(4));
            if (random.chance(150)) event.conditions |= static_cast<std::uint32_t>(1U << random.below(4));
            record.push_back(event);
            if (random.chance(50)) {
                event.ordinal = ++ordinal;
                record.push_back(event);
            }
        }
    }
    return records;
}

// The oracle: what one start leads to, for every start by itself, and then which of them use up which.
struct Outcome {
    bool is_match = false;
    bool is_absence = false;
    std::size_t first = 0;
    std::size_t last = 0;      // index of its last event
    std::uint64_t at_ns = 0;   // when it is certain
    std::size_t at_index = 0;  // the event that made it so; of an absence, the first event after its time
};

Outcome outcome_of(const Pattern& pattern, const std::vector<PatternEvent>& events, std::size_t start) {
    Outcome outcome;
    outcome.first = outcome.last = start;
    const std::uint64_t deadline = events[start].time_ns + pattern.within_ns;
    std::size_t step = 0;
    std::vector<std::uint32_t> left;
    const auto enter = [&] {
        left.clear();
        if (step < pattern.steps.size()) {
            for (const PatternElement& element : pattern.steps[step].elements) left.push_back(element.count);
        }
    };
    enter();
    std::size_t at = start;
    for (; at < events.size() && events[at].time_ns <= deadline; ++at) {
        if ((events[at].conditions & pattern.steps[step].guards) != 0) return outcome;
        bool used = false;
        for (std::size_t one = 0; one < left.size() && !used; ++one) {
            if (left[one] == 0 || (events[at].conditions >> pattern.steps[step].elements[one].condition & 1U) == 0)
                continue;
            --left[one];
            used = true;
        }
        if (at == start && !used) return outcome;
        if (!used) continue;
        outcome.last = at;
        if (std::any_of(left.begin(), left.end(), [](std::uint32_t one) { return one > 0; })) continue;
        ++step;
        enter();
        if (step < pattern.steps.size()) continue;
        outcome.is_match = true;
        outcome.at_ns = events[at].time_ns;
        outcome.at_index = at;
        return outcome;
    }
    if (step < pattern.steps.size() && pattern.steps[step].elements.empty()) {
        outcome.is_match = outcome.is_absence = true;
        outcome.at_ns = deadline;
        outcome.at_index = at;
    }
    return outcome;
}

std::vector<PatternMatch> matches_by_hand(const Pattern& pattern, std::vector<PatternEvent> events) {
    std::sort(events.begin(), events.end(), [](const PatternEvent& a, const PatternEvent& b) {
        return std::tie(a.time_ns, a.ordinal) < std::tie(b.time_ns, b.ordinal);
    });
    std::vector<Outcome> outcomes;
    for (std::size_t start = 0; start < events.size(); ++start) {
        if (const Outcome one = outcome_of(pattern, events, start); one.is_match) outcomes.push_back(one);
    }
    // An absence is certain before the event after its time is looked at.
    std::sort(outcomes.begin(), outcomes.end(), [](const Outcome& a, const Outcome& b) {
        return std::tuple(a.at_index, !a.is_absence, a.at_ns, a.first) <
               std::tuple(b.at_index, !b.is_absence, b.at_ns, b.first);
    });
    std::vector<PatternMatch> matches;
    std::set<std::size_t> gone;
    for (const Outcome& one : outcomes) {
        if (gone.contains(one.first)) continue;
        matches.push_back({events[one.first].key, events[one.first].time_ns, one.at_ns, events[one.first].ordinal,
                           events[one.last].ordinal, false});
        for (std::size_t start = 0; start <= one.last; ++start) gone.insert(start);
    }
    return matches;
}

std::map<std::string, std::vector<PatternMatch>> by_key(const std::vector<PatternMatch>& matches) {
    std::map<std::string, std::vector<PatternMatch>> sorted;
    for (const PatternMatch& one : matches) sorted[one.key].push_back(one);
    return sorted;
}

std::string saved(const PatternMachine& machine) {
    StateWriter out;
    machine.save(out);
    return out.take();
}

// Two machines over the same records, one of them saved and loaded after each.
PatternCounts counts_over_reloads(const Pattern& pattern, const PatternLimits& limits, std::uint64_t seed) {
    PatternMachine straight(pattern.steps, pattern.within_ns, limits);
    auto reloaded = std::make_unique<PatternMachine>(pattern.steps, pattern.within_ns, limits);
    std::vector<PatternMatch> straight_out;
    std::vector<PatternMatch> reloaded_out;
    std::uint64_t latest = base_ns;
    const auto check = [&] {
        const std::string bytes = saved(*reloaded);
        ASSERT_EQ(saved(straight), bytes);
        reloaded = std::make_unique<PatternMachine>(pattern.steps, pattern.within_ns, limits);
        StateReader in(bytes);
        reloaded->load(in);
        ASSERT_TRUE(in.is_done());
        ASSERT_EQ(saved(*reloaded), bytes);
    };
    for (const auto& record : random_records(seed, 60)) {
        for (const PatternEvent& event : record) {
            latest = std::max(latest, event.time_ns);
            straight.take(event, straight_out);
            reloaded->take(event, reloaded_out);
        }
        straight.advance(latest - 20 * second, straight_out);
        reloaded->advance(latest - 20 * second, reloaded_out);
        check();
        if (testing::Test::HasFatalFailure()) break;
    }
    straight.advance(the_end, straight_out);
    reloaded->advance(the_end, reloaded_out);
    EXPECT_EQ(straight_out, reloaded_out);
    return straight.counts();
}

}  // namespace

TEST(Patterns, EqualTheOracleUnderDisorderAndDuplicates) {
    std::map<std::string, std::size_t> found;
    for (const std::string text :
         {"a -> b within 30s", "a -> !b within 20s", "a -> !b -> c within 40s", "5 x a within 2m",
          "a and b and c within 30s", "a -> 2 x b and c -> !d within 60s", "a -> a within 10s",
          "a -> !b -> !c -> d within 60s", "a within 1s", "a -> b -> c -> d within 3m"}) {
        const Pattern pattern = pattern_of(text);
        for (std::uint64_t seed = 1; seed <= 15; ++seed) {
            constexpr std::uint64_t late_s = 20;
            const auto records = random_records(seed, late_s);
            PatternMachine machine(pattern.steps, pattern.within_ns);
            std::vector<PatternMatch> out;
            std::map<std::string, std::vector<PatternEvent>> events;
            std::uint64_t latest = 0;
            for (const auto& record : records) {
                for (const PatternEvent& event : record) {
                    events[event.key].push_back(event);
                    latest = std::max(latest, event.time_ns);
                    machine.take(event, out);
                }
                if (latest > late_s * second) machine.advance(latest - late_s * second, out);
            }
            machine.advance(the_end, out);
            ASSERT_EQ(machine.counts().late, 0U);
            ASSERT_EQ(machine.key_count(), 0U) << "runs are left when all time is over";
            auto said = by_key(out);
            for (const auto& [key, of_key] : events) {
                ASSERT_EQ(said[key], matches_by_hand(pattern, of_key)) << text << " seed " << seed << " " << key;
            }
            found[text] += out.size();
        }
    }
    for (const auto& [text, matches] : found) EXPECT_GT(matches, 20U) << text;
}

TEST(Patterns, StateSavedAndLoadedAnywhereGoesOnWithTheSameBytes) {
    for (const std::string text : {"a -> !b -> c within 40s", "5 x a within 2m", "a -> 2 x b and c -> !d within 60s",
                                   "a -> b -> !c within 30s"}) {
        const Pattern pattern = pattern_of(text);
        PatternCounts all;
        for (const PatternLimits& limits :
             {PatternLimits{.keys_max = 3, .runs_per_key_max = 6, .waiting_max = 12}, PatternLimits{}}) {
            for (std::uint64_t seed = 1; seed <= 4; ++seed) {
                const PatternCounts counts = counts_over_reloads(pattern, limits, seed);
                if (HasFatalFailure()) return;
                all.late += counts.late;
                all.hurried += counts.hurried;
                all.given_up += counts.given_up;
            }
        }
        EXPECT_GT(all.late, 0U);
        EXPECT_GT(all.hurried, 0U);
        EXPECT_GT(all.given_up, 0U);
    }
}

TEST(Patterns, WhatABoundEndsIsAnswered) {
    const Pattern pattern = pattern_of("a -> !b within 1h");
    PatternMachine machine(pattern.steps, pattern.within_ns,
                           {.keys_max = 2, .runs_per_key_max = 3, .waiting_max = 100});
    std::vector<PatternMatch> out;
    for (std::uint64_t index = 0; index < 4; ++index) machine.take({base_ns + index, index + 1, "many", 1}, out);
    machine.take({base_ns + 10, 10, "second", 1}, out);
    machine.take({base_ns + 20, 20, "third", 1}, out);
    machine.advance(base_ns + second, out);
    ASSERT_EQ(out.size(), 4U) << "one run beyond three, then the three of the key that made room";
    for (const PatternMatch& one : out) {
        EXPECT_TRUE(one.is_given_up);
        EXPECT_EQ(one.key, "many");
    }
    EXPECT_EQ(machine.counts().given_up, 4U);
    machine.advance(the_end, out);
    EXPECT_EQ(out.size(), 6U);
}

TEST(Patterns, AnAbsenceEndsAtTheNanosecondOfItsTime) {
    const Pattern pattern = pattern_of("a -> !b within 10s");
    for (const std::uint64_t after : {0U, 1U}) {
        PatternMachine machine(pattern.steps, pattern.within_ns);
        std::vector<PatternMatch> out;
        machine.take({base_ns, 1, "k", 1}, out);
        machine.take({base_ns + 10 * second + after, 2, "k", 2}, out);
        machine.advance(base_ns + 10 * second, out);
        EXPECT_TRUE(out.empty()) << "an event of that very time may still come";
        machine.advance(base_ns + 20 * second, out);
        EXPECT_EQ(out.size(), after);
    }
}

TEST(PatternLanguage, SaysWhereAMistakeIs) {
    const auto expect = [](const std::string& text, std::uint32_t line, std::uint32_t column, std::string_view what) {
        const rules::Fault fault = fault_in(text);
        EXPECT_EQ(fault.line, line) << text;
        EXPECT_EQ(fault.column, column) << text;
        EXPECT_NE(fault.what.find(what), std::string::npos) << fault.what;
    };
    const std::string defined = "\n" + std::string(names);
    expect("", 1, 1, "name of a condition");
    expect("a -> b" + defined, 2, 1, "within");
    expect("a > b within 1m" + defined, 1, 3, "within");
    expect("a - b within 1m" + defined, 1, 5, "->");
    expect("!a within 1m" + defined, 1, 1, "absence follows");
    expect("a ->\n  x within 1m" + defined, 2, 3, "\"x: ...\"");
    expect("0 x a within 1m" + defined, 1, 1, "1 to 256");
    expect("5 a within 1m" + defined, 1, 3, "x is expected");
    expect("a -> b within soon" + defined, 1, 15, "a duration");
    expect("a -> b within 32d" + defined, 1, 15, "31 days");
    expect("a -> b within 1m by" + defined, 1, 20, "");
    expect("a -> b within 1m, c" + defined, 1, 17, "by, or the end");
    expect("a within 1m\na: type ==\n   5\n", 2, 9, "never equal");
    expect("a within 1m by nothing\na: priority > 2\n", 1, 16, "");
    expect("a within 1m\na: priority > 2\nb: true\n", 3, 1, "no step of this name");
    expect("a within 1m\na: priority > 2\na: true\n", 3, 1, "defined twice");
    expect("a and a and a and a and a within 1m\na: priority > 2\n", 1, 25, "more than 4");
    expect("a -> ?b within 1m" + defined, 1, 6, "begins with this character");
}

TEST(PatternLanguage, ReadsWhatIsWritten) {
    const CompiledPattern made = compile_pattern(
        "submitted -> !validated within 10m by\n  key\n"
        "submitted: type == \"s\" &&\n   data.fine > 100\nvalidated: type == \"v\"\n");
    ASSERT_TRUE(made.pattern) << made.fault.line << ":" << made.fault.column << " " << made.fault.what;
    EXPECT_EQ(made.pattern->within_ns, 600 * second);
    ASSERT_EQ(made.pattern->steps.size(), 2U);
    EXPECT_EQ(made.pattern->steps[1].guards, 2U);
    EXPECT_TRUE(made.pattern->steps[1].elements.empty());
    EXPECT_EQ(made.pattern->conditions.size(), 2U);
    EXPECT_TRUE(made.pattern->key);
}

}  // namespace weir::analytics::test
