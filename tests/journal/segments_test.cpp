#include "core/journal/segments.hpp"

#include <map>
#include <set>
#include <thread>

#include "core/journal/cache_trim.hpp"
#include "core/journal/segment_orders.hpp"
#include "tests/journal/forwarded_files.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t segment_bytes = 2 * block_bytes;

SegmentHeader header_of(std::uint64_t index) {
    SegmentHeader header;
    header.journal_id = 7;
    header.segment_index = index;
    header.segment_bytes = segment_bytes;
    header.crc = segment_crc(header);
    return header;
}

// What a store's runner does, and what is then on the disk.
class StoreBench {
  public:
    explicit StoreBench(std::uint32_t recycled_max = 0)
        : store_(make_segment_store(directory_.path(), segment_bytes, recycled_max, nullptr, nullptr)) {}
    void make(std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t index = begin; index < end; ++index) {
            store_->prepare(header_of(index));
            store_->prepare(header_of(index));  // changes nothing
            while (store_->ready(index) == nullptr) std::this_thread::yield();
            EXPECT_EQ(*store_->ready(index), store_->path_of(index));
            EXPECT_TRUE(std::filesystem::exists(*store_->ready(index)));
        }
    }
    void release(std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t index = begin; index < end; ++index) store_->release(index);
    }
    // Waits until there are so many.
    [[nodiscard]] std::set<std::uint64_t> left(std::size_t count) const {
        for (;;) {
            std::set<std::uint64_t> indexes;
            for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
                if (const auto index = segment_index_of(entry.path().filename().string())) indexes.insert(*index);
            }
            if (indexes.size() <= count) return indexes;
            std::this_thread::yield();
        }
    }
    [[nodiscard]] SegmentStore& store() { return *store_; }

  private:
    Directory directory_;
    std::unique_ptr<SegmentStore> store_;
};

TEST(Segments, HoweverManyAreReleasedAtOnceNoneIsForgotten) {
    StoreBench bench;
    bench.make(3, 303);
    bench.release(3, 302);
    EXPECT_EQ(bench.left(1), std::set<std::uint64_t>{302});
    bench.make(303, 305);
    bench.release(302, 304);
    EXPECT_EQ(bench.left(1), std::set<std::uint64_t>{304});
    EXPECT_EQ(bench.store().quarantined(), 0U);
}

TEST(Segments, WhatAnotherThreadMarksBeforeItsReleaseIsNeverUsedAgain) {
    constexpr std::uint64_t count = 3 * damage_marks_max;
    StoreBench bench(2);
    bench.make(0, count + 1);
    std::thread finder([&] {
        for (std::uint64_t index = 0; index < count; ++index) bench.store().mark_damaged(index);
    });
    finder.join();
    bench.release(0, count);
    EXPECT_EQ(bench.left(1), std::set<std::uint64_t>{count});
    bench.make(count + 1, count + 2);  // behind all that was released
    EXPECT_EQ(bench.store().quarantined(), count);
}

TEST(Segments, WhileARunnerGoesOnOthersMayMark) {
    StoreBench bench(1);
    std::atomic<bool> is_done{false};
    std::vector<std::thread> finders;
    for (std::uint64_t number = 0; number < 2; ++number) {
        finders.emplace_back([&, number] {
            for (std::uint64_t index = number; !is_done; index = (index + 5) % 100) bench.store().mark_damaged(index);
        });
    }
    for (std::uint64_t index = 0; index < 100; ++index) {
        bench.make(index, index + 1);
        if (index > 0) bench.release(index - 1, index);
    }
    is_done = true;
    for (std::thread& finder : finders) finder.join();
    EXPECT_EQ(bench.left(1), std::set<std::uint64_t>{99});
}

TEST(Segments, StoresOfOneWorkerAreServedInTurnsAndEndWhileItWorks) {
    const Directory directory;
    SegmentWorker worker(nullptr, nullptr);
    std::vector<std::unique_ptr<SegmentStore>> stores;
    for (int number = 0; number < 4; ++number) {
        stores.push_back(make_segment_store(worker, directory.path() + "/" + std::to_string(number), segment_bytes, 1));
    }
    for (std::uint64_t index = 0; index < 20; ++index) {
        for (const auto& store : stores) store->prepare(header_of(index));
        for (const auto& store : stores) {
            while (store->ready(index) == nullptr) std::this_thread::yield();
            if (index > 0) store->release(index - 1);
        }
        if (index % 5 == 4) {
            stores.back()->prepare(header_of(index + 1));
            stores.pop_back();
        }
    }
    EXPECT_TRUE(stores.empty());
}

