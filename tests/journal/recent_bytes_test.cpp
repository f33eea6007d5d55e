// What was written last, in memory: what copy() gives is what was put, also while it is written over; else it gives nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "core/journal/recent_bytes.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t held = 8 * block_bytes;

// Each word says where it lies.
std::vector<std::byte> bytes_at(std::uint64_t place, std::uint64_t count) {
    std::vector<std::byte> bytes(count);
    for (std::uint64_t i = 0; i < count; i += 8) {
        const std::uint64_t word = place + i + 1;
        std::memcpy(bytes.data() + i, &word, 8);
    }
    return bytes;
}

void put(RecentBytes& recent, std::uint64_t at, std::uint64_t count) {
    recent.put({at}, bytes_at(at, count));
}

// How many bytes are given; each must be what lies there.
std::size_t good(const RecentBytes& recent, std::uint64_t from, std::size_t wanted) {
    std::vector<std::byte> bytes(wanted, std::byte{0xEE});
    const std::size_t count = recent.copy({from}, bytes);
    const auto expected = bytes_at(from, round_up(count, 8));
    const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(count);
    EXPECT_TRUE(std::equal(bytes.begin(), end, expected.begin())) << "from " << from;
    return count;
}

TEST(RecentBytes, GivesWhatWasPutUpToItsEnd) {
    RecentBytes recent(held);
    EXPECT_EQ(good(recent, 0, 100), 0U);
    put(recent, block_bytes, 2 * block_bytes);
    EXPECT_EQ(good(recent, block_bytes, 100), 100U);
    EXPECT_EQ(good(recent, block_bytes + 8, 3 * block_bytes), 2 * block_bytes - 8);
    EXPECT_EQ(good(recent, 3 * block_bytes, 8), 0U) << "nothing is there yet";
    put(recent, 3 * block_bytes, block_bytes);
    EXPECT_EQ(good(recent, block_bytes, held), 3 * block_bytes);
    EXPECT_EQ(good(recent, block_bytes + 4, 8), 0U) << "places are multiples of 8";
}

TEST(RecentBytes, WhatWasBeforeTheFirstIsNotHere) {
    RecentBytes recent(held);
    put(recent, 3 * block_bytes, block_bytes);
    EXPECT_EQ(good(recent, 2 * block_bytes, 8), 0U);
    EXPECT_EQ(good(recent, 3 * block_bytes, 8), 8U);
}

TEST(RecentBytes, KeepsTheLastAndGoesRound) {
    RecentBytes recent(held);
    std::uint64_t at = block_bytes;
    for (const std::uint64_t blocks : {3UL, 3UL, 3UL, 2UL, 5UL, 8UL, 1UL}) {
        put(recent, at, blocks * block_bytes);
        at += blocks * block_bytes;
        const std::uint64_t first = at > held ? std::max<std::uint64_t>(at - held, block_bytes) : block_bytes;
        EXPECT_EQ(good(recent, first, held), at - first);
        EXPECT_EQ(good(recent, first + 16, 24), 24U);
        if (first > block_bytes) {
            EXPECT_EQ(good(recent, first - 8, 8), 0U) << "written over";
        }
    }
}

TEST(RecentBytes, ASegmentsUnusedEndIsZerosAndALeapBeginsAnew) {
    RecentBytes recent(held);
    put(recent, block_bytes, block_bytes);
    put(recent, 4 * block_bytes, block_bytes);
    std::vector<std::byte> between(2 * block_bytes, std::byte{0xEE});
    ASSERT_EQ(recent.copy({2 * block_bytes}, between), between.size());
    EXPECT_EQ(between, std::vector<std::byte>(2 * block_bytes));
    EXPECT_EQ(good(recent, block_bytes, block_bytes), block_bytes);
    put(recent, 20 * block_bytes, block_bytes);
    EXPECT_EQ(good(recent, 4 * block_bytes, 8), 0U);
    EXPECT_EQ(good(recent, 19 * block_bytes, 8), 0U);
    EXPECT_EQ(good(recent, 20 * block_bytes, held), block_bytes);
}

TEST(RecentBytes, WhatIsLongerThanAllOfItIsNotKept) {
    RecentBytes recent(held);
    put(recent, block_bytes, block_bytes);
    put(recent, 2 * block_bytes, held + block_bytes);
    const std::uint64_t behind = 2 * block_bytes + held + block_bytes;
    for (std::uint64_t at = 0; at < behind; at += block_bytes) EXPECT_EQ(good(recent, at, 8), 0U) << at;
    put(recent, behind, block_bytes);
    EXPECT_EQ(good(recent, behind - block_bytes, 8), 0U);
    EXPECT_EQ(good(recent, behind, held), block_bytes);
}

TEST(RecentBytes, OfNothingKeepsNothing) {
    RecentBytes recent(0);
    put(recent, block_bytes, block_bytes);
    EXPECT_EQ(good(recent, block_bytes, 8), 0U);
}

TEST(RecentBytes, BesideItsWriterNothingElseIsEverGiven) {
    RecentBytes recent(held);
    std::atomic<bool> is_enough{false};
    std::atomic<std::uint64_t> written{block_bytes};
    std::thread writer([&] {
        std::uint64_t at = block_bytes;
        for (std::uint64_t i = 0; !is_enough.load(std::memory_order_acquire); ++i) {
            const std::uint64_t count = (1 + i % 3) * block_bytes;
            put(recent, at, count);
            at += count;
            written.store(at, std::memory_order_release);
        }
    });
    std::uint64_t given = 0;
    std::uint64_t refused = 0;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    // Close behind, and now and then where it is being written over.
    for (std::uint64_t turn = 0; given < 5000 || refused < 1000; ++turn) {
        const std::uint64_t end = written.load(std::memory_order_acquire);
        const std::uint64_t back = (1 + turn % 8) * block_bytes;
        if (back < end) (good(recent, end - back, 2 * block_bytes) > 0 ? given : refused) += 1;
        if (std::chrono::steady_clock::now() > give_up || ::testing::Test::HasFailure()) break;
    }
    is_enough.store(true, std::memory_order_release);
    writer.join();
    EXPECT_GE(given, 5000U);
    EXPECT_GE(refused, 1000U) << "what is written over was hardly asked for";
}

}  // namespace
}  // namespace weir::journal
