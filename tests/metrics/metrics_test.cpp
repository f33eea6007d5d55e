#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "core/metrics/counter.hpp"
#include "core/metrics/histogram.hpp"
#include "core/metrics/moments.hpp"

namespace weir {
namespace {

TEST(Counter, AddsAndSets) {
    Counter counter;
    counter.add(3);
    counter.add(4);
    EXPECT_EQ(counter.get(), 7U);
    counter.set(2);
    EXPECT_EQ(counter.get(), 2U);
}

TEST(Histogram, BucketsCoverEveryValueOnceAndInOrder) {
    for (std::size_t i = 0; i + 1 < Histogram::bucket_count; ++i) {
        ASSERT_EQ(Histogram::index_of(Histogram::upper_of(i)), i);
        ASSERT_EQ(Histogram::index_of(Histogram::upper_of(i) + 1), i + 1);
    }
    EXPECT_EQ(Histogram::index_of(UINT64_MAX), Histogram::bucket_count - 1);
}

TEST(Histogram, PercentilesAreThoseOfASortedVectorAtMostASixteenthTooHigh) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        std::mt19937_64 random(seed);
        const auto histogram = std::make_unique<Histogram>();
        std::vector<std::uint64_t> sorted;
        std::uint64_t sum = 0;
        for (int i = 0; i < 20'000; ++i) {
            const std::uint64_t ns = random() >> (25 + random() % 39);
            histogram->record(ns);
            sorted.push_back(ns);
            sum += ns;
        }
        std::sort(sorted.begin(), sorted.end());
        EXPECT_EQ(histogram->count(), sorted.size());
        EXPECT_EQ(histogram->sum(), sum);
        EXPECT_EQ(histogram->max(), sorted.back());
        for (const double share : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
            const auto rank = std::max<std::size_t>(
                1, static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size()))));
            const std::uint64_t exact = sorted[rank - 1];
            const std::uint64_t got = histogram->percentile(share);
            EXPECT_GE(got, exact) << share;
            EXPECT_LE(got, exact + exact / 16) << share;
        }
    }
}

TEST(Histogram, IsEmptyAtFirstAndTakesManyAtOnce) {
    const auto histogram = std::make_unique<Histogram>();
    EXPECT_EQ(histogram->percentile(0.5), 0U);
    histogram->record(100, 99);
    histogram->record(1'000'000);
    EXPECT_EQ(histogram->count(), 100U);
    EXPECT_LE(histogram->percentile(0.99), 106U);
    EXPECT_EQ(histogram->percentile(1.0), 1'000'000U);
    histogram->record(UINT64_MAX / 4);
    EXPECT_EQ(histogram->max(), UINT64_MAX / 4);
}

// Against a list of every moment: as many, the same sum, and the longest as it was.
TEST(Moments, KeepTheSumTheNumberAndTheLongestOfAll) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        std::mt19937_64 random(seed);
        Moments all;
        std::vector<std::uint64_t> list;
        for (std::uint64_t group = 0; group < 1 + random() % 6; ++group) {
            Moments some;
            for (std::uint64_t i = 0; i < random() % 40; ++i) {
                const std::uint64_t at = 1000 + random() % 1'000'000;
                const std::uint64_t times = 1 + random() % 3;
                some.add({at}, times);
                list.insert(list.end(), times, at);
            }
            all.add(some);
        }
        constexpr MonotonicNs until{2'000'000};
        const auto histogram = std::make_unique<Histogram>();
        all.record(*histogram, until);
        std::uint64_t sum = 0;
        for (const std::uint64_t at : list) sum += until.value - at;
        ASSERT_EQ(histogram->count(), list.size());
        ASSERT_EQ(histogram->sum(), sum);
        if (list.empty()) continue;
        ASSERT_EQ(histogram->max(), until.value - *std::min_element(list.begin(), list.end()));
    }
}

TEST(MomentRows, KeepSumNumberAndLongestHoweverManyThereAreAndFewApartAsTheyAre) {
    for (const std::uint64_t many : {1U, 3U, 8U, 9U, 100U, 10'000U}) {
        std::mt19937_64 random(many);
        MomentRows<8> rows;
        const auto histogram = std::make_unique<Histogram>();
        const auto exact = std::make_unique<Histogram>();
        std::vector<std::pair<std::uint64_t, std::uint64_t>> list;
        std::uint64_t at = 1'000;
        for (std::uint64_t i = 0; i < many; ++i) {
            at += 1 + random() % 1'000;
            list.emplace_back(at, 1 + random() % 64);
            for (std::uint64_t n = 0; n < list.back().second; ++n) rows.add({at});
        }
        const MonotonicNs until{at + 500};
        rows.record(*histogram, until);
        for (const auto& [one, times] : list) exact->record(until.value - one, times);
        EXPECT_EQ(histogram->count(), exact->count());
        EXPECT_EQ(histogram->sum(), exact->sum());
        EXPECT_EQ(histogram->max(), exact->max());
        if (many > 8) continue;
        for (const double share : {0.01, 0.5, 0.9}) EXPECT_EQ(histogram->percentile(share), exact->percentile(share));
        rows.clear();
        EXPECT_TRUE(rows.is_empty());
    }
}

TEST(Moments, OneThatIsLaterThanTheEndCountsAsNothingAndNotAsAWholeLife) {
    const auto histogram = std::make_unique<Histogram>();
    Moments moments;
    moments.add({100});
    moments.add({900}, 3);
    moments.record(*histogram, {500});
    EXPECT_EQ(histogram->count(), 4U);
    EXPECT_EQ(histogram->max(), 400U);
}

}  // namespace
}  // namespace weir