TEST(SegmentOrders, BeyondTheRoomForMarksAllBetweenTheRestCountAsDamaged) {
    SegmentOrders orders;
    for (std::uint64_t index = 0; index < damage_marks_max; ++index) {
        orders.mark_damaged(2 * index);
        orders.mark_damaged(2 * index);  // takes no room of its own
    }
    EXPECT_FALSE(orders.is_suspect(0));
    orders.mark_damaged(500);
    orders.mark_damaged(503);
    std::set<std::uint64_t> taken;
    while (const auto index = orders.take_damaged()) taken.insert(*index);
    EXPECT_EQ(taken.size(), damage_marks_max);
    EXPECT_EQ(*taken.rbegin(), 2 * (damage_marks_max - 1));
    for (const std::uint64_t index : {0U, 2U, 499U, 504U}) EXPECT_FALSE(orders.is_suspect(index)) << index;
    for (const std::uint64_t index : {500U, 501U, 503U}) EXPECT_TRUE(orders.is_suspect(index)) << index;
    EXPECT_FALSE(orders.has_damaged());
}

TEST(SegmentOrders, OneIsAskedForAtATimeAndItsPathStaysUntilTheNext) {
    SegmentOrders orders;
    EXPECT_EQ(orders.wanted(), nullptr);
    EXPECT_EQ(orders.ready(0), nullptr);
    EXPECT_TRUE(orders.ask(header_of(4)));
    EXPECT_FALSE(orders.ask(header_of(4)));
    ASSERT_NE(orders.wanted(), nullptr);
    EXPECT_EQ(orders.wanted()->segment_index, 4U);
    EXPECT_EQ(orders.ready(4), nullptr);
    EXPECT_DEATH(static_cast<void>(orders.ask(header_of(5))), "ready_");
    orders.is_made("four");
    EXPECT_EQ(orders.wanted(), nullptr);
    ASSERT_NE(orders.ready(4), nullptr);
    EXPECT_EQ(*orders.ready(4), "four");
    EXPECT_EQ(orders.ready(5), nullptr);
    EXPECT_FALSE(orders.ask(header_of(4)));
    EXPECT_EQ(orders.released_before(), 0U);
    orders.release(7);
    orders.release(8);
    EXPECT_EQ(orders.released_from(), 7U);
    EXPECT_EQ(orders.released_before(), 9U);
    EXPECT_DEATH(orders.release(7), "released_here_");
}

// Notes which segments are said to leave the page cache.
class NotedDrops final : public ForwardedFiles {
  public:
    int open(const std::string& path, int flags) override {
        const int handle = ForwardedFiles::open(path, flags);
        if (const auto index = segment_index_of(std::filesystem::path(path).filename().string()))
            opened_[handle] = *index;
        return handle;
    }
    void drop_cache(int handle) override { dropped.insert(opened_.at(handle)); }
    std::set<std::uint64_t> dropped;

  private:
    std::map<int, std::uint64_t> opened_;
};

TEST(CacheTrim, WhatAReaderHasLeftBehindLeavesThePageCache) {
    constexpr std::uint64_t last = cached_segments_max + 3;
    JournalBench bench(4 * block_bytes);
    for (std::uint64_t number = 1; number <= 3 * last + 1; ++number) bench.append_durable({batch_of(number, 100)});
    bench.save();
    NotedDrops files;
    const io::UseFiles use(files);
    auto scanner = Scanner::open(bench.path(), {});
    ASSERT_TRUE(scanner.ok());
    keep_cache_small(scanner.value(), bench.path());
    std::uint64_t reached = 0;
    while (const auto record = scanner.value().next()) {
        reached = record->position.value / (4 * block_bytes);
        for (std::uint64_t index = 0; index <= last; ++index) {
            // The scanner may have looked into the next segment already.
            const bool is_dropped = files.dropped.contains(index);
            EXPECT_TRUE(is_dropped || index + cached_segments_max > reached) << index << " at " << reached;
            EXPECT_TRUE(!is_dropped || index + cached_segments_max <= reached + 1) << index << " at " << reached;
        }
    }
    EXPECT_EQ(reached, last);
}

}  // namespace
}  // namespace weir::journal
