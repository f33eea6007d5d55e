// WriteQueue: which groups share a write, and when what is durable.
#include "core/journal/write_queue.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

class QueueBench {
  public:
    explicit QueueBench(bool gathers = true, std::uint32_t groups_max = gathered_groups_max)
        : queue_(io_, {.owner = 1, .kind = 2}, {.gathers = gathers, .groups_max = groups_max}, Position{}) {
        open_next();
    }
    void open_next() {
        auto file = io_.open("segment " + std::to_string(++files_), {.create = true});
        WEIR_ASSERT(file.ok());
        file_ = file.value();
        file_begin_ = end_;
    }
    // A group of so many blocks of `fill`; returns its end.
    Position push(std::uint32_t blocks, std::uint8_t fill = 1) {
        groups_.push_back(std::vector<std::byte>(std::size_t{blocks} * block_bytes, std::byte{fill}));
        const std::uint64_t begin = end_.value;
        end_.value += groups_.back().size();
        queue_.push({.bytes = groups_.back(), .file = file_, .offset = begin - file_begin_.value, .end = end_});
        return end_;
    }
    // Of each write that is under way, in the order in which they were begun.
    [[nodiscard]] std::vector<std::size_t> blocks_under_way() const {
        std::vector<std::size_t> all;
        for (std::size_t nth = 0; nth < io_.pending_count(); ++nth) {
            std::size_t bytes = 0;
            for (const ConstBytes part : io_.pending(nth).parts) bytes += part.size();
            all.push_back(bytes / block_bytes);
        }
        return all;
    }
    void complete(std::size_t nth) { queue_.on_completion(io_.complete(nth)); }
    void fail(std::size_t nth) { queue_.on_completion(io_.fail(nth, EIO)); }
    [[nodiscard]] WriteQueue& queue() { return queue_; }
    [[nodiscard]] test::MemoryIo& io() { return io_; }
    [[nodiscard]] io::File file() const { return file_; }
    [[nodiscard]] Position end() const { return end_; }
    [[nodiscard]] const std::deque<std::vector<std::byte>>& groups() const { return groups_; }

  private:
    test::MemoryIo io_;
    WriteQueue queue_;
    std::deque<std::vector<std::byte>> groups_;
    io::File file_;
    Position file_begin_{};
    Position end_{};
    int files_ = 0;
};

using Blocks = std::vector<std::size_t>;
constexpr std::uint32_t short_blocks = short_write_bytes / block_bytes;
constexpr std::uint32_t full_blocks = gathered_bytes_max / block_bytes;

TEST(WriteQueue, AloneAGroupWaitsForNothing) {
    QueueBench bench;
    bench.push(64);
    EXPECT_EQ(bench.blocks_under_way(), Blocks{64});
    bench.complete(0);
    EXPECT_EQ(bench.queue().durable(), bench.end());
}

TEST(WriteQueue, WhatFindsTheDiskBusyGoesTogetherWhenItIsFree) {
    QueueBench bench;
    const Position first = bench.push(64);
    bench.push(64);
    bench.push(20);
    bench.push(1);
    EXPECT_EQ(bench.blocks_under_way(), Blocks{64});
    bench.complete(0);
    EXPECT_EQ(bench.queue().durable(), first);
    EXPECT_EQ(bench.blocks_under_way(), Blocks{85});
    bench.complete(0);
    EXPECT_EQ(bench.queue().durable(), bench.end());
    EXPECT_EQ(bench.queue().writes_begun(), 2U);
    EXPECT_EQ(bench.queue().written_bytes(), bench.end().value);
}

TEST(WriteQueue, AShortOneGoesBesideAnother) {
    QueueBench bench;
    bench.push(64);
    bench.push(short_blocks - 1);
    EXPECT_EQ(bench.blocks_under_way(), (Blocks{64, short_blocks - 1}));
    bench.push(1);
    bench.push(1);
    EXPECT_EQ(bench.io().pending_count(), short_writes_max) << "a third waits";
    bench.complete(1);
    EXPECT_EQ(bench.blocks_under_way(), (Blocks{64, 2}));
    EXPECT_EQ(bench.queue().durable(), Position{}) << "the first is not";
    bench.complete(0);
    bench.complete(0);
    EXPECT_EQ(bench.queue().durable(), bench.end());
}

TEST(WriteQueue, OneThatIsNotShortWaits) {
    QueueBench bench;
    bench.push(1);
    bench.push(short_blocks);
    EXPECT_EQ(bench.blocks_under_way(), Blocks{1});
}

TEST(WriteQueue, AFullWriteWaitsForNothing) {
    QueueBench bench;
    bench.push(64);
    for (std::uint32_t i = 0; i < 3; ++i) bench.push(full_blocks / 4);
    EXPECT_EQ(bench.io().pending_count(), 1U);
    bench.push(full_blocks / 4);
    EXPECT_EQ(bench.blocks_under_way(), (Blocks{64, full_blocks}));
}

TEST(WriteQueue, AWriteIsNoLongerThanItsBound) {
    QueueBench bench;
    bench.push(64);
    bench.push(full_blocks / 2 + 1);
    bench.push(full_blocks / 2);
    EXPECT_EQ(bench.blocks_under_way(), (Blocks{64, full_blocks / 2 + 1}));
    bench.push(full_blocks + 3);
    EXPECT_EQ(bench.blocks_under_way(), (Blocks{64, full_blocks / 2 + 1, full_blocks / 2, full_blocks + 3}))
        << "one that is longer goes alone";
}

