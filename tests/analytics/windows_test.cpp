#include <cmath>

#include "tests/analytics/window_bench.hpp"

namespace weir::analytics::test {
namespace {

WindowSpec tumbling(std::uint64_t seconds) {
    WindowSpec spec;
    spec.length_ns = spec.step_ns = seconds * second;
    spec.aggregate = everything();
    return spec;
}
WindowSpec sliding(std::uint64_t length_s, std::uint64_t step_s) {
    WindowSpec spec = tumbling(step_s);
    spec.length_ns = length_s * second;
    return spec;
}
// Each key late by its part of so much.
WindowSpec spread(WindowSpec spec, std::uint64_t seconds) {
    spec.spread_ns = seconds * second;
    return spec;
}
WindowSpec session(std::uint64_t gap_s) {
    WindowSpec spec = tumbling(1);
    spec.length_ns = 0;
    spec.gap_ns = gap_s * second;
    return spec;
}

// The oracle: each window by itself, from all events at once.
Contents windows_by_hand(const WindowSpec& spec, const std::vector<Record>& records) {
    Contents contents;
    for (const Record& record : records) {
        for (const StreamEvent& event : record.events) {
            std::uint64_t end = event.time_ns - event.time_ns % spec.step_ns + spec.step_ns;
            for (; end - spec.length_ns <= event.time_ns; end += spec.step_ns)
                contents[{event.key, end}].push_back(event);
        }
    }
    return contents;
}

Contents sessions_by_hand(const WindowSpec& spec, const std::vector<Record>& records) {
    std::map<std::string, std::vector<StreamEvent>> by_key;
    for (const Record& record : records) {
        for (const StreamEvent& event : record.events) by_key[event.key].push_back(event);
    }
    Contents contents;
    for (auto& [key, events] : by_key) {
        std::stable_sort(events.begin(), events.end(),
                         [](const StreamEvent& a, const StreamEvent& b) { return a.time_ns < b.time_ns; });
        std::vector<StreamEvent> open;
        for (const StreamEvent& event : events) {
            if (!open.empty() && event.time_ns - open.back().time_ns >= spec.gap_ns) {
                contents[{key, open.back().time_ns + spec.gap_ns}] = open;
                open.clear();
            }
            open.push_back(event);
        }
        if (!open.empty()) contents[{key, open.back().time_ns + spec.gap_ns}] = open;
    }
    return contents;
}

void expect_values(const Values& said, const std::vector<StreamEvent>& events) {
    std::vector<std::int64_t> sorted;
    std::map<std::string, std::uint64_t> texts;
    for (const StreamEvent& event : events) {
        if (event.is_measured) sorted.push_back(event.measure);
        ++texts[event.text];
    }
    std::sort(sorted.begin(), sorted.end());
    ASSERT_EQ(said.count, events.size());
    ASSERT_EQ(said.measured, sorted.size());
    ASSERT_EQ(said.sum, totals_of(events).sum);
    // Of 40 texts, two pairs may share a register; the error of many texts has a test of its own.
    ASSERT_NEAR(said.distinct, static_cast<double>(texts.size()), 2.5);
    for (const TopEntry& entry : said.top) {
        ASSERT_EQ(entry.count, texts[entry.text]);
        ASSERT_EQ(entry.over, 0U);
    }
    ASSERT_EQ(said.top.size(), std::min<std::size_t>(5, texts.size()));
    if (sorted.empty()) return;
    ASSERT_EQ(said.min, sorted.front());
    ASSERT_EQ(said.max, sorted.back());
    const double count = static_cast<double>(sorted.size());
    const double mean = static_cast<double>(said.sum) / count;
    ASSERT_DOUBLE_EQ(said.mean, mean);
    double squares = 0;
    for (const std::int64_t one : sorted)
        squares += (static_cast<double>(one) - mean) * (static_cast<double>(one) - mean);
    const double deviation = count < 2 ? 0 : std::sqrt(squares / (count - 1));
    ASSERT_NEAR(said.deviation, deviation, 1e-9 * deviation);
    const std::vector<std::uint32_t> asked = everything().percentiles;
    for (std::size_t at = 0; at < asked.size(); ++at) {
        const double exact = static_cast<double>(sorted[(sorted.size() - 1) * asked[at] / percentile_whole]);
        ASSERT_LE(std::abs(said.percentiles[at] - exact), sketch_error * std::abs(exact) * (1 + 1e-12)) << asked[at];
    }
}

template <class Windows>
void expect_same_after_reload(const WindowSpec& spec, const StreamPlan& plan) {
    const std::vector<Record> records = stream(plan);
    Windows straight(spec);
    std::vector<WindowResult> straight_out;
    std::uint64_t ordinal = 0;
    auto reloaded = std::make_unique<Windows>(spec);
    std::vector<WindowResult> reloaded_out;
    std::uint64_t reloaded_ordinal = 0;
    for (std::size_t at = 0; at < records.size(); ++at) {
        feed(straight, records[at], ordinal, straight_out);
        feed(*reloaded, records[at], reloaded_ordinal, reloaded_out);
        StateWriter one;
        straight.save(one);
        StateWriter two;
        reloaded->save(two);
        ASSERT_EQ(one.bytes(), two.bytes()) << "after record " << at;
        if (at % 7 != 0) continue;
        reloaded = std::make_unique<Windows>(spec);
        StateReader in(two.bytes());
        reloaded->load(in);
        ASSERT_TRUE(in.is_done());
        StateWriter three;
        reloaded->save(three);
        ASSERT_EQ(two.bytes(), three.bytes());
    }
    EXPECT_EQ(text_of(straight_out, spec.aggregate), text_of(reloaded_out, spec.aggregate));
    EXPECT_GT(straight.counts().late, 0U);
}

std::size_t most_at_once(const WindowSpec& spec) {
    PaneWindows windows(spec);
    std::vector<WindowResult> out;
    for (std::uint64_t key = 0; key < 1000; ++key) {
        windows.take({base_ns, key + 1, "key-" + std::to_string(key), {}}, out);
    }
    std::size_t most = 0;
    for (std::uint64_t watermark = base_ns; windows.counts().results < 1000; watermark += second / 20) {
        out.clear();
        windows.advance(watermark, out);
        most = std::max(most, out.size());
        if (watermark > base_ns + 200 * second) break;
    }
    EXPECT_EQ(windows.counts().results, 1000U);
    return most;
}

Totals whole_of(const std::vector<WindowResult>& results) {
    Totals totals;
    for (const WindowResult& one : results) {
        totals.count += one.change_count;
        totals.sum += one.change_sum;
    }
    return totals;
}

}  // namespace

TEST(Windows, AnswersOfManyKeysComeOneAfterTheOtherWhereTheyAreSpread) {
    EXPECT_EQ(most_at_once(tumbling(60)), 1000U);
    EXPECT_LT(most_at_once(spread(tumbling(60), 1)), 100U);  // twenty looks in that second
}

TEST(Windows, TumblingAndSlidingEqualTheOracleUnderDisorderDuplicatesAndLateEvents) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const auto records = stream({.seed = seed});
        for (const WindowSpec& spec : {tumbling(60), tumbling(7), sliding(60, 10), sliding(300, 60),
                                       spread(tumbling(7), 30), spread(sliding(60, 10), 25)}) {
            const auto results = run<PaneWindows>(spec, records);
            const Contents wanted = windows_by_hand(spec, records);
            std::map<WindowName, WindowResult> newest;
            std::map<WindowName, Totals> summed;
            for (const WindowResult& one : results) {
                const WindowName name{one.key, one.end_ns};
                ASSERT_EQ(one.version, newest[name].version + 1);
                ASSERT_TRUE(newest[name].version == 0 || newest[name].born == one.born) << "two rows of one window";
                newest[name] = one;
                summed[name].count += one.change_count;
                summed[name].sum += one.change_sum;
            }
            ASSERT_EQ(newest.size(), wanted.size());
            for (const auto& [name, events] : wanted) {
                ASSERT_TRUE(newest.contains(name));
                ASSERT_EQ(summed[name], totals_of(events));
                expect_values(newest[name].values, events);
                if (HasFatalFailure()) return;
            }
        }
    }
}

