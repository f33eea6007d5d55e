#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "central/analytics/anomaly_ensemble.hpp"
#include "tests/simulation/random.hpp"

namespace weir::analytics::test {
namespace {

constexpr std::uint64_t minute = 60 * ns_per_second;
constexpr std::uint64_t hour = 60 * minute;
constexpr std::uint64_t base_ns = 1'700'000'000 * ns_per_second;

double noise(sim::Random& random) {
    double sum = 0;
    for (int index = 0; index < 12; ++index) sum += static_cast<double>(random.next() >> 11U) * 0x1p-53;
    return sum - 6;
}

template <class Detector>
std::string saved(const Detector& detector) {
    StateWriter out;
    detector.save(out);
    return out.take();
}

}  // namespace

TEST(Detectors, CoarseLogarithmIsMonotoneAndExactAtPowersOfTwo) {
    EXPECT_EQ(coarse_log2(1), 0);
    EXPECT_EQ(coarse_log2(1024), 10);
    EXPECT_EQ(coarse_log2(0.25), -2);
    double last = coarse_log2(1e-6);
    for (double value = 1e-6; value < 1e6; value *= 1.01) {
        EXPECT_GE(coarse_log2(value), last);
        EXPECT_NEAR(coarse_log2(value), std::log2(value), 0.09);
        last = coarse_log2(value);
    }
}

TEST(Detectors, MedianAndFencesEqualASortOfTheWindow) {
    sim::Random random(1);
    RobustScore score;
    std::vector<double> values;
    for (int index = 0; index < 1000; ++index) {
        const double value = random.chance(300) ? static_cast<double>(random.below(5)) : 10 * noise(random);
        const auto said = score.take(value, 0.5);
        std::vector<double> window(values.end() - static_cast<std::ptrdiff_t>(std::min(values.size(), robust_window)),
                                   values.end());
        values.push_back(value);
        if (window.size() < 16) continue;
        std::sort(window.begin(), window.end());
        const double median = window[window.size() / 2];
        const double low = window[window.size() / 4];
        const double high = window[window.size() - 1 - window.size() / 4];
        std::vector<double> distances;
        for (const double one : window) distances.push_back(std::abs(one - median));
        std::sort(distances.begin(), distances.end());
        ASSERT_DOUBLE_EQ(said.median, std::abs(value - median) / (1.4826 * distances[distances.size() / 2] + 0.5));
        ASSERT_DOUBLE_EQ(said.fence, std::max({0.0, low - value, value - high}) / (high - low + 0.5));
    }
}

TEST(Detectors, CusumFindsAShiftThatNoSingleValueShows) {
    sim::Random random(2);
    CusumScore score(0.5);
    double before = 0;
    for (int index = 0; index < 2000; ++index) before = std::max(before, score.take(noise(random)));
    double after = 0;
    for (int index = 0; index < 60; ++index) after = std::max(after, score.take(noise(random) + 1));
    EXPECT_LT(before, 12);
    EXPECT_GT(after, 2 * before);
}

TEST(Detectors, AnHourOfTheWeekIsLearntAndNotDuringAnAlert) {
    HourOfWeek season;
    const auto expected = [](std::uint64_t at) { return at % 24 == 8 ? 100.0 : 10.0; };
    double usual = 0;
    for (std::uint64_t at = 0; at < 4 * hours_of_week; ++at) {
        const double said = season.take(base_ns + at * hour, expected(at) + static_cast<double>(at % 3), 0.1, false);
        if (at > hours_of_week) usual = std::max(usual, std::abs(said));
    }
    const std::uint64_t next = 4 * hours_of_week;
    EXPECT_LT(usual, 4);
    EXPECT_GT(season.take(base_ns + (next + 7) * hour, 100, 0.1, true), 20) << "the rush of eight, at seven";
    for (int again = 0; again < 50; ++again) {
        EXPECT_GT(season.take(base_ns + (next + 7) * hour, 100, 0.1, true), 20) << "an alert must not become the rule";
    }
    for (int again = 0; again < 50; ++again)
        static_cast<void>(season.take(base_ns + (next + 7) * hour, 100, 0.1, false));
    EXPECT_LT(season.take(base_ns + (next + 7) * hour, 100, 0.1, true), 1) << "unfrozen it does";
}

TEST(Detectors, TheForestFindsAPointWhereNoneWas) {
    sim::Random random(3);
    HalfSpaceTrees forest;
    double usual = 0;
    int points = 0;
    for (int index = 0; index < 1500; ++index) {
        // Two clusters; each coordinate by itself is usual everywhere.
        const double at = random.chance(500) ? 0.2 : 0.8;
        const double said = forest.take({at + 0.02 * noise(random), at + 0.02 * noise(random)});
        EXPECT_TRUE(index >= static_cast<int>(tree_window) || said == 0);
        if (index > 600) {
            usual += said;
            ++points;
        }
    }
    EXPECT_GT(forest.take({0.2, 0.8}), usual / points + 1);
}

TEST(Anomalies, SpikesShiftsAndSilencesRiseAboveAYearOfTheUsualAndTheUsualStaysQuiet) {
    sim::Random random(4);
    AnomalyEnsemble ensemble(AnomalySpec{});
    std::uint64_t now = base_ns;
    int usual_alarms = 0;
    const auto usual = [&] {
        now += 5 * minute;
        const double day = static_cast<double>(now / hour % 24);
        return 50 + (day > 7 && day < 19 ? 20 : 0) + 2 * noise(random);
    };
    for (int index = 0; index < 8000; ++index) {
        const AnomalyScore said = ensemble.take(now, usual());
        usual_alarms += index > 2000 && said.is_alarm ? 1 : 0;
    }
    EXPECT_LE(usual_alarms, 24) << "in three weeks, of 6,000 values and six members that are each at 1 once in 500";
    const auto found = [&](double (*changed)(double), int values) {
        bool is_found = false;
        for (int index = 0; index < values; ++index)
            is_found = ensemble.take(now, changed(usual())).is_alarm || is_found;
        for (int index = 0; index < 600; ++index) static_cast<void>(ensemble.take(now, usual()));
        return is_found;
    };
    EXPECT_TRUE(found([](double value) { return value + 60; }, 1)) << "a spike";
    EXPECT_TRUE(found([](double value) { return value + 60; }, 40)) << "a shift";
    EXPECT_TRUE(found([](double value) { return value * 0 + 1; }, 40)) << "silence";
}

TEST(Anomalies, AnAlarmMakesQuietUntilSomethingLouderComes) {
    AnomalySpec spec;
    spec.members = 1;  // level
    spec.alarm_at = 2;
    spec.calibration = 90'000;
    AnomalyEnsemble ensemble(spec);
    sim::Random random(5);
    const auto next = [&](double extra) { return ensemble.take(base_ns, noise(random) + extra); };
    for (int index = 0; index < 1000; ++index) static_cast<void>(next(0));
    EXPECT_TRUE(next(20).is_alarm);
    EXPECT_FALSE(next(20).is_alarm);
    EXPECT_TRUE(next(200).is_alarm) << "ten times louder";
    for (std::uint32_t index = 0; index < spec.quiet_values; ++index) EXPECT_FALSE(next(0).is_alarm);
    for (int index = 0; index < 2000; ++index) static_cast<void>(next(0));
    EXPECT_TRUE(next(400).is_alarm);
}

TEST(Anomalies, StateSavedAndLoadedAnywhereGoesOnWithTheSameBytes) {
    sim::Random random(6);
    AnomalyEnsemble straight(AnomalySpec{});
    auto reloaded = std::make_unique<AnomalyEnsemble>(AnomalySpec{});
    for (int index = 0; index < 1500; ++index) {
        const double value = random.chance(5)
                                 ? std::nan("")
                                 : noise(random) * (random.chance(30) ? static_cast<double>(random.within(5, 60)) : 1);
        const std::uint64_t now = base_ns + static_cast<std::uint64_t>(index) * 7 * minute;
        const AnomalyScore one = straight.take(now, value);
        const AnomalyScore two = reloaded->take(now, value);
        ASSERT_EQ(one.score, two.score);
        ASSERT_EQ(one.by, two.by);
        ASSERT_EQ(one.is_alarm, two.is_alarm);
        if (index % 9 != 0) continue;
        const std::string bytes = saved(*reloaded);
        ASSERT_EQ(saved(straight), bytes);
        reloaded = std::make_unique<AnomalyEnsemble>(AnomalySpec{});
        StateReader in(bytes);
        reloaded->load(in);
        ASSERT_TRUE(in.is_done());
        ASSERT_EQ(saved(*reloaded), bytes);
        for (std::size_t cut = 0; cut < bytes.size(); cut += 9973) {
            AnomalyEnsemble refused{AnomalySpec{}};
            StateReader short_in(std::string_view(bytes).substr(0, cut));
            refused.load(short_in);
            ASSERT_FALSE(short_in.is_ok());
        }
    }
}

}  // namespace weir::analytics::test