TEST(WriteQueue, GroupsOfTwoFilesShareNoWrite) {
    QueueBench bench;
    const io::File before = bench.file();
    bench.push(64);
    bench.push(30);
    bench.open_next();
    bench.push(40);
    EXPECT_EQ(bench.queue().unwritten_in(before), 2U);
    EXPECT_EQ(bench.queue().unwritten_in(bench.file()), 1U);
    bench.complete(0);
    EXPECT_EQ(bench.blocks_under_way(), Blocks{30});
    EXPECT_EQ(bench.io().pending(0).file, before);
    EXPECT_EQ(bench.queue().unwritten_in(before), 1U);
    bench.complete(0);
    EXPECT_EQ(bench.queue().unwritten_in(before), 0U);
    EXPECT_EQ(bench.blocks_under_way(), Blocks{40});
    EXPECT_EQ(bench.io().pending(0).file, bench.file());
    EXPECT_EQ(bench.io().pending(0).offset, 0U);
}

TEST(WriteQueue, IsFullOfGroupsThatAreNotDurable) {
    QueueBench bench;
    bench.push(64);
    for (std::uint32_t i = 1; i < gathered_groups_max; ++i) {
        EXPECT_FALSE(bench.queue().is_full());
        bench.push(16);
    }
    EXPECT_TRUE(bench.queue().is_full());
    bench.complete(0);
    EXPECT_FALSE(bench.queue().is_full());
}

TEST(WriteQueue, WithoutGatheringEachGroupIsAWrite) {
    QueueBench bench(false, writes_in_flight_max);
    for (std::uint32_t i = 1; i <= writes_in_flight_max; ++i) bench.push(40 + i);
    EXPECT_EQ(bench.blocks_under_way(), (Blocks{41, 42, 43, 44}));
    EXPECT_TRUE(bench.queue().is_full());
}

TEST(WriteQueue, NothingThatWaitsIsBegunBehindAFailure) {
    QueueBench bench;
    const io::File before = bench.file();
    bench.push(64);
    bench.push(64);
    bench.fail(0);
    EXPECT_TRUE(bench.queue().is_poisoned());
    EXPECT_EQ(bench.queue().poison_errno(), EIO);
    EXPECT_EQ(bench.io().pending_count(), 0U);
    EXPECT_EQ(bench.queue().unwritten_in(before), 0U) << "nor will it be: its file may be closed";
    EXPECT_EQ(bench.queue().durable(), Position{});
    EXPECT_EQ(bench.queue().written_bytes(), 0U);
}

TEST(WriteQueue, AGatheredWriteThatIsShortPoisons) {
    QueueBench bench;
    const Position first = bench.push(64);
    bench.push(64);
    bench.push(64);
    bench.complete(0);
    io::Completion completion = bench.io().complete(0);
    completion.result -= block_bytes;
    bench.queue().on_completion(completion);
    EXPECT_TRUE(bench.queue().is_poisoned());
    EXPECT_EQ(bench.queue().durable(), first);
}

// The model is the list of the groups' ends: whatever the disk's order, what is durable is a prefix of them that has landed, each byte of
// it where it belongs, and when nothing is under way any more it is all of them.
TEST(WriteQueueModel, WhateverTheOrderWhatIsDurableIsAPrefixThatHasLanded) {
    for (std::uint32_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
        const bool gathers = below(4) > 0;
        QueueBench bench(gathers, gathers ? 1 + below(gathered_groups_max) : writes_in_flight_max);
        std::vector<Position> ends;
        std::vector<std::pair<Position, Position>> landed;
        const auto land = [&](std::size_t nth) {
            const auto& write = bench.io().pending(nth);
            std::uint64_t bytes = 0;
            for (const ConstBytes part : write.parts) {
                // Which groups they are: each one's bytes are its own.
                for (std::size_t one = 0; one < bench.groups().size(); ++one) {
                    if (part.data() != bench.groups()[one].data()) continue;
                    landed.emplace_back(one == 0 ? Position{} : ends[one - 1], ends[one]);
                    ASSERT_TRUE(bytes == 0 || landed[landed.size() - 2].second == landed.back().first)
                        << "the parts lie one behind the other";
                }
                bytes += part.size();
            }
            ASSERT_LE(bytes, std::max<std::uint64_t>(gathered_bytes_max, write.parts.front().size()));
            bench.complete(nth);
        };
        for (int step = 0; step < 200; ++step) {
            const auto dice = below(10);
            if (dice < 5 && !bench.queue().is_full()) {
                const std::uint32_t blocks = below(3) == 0 ? 1 + below(4) : 1 + below(300);
                ends.push_back({(ends.empty() ? 0 : ends.back().value) + std::uint64_t{blocks} * block_bytes});
                bench.push(blocks);
            } else if (dice < 9 && bench.io().pending_count() > 0) {
                ASSERT_NO_FATAL_FAILURE(land(below(static_cast<std::uint32_t>(bench.io().pending_count()))));
            } else if (dice == 9 && below(10) == 0) {
                bench.open_next();
            }
            ASSERT_LE(bench.queue().writes_in_flight(), writes_in_flight_max);
            ASSERT_EQ(bench.io().pending_count(), bench.queue().writes_in_flight());
            Position whole{};
            for (const Position end : ends) {
                const bool has_landed =
                    std::any_of(landed.begin(), landed.end(), [&](const auto& one) { return one.second == end; });
                if (!has_landed) break;
                whole = end;
            }
            ASSERT_LE(bench.queue().durable(), whole);
            ASSERT_TRUE(bench.queue().writes_in_flight() > 0 || bench.queue().durable() == bench.end());
        }
        while (bench.io().pending_count() > 0) ASSERT_NO_FATAL_FAILURE(land(0));
        EXPECT_EQ(bench.queue().durable(), bench.end());
        EXPECT_EQ(bench.queue().written_bytes(), bench.end().value);
    }
}

}  // namespace
}  // namespace weir::journal
