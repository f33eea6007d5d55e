#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "central/analytics/aggregate.hpp"
#include "tests/simulation/random.hpp"

namespace weir::analytics::test {
namespace {

template <class State>
std::string saved(const State& state) {
    StateWriter out;
    state.save(out);
    return out.take();
}

std::int64_t any_measure(sim::Random& random) {
    const auto magnitude = static_cast<std::int64_t>(random.next() >> random.within(2, 63));
    return random.chance(400) ? -magnitude : magnitude;
}

}  // namespace

TEST(ExactSum, IsTheSameInEveryOrderAndAfterEveryMerge) {
    sim::Random random(1);
    std::vector<std::int64_t> measures;
    for (int index = 0; index < 1000; ++index) measures.push_back(any_measure(random));
    measures.push_back(measure_max);
    measures.push_back(-measure_max);
    ExactSum forward;
    for (const std::int64_t one : measures) forward.add(one);
    ExactSum left;
    ExactSum right;
    for (std::size_t at = measures.size(); at-- > 0;) (at % 3 == 0 ? left : right).add(measures[at]);
    left.merge(right);
    EXPECT_EQ(saved(forward), saved(left));
    EXPECT_EQ(forward, left);
}

TEST(ExactSum, KeepsASmallSpreadAboveALargeValue) {
    ExactSum sum;
    for (const std::int64_t spread : {-1, 0, 1, -1, 0, 1}) sum.add(4'000'000'000'000'000'000 + spread);
    EXPECT_DOUBLE_EQ(sum.deviation(), std::sqrt(4.0 / 5));
    EXPECT_EQ(decimal_text(sum.sum(), 6), "24000000000000");
    ExactSum largest;
    for (int index = 0; index < 4; ++index) largest.add(index % 2 == 0 ? measure_max : -measure_max);
    EXPECT_DOUBLE_EQ(largest.deviation(), static_cast<double>(measure_max) * std::sqrt(4.0 / 3));
}

TEST(ExactSum, MeasuresAreDecimalsRoundedOnce) {
    using rules::Value;
    EXPECT_EQ(measure_of(Value::of_real(51.1), 6), 51'100'000);
    EXPECT_EQ(measure_of(Value::of_real(-0.0000005), 6), 0);  // ties to even
    EXPECT_EQ(measure_of(Value::of_real(0.0000014), 6), 1);
    EXPECT_EQ(measure_of(Value::of_real(-0.0000016), 6), -2);
    EXPECT_EQ(measure_of(Value::of_integer(-7), 2), -700);
    EXPECT_EQ(measure_of(Value::of_integer(INT64_MAX), 0), std::nullopt);
    EXPECT_EQ(measure_of(Value::of_integer(measure_max / 100), 2), measure_max / 100 * 100);
    EXPECT_EQ(measure_of(Value::of_real(1e300), 6), std::nullopt);
    EXPECT_EQ(measure_of(Value::of_text("5"), 6), std::nullopt);
    EXPECT_EQ(decimal_text(-12'500'000, 6), "-12.5");
    EXPECT_EQ(decimal_text(0, 6), "0");
    EXPECT_EQ(decimal_text(5, 6), "0.000005");
    EXPECT_EQ(decimal_text(-120, 0), "-120");
    EXPECT_EQ(decimal_text(100, 1), "10");
}

TEST(QuantileSketch, EveryRankIsWithinTheStatedError) {
    sim::Random random(2);
    for (int round = 0; round < 50; ++round) {
        QuantileSketch sketch;
        std::vector<std::int64_t> sorted;
        for (std::uint64_t left = random.within(1, 400); left > 0; --left) {
            sorted.push_back(any_measure(random));
            sketch.add(sorted.back());
        }
        std::sort(sorted.begin(), sorted.end());
        ASSERT_EQ(sketch.collapsed(), 0U);
        for (std::uint32_t percentile = 0; percentile <= percentile_whole; percentile += 500) {
            const auto exact = static_cast<double>(sorted[(sorted.size() - 1) * percentile / percentile_whole]);
            ASSERT_LE(std::abs(sketch.at(percentile) - exact), sketch_error * std::abs(exact) * (1 + 1e-12));
        }
    }
}

TEST(QuantileSketch, MergesAndOrdersGiveTheSameBytesEvenWhenFull) {
    sim::Random random(3);
    for (int round = 0; round < 20; ++round) {
        std::vector<std::int64_t> measures;
        for (int index = 0; index < 3000; ++index) measures.push_back(any_measure(random));
        QuantileSketch forward;
        for (const std::int64_t one : measures) forward.add(one);
        std::array<QuantileSketch, 4> parts;
        for (std::size_t at = measures.size(); at-- > 0;) parts.at(random.below(4)).add(measures[at]);
        QuantileSketch merged;
        for (const QuantileSketch& part : parts) merged.merge(part);
        ASSERT_EQ(forward.bucket_count(), sketch_buckets_max);
        ASSERT_GT(forward.collapsed(), 0U);
        ASSERT_EQ(saved(forward), saved(merged));
        // Above what was collapsed, the bound stands.
        std::sort(measures.begin(), measures.end());
        for (std::uint32_t percentile = 1000; percentile <= percentile_whole; percentile += 1000) {
            const std::size_t rank = (measures.size() - 1) * percentile / percentile_whole;
            if (rank < forward.collapsed()) continue;
            const auto exact = static_cast<double>(measures[rank]);
            ASSERT_LE(std::abs(forward.at(percentile) - exact), sketch_error * std::abs(exact) * (1 + 1e-12));
        }
    }
}

TEST(DistinctCount, StaysWithinItsErrorFromOneToAMillion) {
    double squares = 0;
    int measured = 0;
    for (const std::uint64_t texts :
         {1U, 10U, 100U, 300U, 1'000U, 3'000U, 5'000U, 8'000U, 20'000U, 100'000U, 1'000'000U}) {
        DistinctCount count;
        for (std::uint64_t index = 0; index < texts; ++index)
            count.add(hash_of("plate-" + std::to_string(index * 7919)));
        const double error = count.estimate() / static_cast<double>(texts) - 1;
        EXPECT_LE(std::abs(error), 4 * distinct_error) << texts;
        squares += error * error;
        ++measured;
    }
    EXPECT_LE(std::sqrt(squares / measured), 1.5 * distinct_error);
    EXPECT_EQ(DistinctCount{}.estimate(), 0);
}

TEST(DistinctCount, IsAFunctionOfTheSetOfTexts) {
    for (const int texts : {50, 250, 2000}) {
        DistinctCount once;
        DistinctCount even;
        DistinctCount odd;
        for (int index = 0; index < texts; ++index) once.add(hash_of(std::to_string(index)));
        for (int index = 2 * texts; index-- > 0;)
            (index % 2 == 0 ? even : odd).add(hash_of(std::to_string(index % texts)));
        even.merge(odd);
        EXPECT_EQ(saved(once), saved(even));
    }
}

TEST(TopList, KeepsItsBoundsWhenThereAreMoreTextsThanRoom) {
    sim::Random random(4);
    for (int round = 0; round < 10; ++round) {
        std::map<std::string, std::uint64_t> counts;
        std::array<TopList, 3> parts;
        constexpr std::uint64_t events = 6000;
        for (std::uint64_t index = 0; index < events; ++index) {
            // Zipf-like: half of the texts are a handful.
            const std::uint64_t number = random.below(1 + random.below(1 + random.below(1000)));
            const std::string text = "t" + std::to_string(number);
            ++counts[text];
            parts.at(random.below(3)).add(text);
        }
        TopList whole = parts[0];
        whole.merge(parts[1]);
        whole.merge(parts[2]);
        std::map<std::string, TopEntry> listed;
        for (const TopEntry& entry : whole.first(top_entries_max)) listed[entry.text] = entry;
        ASSERT_LE(listed.size(), top_entries_max);
        for (const auto& [text, entry] : listed) {
            ASSERT_LE(counts[text], entry.count);
            ASSERT_GE(counts[text] + entry.over, entry.count);
        }
        for (const auto& [text, count] : counts) {
            ASSERT_TRUE(count <= events / top_entries_max || listed.contains(text)) << text << " " << count;
        }
    }
}

TEST(TopList, AMergeCountsWhatTheOtherMayHaveForgotten) {
    TopList here;
    for (int again = 0; again < 100; ++again) here.add("x");
    TopList there;
    there.add("x");
    for (std::uint32_t text = 0; text < 2 * top_entries_max; ++text) {
        for (int again = 0; again < 5; ++again) there.add("t" + std::to_string(text));
    }
    here.merge(there);
    const TopEntry first = here.first(1).at(0);
    EXPECT_EQ(first.text, "x");
    EXPECT_GE(first.count, 101U);
    EXPECT_LE(first.count - first.over, 101U);
}

TEST(Aggregate, ReloadsToTheSameBytesAndRefusesWhatCannotBe) {
    AggregateSpec spec;
    spec.percentiles = {50'000};
    spec.has_distinct = true;
    spec.top_count = 3;
    Aggregate aggregate(spec);
    sim::Random random(5);
    for (int index = 0; index < 500; ++index) {
        const std::string text = std::to_string(random.below(90));
        aggregate.add({any_measure(random), hash_of(text), text, random.chance(10)});
    }
    const std::string bytes = saved(aggregate);
    Aggregate again(spec);
    StateReader in(bytes);
    again.load(in);
    ASSERT_TRUE(in.is_done());
    EXPECT_EQ(saved(again), bytes);
    EXPECT_EQ(again.values(spec), aggregate.values(spec));
    std::string wrong = bytes;
    wrong[0] = static_cast<char>(wrong[0] ^
                                 1);  // fewer events than numbers, or more than the sketch has: seen for one of both
    wrong[1] = static_cast<char>(0);
    StateReader refused(wrong);
    again.load(refused);
    EXPECT_FALSE(refused.is_done());
}

}  // namespace weir::analytics::test
