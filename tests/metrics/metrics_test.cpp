#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "core/metrics/counter.hpp"
#include "core/metrics/histogram.hpp"

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

}  // namespace
}  // namespace weir