TEST(Windows, SessionsEqualTheOracleUnderDisorderDuplicatesAndLateEvents) {
    std::uint64_t merged = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const auto records = stream({.seed = seed, .keys = 5, .has_whole_seconds = seed % 2 == 0});
        for (const WindowSpec& spec : {session(10), session(45)}) {
            const auto results = run<SessionWindows>(spec, records);
            std::map<std::pair<std::string, std::uint64_t>, WindowResult> rows;  // by key and born
            for (const WindowResult& one : results) {
                WindowResult& row = rows[{one.key, one.born}];
                ASSERT_EQ(one.version, row.version + 1);
                ASSERT_EQ(row.marks & mark_merged, 0) << "a row that was merged speaks again";
                row = one;
            }
            const Contents wanted = sessions_by_hand(spec, records);
            std::size_t whole = 0;
            for (const auto& [name, row] : rows) {
                merged += (row.marks & mark_merged) != 0 ? 1 : 0;
                if (row.values.count == 0) continue;
                ++whole;
                const auto found = wanted.find({row.key, row.end_ns});
                ASSERT_NE(found, wanted.end());
                ASSERT_EQ(row.start_ns, found->second.front().time_ns);
                expect_values(row.values, found->second);
                if (HasFatalFailure()) return;
            }
            ASSERT_EQ(whole, wanted.size());
        }
    }
    EXPECT_GT(merged, 0U) << "no stream joined sessions that had been answered";
}

