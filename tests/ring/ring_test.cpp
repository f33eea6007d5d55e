#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "core/ring/inbox.hpp"
#include "core/ring/ring.hpp"

namespace weir {
namespace {

TEST(Ring, DoesWhatABoundedDequeDoes) {
    constexpr std::size_t capacity = 37;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::mt19937_64 random(seed);
        Ring<std::uint64_t> ring(capacity);
        if (seed % 2 == 0) ring.touch();  // changes nothing but where it begins
        auto writer = ring.take_writer();
        auto reader = ring.take_reader();
        std::deque<std::uint64_t> model;
        std::uint64_t next = 1;
        for (int step = 0; step < 5'000; ++step) {
            ASSERT_EQ(writer.room(), capacity - model.size());
            ASSERT_EQ(reader.is_empty(), model.empty());
            std::array<std::uint64_t, 50> values{};
            const std::size_t count = random() % (values.size() + 1);
            switch (random() % 4) {
                case 0: {
                    for (std::size_t i = 0; i < count; ++i) values[i] = next + i;
                    const std::size_t fits = std::min(count, capacity - model.size());
                    ASSERT_EQ(writer.publish(std::span<const std::uint64_t>(values.data(), count)), fits);
                    for (std::size_t i = 0; i < fits; ++i) model.push_back(next++);
                    break;
                }
                case 1:
                    ASSERT_EQ(writer.publish(next), model.size() < capacity);
                    if (model.size() < capacity) model.push_back(next++);
                    break;
                case 2: {
                    const std::size_t taken = reader.consume(std::span(values.data(), count));
                    ASSERT_EQ(taken, std::min(count, model.size()));
                    for (std::size_t i = 0; i < taken; ++i, model.pop_front()) ASSERT_EQ(values[i], model.front());
                    break;
                }
                default:
                    if (random() % 4 != 0) break;  // else it would never fill up
                    const std::size_t waiting = model.size();
                    const std::size_t taken = reader.consume_all([&](std::uint64_t value) {
                        EXPECT_EQ(value, model.front());
                        model.pop_front();
                    });
                    ASSERT_EQ(taken, waiting);
                    break;
            }
        }
    }
}

TEST(Ring, CarriesEverythingInOrderBetweenTwoThreads) {
    constexpr std::uint64_t total = 500'000;
    Ring<std::uint64_t> ring(1024);
    auto writer = ring.take_writer();
    auto reader = ring.take_reader();
    std::thread source([&] {
        std::array<std::uint64_t, 64> values{};
        for (std::uint64_t next = 1; next <= total;) {
            const std::uint64_t count = std::min<std::uint64_t>(values.size(), total - next + 1);
            for (std::uint64_t i = 0; i < count; ++i) values[i] = next + i;
            const std::size_t taken = writer.publish(std::span<const std::uint64_t>(values.data(), count));
            next += taken;
            if (taken == 0) std::this_thread::yield();
        }
    });
    std::uint64_t expected = 1;
    std::uint64_t wrong = 0;
    while (expected <= total) {
        const std::size_t taken = reader.consume_all([&](std::uint64_t value) { wrong += value != expected++; });
        if (taken == 0) std::this_thread::yield();
    }
    source.join();
    EXPECT_EQ(wrong, 0U);
    EXPECT_TRUE(reader.is_empty());
}

TEST(RingDeathTest, GivesEachEndOnce) {
    Ring<int> ring(4);
    [[maybe_unused]] auto writer = ring.take_writer();
    [[maybe_unused]] auto reader = ring.take_reader();
    EXPECT_DEATH(static_cast<void>(ring.take_writer()), "writer_taken_");
    EXPECT_DEATH(static_cast<void>(ring.take_reader()), "reader_taken_");
}

TEST(Inbox, LosesAndDoublesNothingFromManyThreads) {
    struct Note {
        std::uint32_t sender = 0;
        std::uint32_t number = 0;
    };
    constexpr std::uint32_t senders_count = 4;
    constexpr std::uint32_t notes_each = 50'000;
    Inbox<Note> inbox(1024);
    std::vector<std::thread> senders;
    for (std::uint32_t sender = 0; sender < senders_count; ++sender) {
        senders.emplace_back([&inbox, sender] {
            for (std::uint32_t number = 1; number <= notes_each;) {
                if (inbox.post({sender, number})) {
                    ++number;
                } else {
                    std::this_thread::yield();
                }
            }
        });
    }
    std::array<std::uint32_t, senders_count> last{};
    std::uint64_t total = 0;
    std::uint64_t wrong = 0;
    while (total < std::uint64_t{senders_count} * notes_each) {
        const std::size_t taken = inbox.consume_all([&](const Note& note) {
            wrong += note.number != last[note.sender] + 1;  // one sender's notes keep their order
            last[note.sender] = note.number;
        });
        total += taken;
        if (taken == 0) std::this_thread::yield();
    }
    for (std::thread& sender : senders) sender.join();
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(inbox.consume_all([](const Note&) {}), 0U);
}

TEST(Inbox, DoesWhatADequeDoes) {
    constexpr std::size_t capacity = 256;
    constexpr std::size_t block = 32;  // it keeps its notes in blocks of so many, and one may be half used up
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::mt19937_64 random(seed);
        Inbox<std::uint64_t> inbox(capacity);
        std::deque<std::uint64_t> model;
        std::uint64_t next = 1, refused = 0;
        for (int step = 0; step < 3'000; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            if (random() % 8 != 0) {
                for (std::uint64_t i = 0; i < random() % 60; ++i) {
                    if (inbox.post(next)) {
                        ASSERT_LT(model.size(), capacity + block);
                        model.push_back(next++);
                    } else {
                        ASSERT_GT(model.size() + 2 * block, capacity);
                        ++refused;
                    }
                }
            } else {
                const std::size_t waiting = model.size();
                std::uint64_t wrong = 0;
                const std::size_t taken = inbox.consume_all([&](std::uint64_t note) {
                    wrong += model.empty() || note != model.front();
                    if (!model.empty()) model.pop_front();
                });
                ASSERT_EQ(taken, waiting);
                ASSERT_EQ(wrong, 0U);
            }
        }
        EXPECT_GT(refused, 0U) << "seed " << seed;
    }
}

TEST(Inbox, SaysNoWhenItIsFull) {
    Inbox<int> inbox(64);
    int posted = 0;
    while (posted < 100'000 && inbox.post(posted)) ++posted;
    EXPECT_GE(posted, 1);
    EXPECT_LT(posted, 100'000);
    EXPECT_EQ(inbox.consume_all([](int) {}), static_cast<std::size_t>(posted));
    EXPECT_TRUE(inbox.post(1));
}

}  // namespace
}  // namespace weir
