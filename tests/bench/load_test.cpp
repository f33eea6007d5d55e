// The instruments themselves: schedules, draws, percentiles, files and the verdict on what limited a run.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <vector>

#include "bench/chart.hpp"
#include "bench/event_mix.hpp"
#include "bench/evidence.hpp"
#include "bench/key_draw.hpp"
#include "bench/latency_log.hpp"
#include "bench/schedule.hpp"
#include "core/wire/event.hpp"

namespace weir::bench {
namespace {

constexpr std::uint64_t second = ns_per_second;

Schedule schedule(std::string_view text, std::uint64_t warmup_ns = 0, std::uint64_t steady_ns = 0) {
    auto made = Schedule::parse(text, warmup_ns, steady_ns);
    EXPECT_TRUE(made) << text;
    return made.value();
}

TEST(Schedule, AConstantRateNeverDrifts) {
    const Schedule made = schedule("3000");
    EXPECT_EQ(made.due_ns(0), 0U);
    EXPECT_EQ(made.due_ns(1), 333'333U);
    EXPECT_EQ(made.due_ns(3000ULL * 86'400), 86'400 * second);
    EXPECT_DOUBLE_EQ(made.mean_rate(), 3000);
}

TEST(Schedule, ARampSendsTheMeanOfItsEndsAndAfterwardsGoesOnAtTheLast) {
    const Schedule made = schedule("1000..3000", 0, 10 * second);
    EXPECT_EQ(made.due_ns(20'000), 10 * second);  // 10 s at 2,000 on average
    // After half of the time a quarter more than at 1,000 only: 1000 t + 100 t^2.
    EXPECT_NEAR(static_cast<double>(made.due_ns(7'500)), 5e9, 1e6);
    EXPECT_EQ(made.due_ns(23'000), 11 * second);
    for (std::uint64_t i = 1; i < 25'000; ++i) ASSERT_GE(made.due_ns(i), made.due_ns(i - 1)) << i;
}

TEST(Schedule, ARampMayFall) {
    const Schedule made = schedule("3000..1000", 0, 10 * second);
    EXPECT_EQ(made.due_ns(20'000), 10 * second);
    EXPECT_NEAR(static_cast<double>(made.due_ns(12'500)), 5e9, 1e6);
}

TEST(Schedule, StepsAreOfEqualLengthAfterAWarmUpAtTheFirst) {
    const Schedule made = schedule("100,1000", second, 4 * second);
    EXPECT_EQ(made.due_ns(100), second);
    EXPECT_EQ(made.due_ns(300), 3 * second);
    EXPECT_EQ(made.due_ns(2'300), 5 * second);
}

TEST(Schedule, ABurstIsDueAtOnce) {
    const Schedule made = schedule("500@1000ms");
    EXPECT_EQ(made.due_ns(499), 0U);
    EXPECT_EQ(made.due_ns(500), second);
    EXPECT_DOUBLE_EQ(made.mean_rate(), 500);
}

TEST(Schedule, WhatIsNoRateIsRefused) {
    for (const char* text :
         {"", "0", "-1", "fast", "1..", "..2", "1..2..3", "1,", "5@", "5@0ms", "5@10", "1e99", "10 "})
        EXPECT_FALSE(Schedule::parse(text, 0, second)) << text;
    EXPECT_FALSE(Schedule::parse("1..2", 0, 0));  // of how long a part?
}

TEST(KeyDraw, ZipfGivesEachKeyItsShare) {
    constexpr std::uint64_t keys = 1000;
    auto draw = KeyDraw::make(keys, "zipf:1.2", 7);
    ASSERT_TRUE(draw);
    double whole = 0;
    for (std::uint64_t k = 1; k <= keys; ++k) whole += std::pow(static_cast<double>(k), -1.2);
    std::vector<double> counts(keys);
    for (std::size_t i = 0; i < KeyDraw::drawn_count; ++i) counts.at(draw.value().next()) += 1;
    for (const std::uint64_t k : {1U, 2U, 10U, 100U, 1000U}) {
        const double expected =
            std::pow(static_cast<double>(k), -1.2) / whole * static_cast<double>(KeyDraw::drawn_count);
        EXPECT_NEAR(counts[k - 1], expected, 6 * std::sqrt(expected)) << k;
    }
}

TEST(KeyDraw, UniformReachesEveryKeyAndNoOther) {
    auto draw = KeyDraw::make(100, "uniform", 7);
    ASSERT_TRUE(draw);
    std::map<std::uint64_t, int> counts;
    for (int i = 0; i < 100'000; ++i) ++counts[draw.value().next()];
    EXPECT_EQ(counts.size(), 100U);
    EXPECT_LT(counts.rbegin()->first, 100U);
    for (const auto& [key, count] : counts) EXPECT_NEAR(count, 1000, 200) << key;
}

TEST(KeyDraw, WhatIsNoDistributionIsRefused) {
    for (const char* text : {"", "zipf:", "zipf:0", "zipf:-1", "zipf:6", "zipf:x", "normal"})
        EXPECT_FALSE(KeyDraw::make(10, text, 1)) << text;
}

TEST(EventMix, EventsAreOfTheSizesAndKeysThatWereAskedFor) {
    auto mix = EventMix::make({.payload_bytes = "50,1000", .source = "here", .keys = 5});
    ASSERT_TRUE(mix);
    std::map<std::size_t, int> sizes;
    std::map<std::string, int> keys;
    for (std::uint64_t i = 0; i < 240; ++i) {
        wire::EventView view;
        ASSERT_EQ(wire::verify_event(mix.value().event(i, WallNs{9}), view), wire::Reason::none);
        ++sizes[view.payload.size()];
        ++keys[std::string(view.key)];
    }
    EXPECT_EQ(sizes, (std::map<std::size_t, int>{{50, 120}, {1000, 120}}));
    EXPECT_EQ(keys.size(), 5U);
    EXPECT_EQ(keys.begin()->first, "key-0000000000");
    EXPECT_EQ(payload_sizes("64..65536").value().size(), 8U);
    EXPECT_EQ(payload_sizes("64..65536").value().back(), 65'536U);
    for (const char* text : {"", "9", "64,", "100..64", "x"}) EXPECT_FALSE(payload_sizes(text)) << text;
}

TEST(LogLinear, APercentileIsTheSortedValueToWithinOnePart) {
    LatencyLog log;
    std::mt19937_64 random(3);
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 20'000; ++i) {
        values.push_back(random() >> (24 + random() % 36));
        log.record(values.back(), 0);
    }
    std::sort(values.begin(), values.end());
    for (const double share : {0.0, 0.5, 0.9, 0.99, 0.9999, 1.0}) {
        const auto rank = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(share * 20'000)));
        const std::uint64_t exact = std::min<std::uint64_t>(values[rank - 1], (1ULL << 40) - 1);
        const std::uint64_t got = log.all().percentile(share);
        EXPECT_GE(got, exact) << share;
        EXPECT_LE(static_cast<double>(got), static_cast<double>(exact) * (1 + 1.0 / 128) + 1) << share;
    }
    EXPECT_EQ(log.all().greatest(), values.back());
    EXPECT_EQ(log.all().least(), values.front());
}

TEST(LogLinear, TheRankIsCeilOfTheShare) {
    LogLinear<7> log;
    EXPECT_EQ(log.percentile(0.5), 0U);
    for (std::uint64_t i = 1; i <= 10; ++i) log.record(i);
    EXPECT_EQ(log.percentile(0), 1U);
    EXPECT_EQ(log.percentile(0.5), 5U);
    EXPECT_EQ(log.percentile(0.51), 6U);
    EXPECT_EQ(log.percentile(1), 10U);
    EXPECT_EQ(log.place(0.5).count, 5U);
}

TEST(LogLinear, MergedLogsAreTheLogOfBoth) {
    LatencyLog one, two, both;
    for (std::uint64_t i = 1; i < 5'000; ++i) {
        (i % 3 == 0 ? one : two).record(i * i, i * 1'000'000);
        both.record(i * i, i * 1'000'000);
    }
    one.merge(two);
    EXPECT_EQ(hgrm_text(one.all()), hgrm_text(both.all()));
    ASSERT_EQ(one.slices().size(), both.slices().size());
    for (std::size_t i = 0; i < both.slices().size(); ++i)
        EXPECT_EQ(one.slices()[i].percentile(0.5), both.slices()[i].percentile(0.5)) << i;
}

TEST(Hgrm, EndsWithTheMaximumAndEveryEvent) {
    LatencyLog log;
    for (std::uint64_t i = 1; i <= 1'000; ++i) log.record(i * 1'000, 0);
    const std::string text = hgrm_text(log.all());
    EXPECT_TRUE(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n")) << text;
    EXPECT_NE(text.find("    1000.000 1.000000000000       1000\n"), std::string::npos) << text;
    EXPECT_NE(text.find(" 0.500000000000 "), std::string::npos) << text;
    EXPECT_NE(text.find("Total count    =         1000]\n"), std::string::npos) << text;
}

Evidence evidence(double self, double edge, double central, double disk, double machine) {
    Evidence made;
    made.self.share = self;
    made.runners = {{"edge intake", edge}, {"central ingest", central}};
    made.disks = {{"disk vda", disk}};
    made.machine_share = machine;
    return made;
}

TEST(Verdict, NamesWhoHadNothingLeft) {
    EXPECT_TRUE(verdict(evidence(0.95, 0.5, 0.2, 0.3, 0.7)).starts_with("weir-bench itself"));
    EXPECT_TRUE(verdict(evidence(0.4, 0.97, 0.2, 0.3, 0.7)).starts_with("edge intake"));
    EXPECT_TRUE(verdict(evidence(0.4, 0.5, 0.99, 0.3, 0.7)).starts_with("central ingest"));
    EXPECT_TRUE(verdict(evidence(0.4, 0.5, 0.5, 0.95, 0.7)).starts_with("the disk"));
    EXPECT_TRUE(verdict(evidence(0.4, 0.97, 0.99, 0.95, 0.99)).starts_with("the machine"));
    EXPECT_TRUE(verdict(evidence(0.1, 0.1, 0.1, 0.1, 0.2)).starts_with("not clear"));
    Evidence waiting = evidence(0.1, 0.1, 0.1, 0.1, 0.2);
    waiting.waited_share = 0.9;
    EXPECT_TRUE(verdict(waiting).starts_with("waiting"));
    Evidence held = evidence(0.95, 0.9, 0.9, 0.9, 0.99);
    held.wanted_rate = 1000;
    held.got_rate = 995;
    EXPECT_TRUE(verdict(held).starts_with("nothing"));
    held.got_rate = 900;
    EXPECT_TRUE(verdict(held).starts_with("the machine"));
    Evidence alone;
    EXPECT_TRUE(verdict(alone).starts_with("not known"));
}

TEST(Evidence, SharesComeFromTheDifferenceOfTwoReadings) {
    MachineReading before, after;
    before.at = MonotonicNs{10 * second};
    after.at = MonotonicNs{14 * second};
    before.runners = {{"edge intake", 1.0}};
    after.runners = {{"edge intake", 4.0}, {"edge new", 1.0}};
    before.disks = {{"vda", 0.5}};
    after.disks = {{"vda", 1.5}};
    before.cpu_total_s = 20, after.cpu_total_s = 28;
    before.cpu_idle_s = 6, after.cpu_idle_s = 8;
    const Evidence made = compare(before, after);
    ASSERT_EQ(made.runners.size(), 1U);
    EXPECT_DOUBLE_EQ(made.runners[0].share, 0.75);
    ASSERT_EQ(made.disks.size(), 1U);
    EXPECT_DOUBLE_EQ(made.disks[0].share, 0.25);
    EXPECT_DOUBLE_EQ(made.machine_share, 0.75);
}

TEST(Chart, DrawsEveryPointThatCanBeShownAndNoOther) {
    Chart chart{"a < b", {"x", AxisKind::number, true}, {"y", AxisKind::microseconds, true}, {}};
    chart.series.push_back({"one", {{1, 10}, {10, 100}, {100, 0}, {1000, std::nan("")}, {1e4, 1e6}}, true});
    const std::string svg = svg_of("title", {"line"}, {chart});
    std::size_t dots = 0;
    for (auto at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1)) ++dots;
    EXPECT_EQ(dots, 3U);
    EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
    EXPECT_NE(svg.find(">1 s<"), std::string::npos);
    EXPECT_NE(svg.find(">10 us<"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    // A linear axis has nothing against 0, but against what is no number.
    const Chart linear{"", {"x"}, {"y"}, {{"one", {{0, 0}, {1, std::nan("")}, {2, 5}}, true}}};
    EXPECT_EQ(svg_of("", {}, {linear}).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace weir::bench