TEST(Windows, CorrectionsSumToTheBatchExactlyWhenStateIsShortAndKeysAreEvicted) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const auto records = stream({.seed = seed, .keys = 30});
        for (WindowSpec spec : {tumbling(60), sliding(60, 20)}) {
            spec.lateness_ns = 30 * second;
            spec.keys_max = 12;
            const auto results = run<PaneWindows>(spec, records);
            std::map<WindowName, Totals> summed;
            std::uint8_t marks = 0;
            std::map<std::tuple<std::string, std::uint64_t, std::uint64_t>, std::uint64_t> versions;
            for (const WindowResult& one : results) {
                ASSERT_EQ(one.version, ++versions[std::tuple(one.key, one.end_ns, one.born)]);
                summed[{one.key, one.end_ns}].count += one.change_count;
                summed[{one.key, one.end_ns}].sum += one.change_sum;
                marks |= one.marks;
            }
            std::map<WindowName, Totals> wanted;
            for (const auto& [name, events] : windows_by_hand(spec, records)) wanted[name] = totals_of(events);
            ASSERT_EQ(summed, wanted);
            ASSERT_EQ(marks, mark_late | mark_evicted | mark_detached);
        }
        WindowSpec spec = session(10);
        spec.lateness_ns = 30 * second;
        spec.keys_max = 12;
        std::vector<StreamEvent> all;
        for (const Record& record : records) all.insert(all.end(), record.events.begin(), record.events.end());
        ASSERT_EQ(whole_of(run<SessionWindows>(spec, records)), totals_of(all));
    }
}

TEST(Windows, PanesAreBoundedAndNothingVanishes) {
    WindowSpec spec = tumbling(1);
    spec.panes_max = 50;
    const auto records = stream({.seed = 3, .keys = 20});
    PaneWindows windows(spec);
    std::vector<WindowResult> out;
    std::uint64_t ordinal = 0;
    for (const Record& record : records) {
        feed(windows, record, ordinal, out);
        ASSERT_TRUE(windows.pane_count() <= 50 || windows.key_count() == 1);
    }
    windows.advance(the_end, out);
    EXPECT_GT(windows.counts().evicted, 0U);
    EXPECT_EQ(whole_of(out).count, static_cast<std::int64_t>(ordinal));
}

TEST(Windows, StateSavedAndLoadedAnywhereGoesOnWithTheSameBytes) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        for (const std::uint32_t keys_max : {100U, 5U}) {
            WindowSpec panes = sliding(60, 20);
            WindowSpec runs = session(10);
            for (WindowSpec* spec : {&panes, &runs}) {
                spec->keys_max = keys_max;
                spec->lateness_ns = 120 * second;
            }
            expect_same_after_reload<PaneWindows>(panes, {.seed = seed});
            expect_same_after_reload<SessionWindows>(runs, {.seed = seed});
        }
    }
}

TEST(Windows, DamagedStateIsRefusedAndNeverReadsTooFar) {
    PaneWindows panes(sliding(60, 20));
    SessionWindows sessions(session(10));
    std::vector<WindowResult> out;
    std::uint64_t ordinal = 0;
    for (const Record& record : stream({.seed = 5, .records = 4, .keys = 2})) {
        feed(panes, record, ordinal, out);
        feed(sessions, record, ordinal, out);
    }
    StateWriter saved;
    panes.save(saved);
    const std::size_t panes_bytes = saved.bytes().size();
    sessions.save(saved);
    for (std::size_t cut = 0; cut < saved.bytes().size(); cut += 3) {
        StateReader in(std::string_view(saved.bytes()).substr(0, cut));
        PaneWindows one(sliding(60, 20));
        one.load(in);
        SessionWindows two(session(10));
        two.load(in);
        ASSERT_FALSE(in.is_ok()) << cut << " of " << panes_bytes;
        ASSERT_EQ(two.key_count(), 0U);
    }
}

TEST(Windows, AnImpossibleSpecIsNamed) {
    EXPECT_EQ(fault_of(tumbling(60)), "");
    EXPECT_EQ(fault_of(session(60)), "");
    EXPECT_EQ(fault_of(sliding(60, 7)), "the length is no multiple of the step");
    EXPECT_EQ(fault_of(sliding(1441, 1)), "more than 1440 steps in a window");
    EXPECT_EQ(fault_of(session(0)), "a session needs a gap");
}

}  // namespace weir::analytics::test
