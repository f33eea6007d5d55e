#include "core/journal/segments.hpp"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "core/base/clock.hpp"
#include "core/journal/cache_trim.hpp"
#include "core/journal/segment_files.hpp"
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

TEST(SegmentOrders, TheWorkerIsBehindWhereItHasNotFilledTwiceWhatIsUsed) {
    SegmentOrders orders;
    EXPECT_FALSE(orders.use(1000)) << "nothing is wanted";
    EXPECT_TRUE(orders.ask(header_of(4)));
    EXPECT_TRUE(orders.use(1000));
    EXPECT_EQ(orders.pace(), FillPace::hurried) << "nothing is filled";
    orders.fill(1000);
    EXPECT_EQ(orders.pace(), FillPace::steady);
    orders.fill(2 * 1000 - 1);
    EXPECT_EQ(orders.pace(), FillPace::steady);
    orders.fill(2 * 1000);
    EXPECT_EQ(orders.pace(), FillPace::slow);
    EXPECT_FALSE(orders.use(1000));
    EXPECT_TRUE(orders.use(1001));
    orders.is_made("four");
    EXPECT_FALSE(orders.use(segment_bytes)) << "it is ready";
    EXPECT_TRUE(orders.ask(header_of(5)));
    EXPECT_TRUE(orders.use(1)) << "the next one begins anew";
    orders.pause();
    EXPECT_FALSE(orders.use(segment_bytes)) << "its time has not come";
    orders.fill(1);
    EXPECT_TRUE(orders.use(segment_bytes));
}

TEST(SegmentOrders, WhereZerosCannotBeInTimeTheRestIsAllocated) {
    constexpr std::uint64_t bytes = 2 * fill_lag_share * fill_lag_bytes;
    constexpr std::uint64_t lag_max = bytes / fill_lag_share;
    SegmentOrders orders;
    SegmentHeader header = header_of(4);
    header.segment_bytes = bytes;
    ASSERT_TRUE(orders.ask(header));
    EXPECT_TRUE(orders.use(bytes));
    EXPECT_EQ(orders.pace(), FillPace::hurried) << "the first is filled whole";
    orders.is_made("four");
    ++header.segment_index;
    ASSERT_TRUE(orders.ask(header));
    EXPECT_TRUE(orders.use(lag_max));
    EXPECT_EQ(orders.pace(), FillPace::hurried);
    EXPECT_FALSE(orders.use(lag_max + 1)) << "it lags: what is used does not hurry it";
    EXPECT_EQ(orders.pace(), FillPace::lagging);
    orders.fill(1);
    EXPECT_EQ(orders.pace(), FillPace::hurried);
    orders.fill(lag_max + 1);
    EXPECT_EQ(orders.pace(), FillPace::steady);
    EXPECT_FALSE(orders.use(bytes / fill_lead - 1));
    EXPECT_EQ(orders.pace(), FillPace::lagging);
    EXPECT_TRUE(orders.use(bytes / fill_lead));
    EXPECT_EQ(orders.pace(), FillPace::enough);
    orders.pause();
    EXPECT_FALSE(orders.use(bytes)) << "its time has not come";
    orders.fill(0);
    EXPECT_EQ(orders.pace(), FillPace::enough);
    orders.fill_all();
    EXPECT_EQ(orders.pace(), FillPace::hurried) << "nothing can be allocated";
    orders.is_made("five");
    ++header.segment_index;
    ASSERT_TRUE(orders.ask(header));
    EXPECT_EQ(orders.pace(), FillPace::hurried) << "nor for the next one";
}

TEST(SegmentOrders, OfASmallSegmentHalfIsNoLag) {
    SegmentOrders orders;
    ASSERT_TRUE(orders.ask(header_of(3)));
    orders.is_made("three");
    SegmentHeader header = header_of(4);
    header.segment_bytes = 2 * fill_lag_bytes;
    ASSERT_TRUE(orders.ask(header));
    EXPECT_TRUE(orders.use(fill_lag_bytes - 1));
    EXPECT_EQ(orders.pace(), FillPace::hurried);
    EXPECT_TRUE(orders.use(fill_lag_bytes));
    EXPECT_EQ(orders.pace(), FillPace::enough);
}

// Segments that are filled in many pieces.
class PaceBench {
  public:
    static constexpr std::uint64_t pieces = 4096;
    static constexpr std::uint64_t bytes = pieces * fill_paced_bytes;
    static constexpr std::uint64_t paced_ns = pieces * fill_pause_ns;

    explicit PaceBench(io::Files& files = io::files())
        : files_(files), store_(make_segment_store(directory_.path(), bytes, 0, nullptr, nullptr)) {}
    [[nodiscard]] SegmentHeader header(std::uint64_t index) const {
        SegmentHeader made = header_of(index);
        made.segment_bytes = bytes;
        made.crc = segment_crc(made);
        return made;
    }
    // Of the first one none may stay unfilled: it is there when this returns, and nothing of the next one is used.
    void make_first() {
        store_->use(bytes);
        store_->prepare(header(0));
        static_cast<void>(await_ready(0));
        store_->use(0);
        prepared_before_ = store_->prepared_bytes();
    }
    void prepare(std::uint64_t index) {
        began_ = monotonic_now();
        store_->prepare(header(index));
    }
    [[nodiscard]] SegmentStore& store() { return *store_; }
    [[nodiscard]] std::uint64_t lasted_ns() const { return monotonic_now().since(began_); }
    [[nodiscard]] std::uint64_t prepared() const { return store_->prepared_bytes() - prepared_before_; }
    void await(std::uint64_t wanted) {
        while (prepared() < wanted) std::this_thread::yield();
    }
    [[nodiscard]] std::string await_ready(std::uint64_t index) {
        while (store_->ready(index) == nullptr) std::this_thread::yield();
        return *store_->ready(index);
    }

  private:
    const Directory directory_;
    const io::UseFiles files_;
    MonotonicNs began_{};
    std::unique_ptr<SegmentStore> store_;
    std::uint64_t prepared_before_ = 0;
};

// Where nothing can be allocated.
class WithoutAllocate : public ForwardedFiles {
  public:
    explicit WithoutAllocate(int code) : code_(code) {}
    int allocate(int, std::uint64_t) override {
        errno = code_;
        return -1;
    }

  private:
    const int code_;
};

// True where every byte from `begin` on is zero.
bool is_zero(const std::string& path, std::uint64_t begin) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes(std::filesystem::file_size(path));
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return file.gcount() == static_cast<std::streamsize>(bytes.size()) &&
           std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.end(), [](char c) { return c == 0; });
}

TEST(SegmentPace, WhileNothingIsUsedZerosComeSlowly) {
    PaceBench bench;
    bench.prepare(0);
    for (std::uint64_t pieces = 0; pieces < 8;) {
        pieces = bench.prepared() / fill_paced_bytes;
        EXPECT_LE(pieces, bench.lasted_ns() / fill_pause_ns + 1);
        std::this_thread::yield();
    }
    EXPECT_EQ(bench.store().ready(0), nullptr);
}

TEST(SegmentPace, WhatIsUsedHurriesThem) {
    PaceBench bench;
    bench.make_first();
    bench.prepare(1);
    for (std::uint64_t used = fill_lag_bytes; used < PaceBench::bytes / fill_lead; used += fill_lag_bytes) {
        bench.store().use(used);
        bench.await(fill_lead * used);
    }
    EXPECT_EQ(bench.store().ready(1), nullptr);
    EXPECT_LT(bench.lasted_ns(), PaceBench::paced_ns / 2);
}

TEST(SegmentPace, WhereTheyCannotBeInTimeTheRestIsAllocated) {
    PaceBench bench;
    bench.make_first();
    bench.prepare(1);
    bench.await(fill_paced_bytes);
    const MonotonicNs began = monotonic_now();
    bench.store().use(PaceBench::bytes / fill_lead - 1);
    bench.await(bench.prepared() + 2 * fill_lagging_bytes);  // a piece that is under way is no half of that
    EXPECT_GE(monotonic_now().since(began), fill_lagging_ns);
    EXPECT_EQ(bench.store().ready(1), nullptr);
    bench.store().use(PaceBench::bytes / fill_lead);
    const std::string path = bench.await_ready(1);
    EXPECT_LT(bench.prepared(), PaceBench::bytes / 2);
    EXPECT_EQ(std::filesystem::file_size(path), PaceBench::bytes);
    EXPECT_TRUE(is_zero(path, block_bytes));
    // It may be gone on with as any other.
    SegmentFiles files(std::filesystem::path(path).parent_path().string(), PaceBench::bytes, 0);
    EXPECT_TRUE(files.create(bench.header(1)));
}

TEST(SegmentPace, WhereNothingCanBeAllocatedARunnerThatWaitsHurriesThemMost) {
    for (const int code : {EOPNOTSUPP, ENOSYS, EPERM}) {
        WithoutAllocate files(code);
        PaceBench bench(files);
        bench.make_first();
        bench.prepare(1);
        bench.store().use(PaceBench::bytes);  // a runner waits
        EXPECT_TRUE(is_zero(bench.await_ready(1), block_bytes));
        EXPECT_EQ(bench.prepared(), PaceBench::bytes + block_bytes);
        EXPECT_LT(bench.lasted_ns(), PaceBench::paced_ns / 2);
    }
}

TEST(SegmentPace, TheFirstIsFilledWhole) {
    PaceBench bench;
    bench.make_first();
    EXPECT_EQ(bench.store().prepared_bytes(), PaceBench::bytes + block_bytes);
}

TEST(SegmentFiles, WhatIsNotAllocatedIsNotFinishedBeforeItIsFilled) {
    const Directory directory;
    WithoutAllocate without_allocate(ENOSYS);
    const io::UseFiles use(without_allocate);
    SegmentFiles files(directory.path(), segment_bytes, 0);
    SegmentFiles::Making making;
    ASSERT_EQ(files.begin(header_of(0), making), 0);
    ASSERT_EQ(files.fill(making, block_bytes), 0);
    EXPECT_EQ(files.allocate_rest(making), EOPNOTSUPP);
    EXPECT_DEATH(static_cast<void>(files.finish(making)), "is_whole");
    ASSERT_EQ(files.fill(making, block_bytes), 0);
    EXPECT_EQ(files.finish(making), 0);
}

TEST(SegmentPace, AStoreThatEndsMeanwhileLeavesNothing) {
    const Directory directory;
    SegmentWorker worker(nullptr, nullptr);
    auto store = make_segment_store(worker, directory.path(), 64 * fill_paced_bytes, 0);
    SegmentHeader header = header_of(0);
    header.segment_bytes = 64 * fill_paced_bytes;
    header.crc = segment_crc(header);
    store->prepare(header);
    while (store->prepared_bytes() == 0) std::this_thread::yield();
    store.reset();
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

// While it lives, no file of this process grows beyond so many bytes: a write there fails with EFBIG.
class LittleRoom {
  public:
    explicit LittleRoom(std::uint64_t bytes) : signal_(::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit little{bytes, before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
    }
    ~LittleRoom() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        ::signal(SIGXFSZ, signal_);
    }
    LittleRoom(const LittleRoom&) = delete;
    LittleRoom& operator=(const LittleRoom&) = delete;

  private:
    sighandler_t signal_;
    rlimit before_{};
};

TEST(SegmentPace, WhereThereIsNoRoomTheFirstPiecesOfAnotherTryDoNotSayThatThereIs) {
    const Directory directory;
    const auto store = make_segment_store(directory.path(), 8 * fill_paced_bytes, 0, nullptr, nullptr);
    SegmentHeader header = header_of(0);
    header.segment_bytes = 8 * fill_paced_bytes;
    header.crc = segment_crc(header);
    {
        const LittleRoom room(4 * fill_paced_bytes);
        store->prepare(header);
        while (store->prepare_errno() == 0) std::this_thread::yield();
        EXPECT_EQ(store->prepared_bytes(), 4 * fill_paced_bytes);
        while (store->prepared_bytes() < 8 * fill_paced_bytes) EXPECT_EQ(store->prepare_errno(), EFBIG);
    }
    while (store->ready(0) == nullptr) std::this_thread::yield();
    EXPECT_EQ(store->prepare_errno(), 0);
}

TEST(SegmentPace, WhereThereIsNoRoomToAllocateNothingIsLeftAndItIsTriedAgain) {
    const Directory directory;
    const auto store = make_segment_store(directory.path(), 8 * fill_paced_bytes, 0, nullptr, nullptr);
    SegmentHeader header = header_of(0);
    header.segment_bytes = 8 * fill_paced_bytes;
    header.crc = segment_crc(header);
    store->use(header.segment_bytes);  // a runner waits
    store->prepare(header);
    while (store->ready(0) == nullptr) std::this_thread::yield();
    const std::uint64_t prepared = store->prepared_bytes();
    header.segment_index = 1;
    header.crc = segment_crc(header);
    {
        const LittleRoom room(4 * fill_paced_bytes);
        store->prepare(header);
        while (store->prepare_errno() == 0) std::this_thread::yield();
        EXPECT_EQ(store->prepare_errno(), EFBIG);
        const std::filesystem::directory_iterator entries(directory.path());
        EXPECT_EQ(std::distance(begin(entries), end(entries)), 1) << "the first";
    }
    while (store->ready(1) == nullptr) std::this_thread::yield();
    EXPECT_EQ(store->prepare_errno(), 0);
    EXPECT_EQ(store->prepared_bytes(), prepared + block_bytes) << "its header";
}

// Segments that are deleted in pieces.
struct ShrinkTest : ::testing::Test {
    static constexpr std::uint64_t bytes = 4 * shrink_bytes;
    static SegmentHeader header(std::uint64_t index) {
        SegmentHeader made = header_of(index);
        made.segment_bytes = bytes;
        made.crc = segment_crc(made);
        return made;
    }
    void make(SegmentFiles& files, std::uint64_t count) {
        for (std::uint64_t index = 0; index < count; ++index) ASSERT_EQ(files.make(header(index)), 0);
    }
    // Lengths of the files there, the shortest first.
    [[nodiscard]] std::vector<std::uint64_t> lengths() const {
        std::vector<std::uint64_t> found;
        for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
            std::error_code is_gone;
            const auto length = std::filesystem::file_size(entry.path(), is_gone);
            if (!is_gone) found.push_back(length);
        }
        std::sort(found.begin(), found.end());
        return found;
    }
    const Directory directory;
};

TEST_F(ShrinkTest, WhatIsLetGoHasLostItsNameAndGoesPieceByPiece) {
    SegmentFiles files(directory.path(), bytes, 0);
    make(files, 2);
    files.let_go(0);
    EXPECT_FALSE(std::filesystem::exists(files.path_of(0)));
    for (std::uint64_t left = 3; left > 0; --left) {
        EXPECT_FALSE(files.shrink());
        EXPECT_EQ(lengths(), (std::vector<std::uint64_t>{left * shrink_bytes, bytes}));
    }
    EXPECT_TRUE(files.shrink());
    EXPECT_FALSE(files.is_shrinking());
    EXPECT_EQ(lengths(), (std::vector<std::uint64_t>{bytes}));
    EXPECT_TRUE(std::filesystem::exists(files.path_of(1)));
}

// What is done to names and lengths, in order.
class NotedChanges final : public ForwardedFiles {
  public:
    int open(const std::string& path, int flags) override {
        const int handle = ForwardedFiles::open(path, flags);
        paths_[handle] = path;
        return handle;
    }
    int rename(const std::string& from, const std::string& to) override {
        done.push_back("rename");
        return ForwardedFiles::rename(from, to);
    }
    int sync(int handle) override {
        done.push_back(std::filesystem::is_directory(paths_[handle]) ? "sync directory" : "sync file");
        return ForwardedFiles::sync(handle);
    }
    int truncate(int handle, std::uint64_t bytes) override {
        done.push_back("cut");
        return ForwardedFiles::truncate(handle, bytes);
    }
    std::vector<std::string> done;

  private:
    std::map<int, std::string> paths_;
};

TEST_F(ShrinkTest, ItsNameIsOffTheDiskBeforeAByteGoes) {
    NotedChanges changes;
    const io::UseFiles in_use(changes);
    SegmentFiles files(directory.path(), bytes, 0);
    make(files, 1);
    changes.done.clear();
    files.let_go(0);
    EXPECT_FALSE(files.shrink());
    EXPECT_EQ(changes.done, (std::vector<std::string>{"rename", "sync directory", "cut"}));
}

TEST_F(ShrinkTest, BeyondSoManyTheNextGoesAtOnce) {
    SegmentFiles files(directory.path(), bytes, 1);
    make(files, shrinking_max + 4);
    for (std::uint64_t index = 0; index < shrinking_max + 3; ++index) files.let_go(index);
    EXPECT_EQ(lengths(), std::vector<std::uint64_t>(1 + shrinking_max + 1, bytes))
        << "a spare, those that wait, the last";
}

TEST_F(ShrinkTest, ADiskWithoutRoomGetsItAllAtOnce) {
    SegmentFiles files(directory.path(), bytes, 1);
    make(files, 3);
    EXPECT_FALSE(files.give_back());
    files.let_go(0);
    files.let_go(1);
    ASSERT_TRUE(files.is_shrinking());
    EXPECT_TRUE(files.give_back());
    EXPECT_FALSE(files.is_shrinking());
    EXPECT_EQ(lengths(), (std::vector<std::uint64_t>{bytes}));
}

TEST_F(ShrinkTest, TheEndAndTheNextStartClearAwayWhatIsLeft) {
    {
        SegmentFiles files(directory.path(), bytes, 0);
        make(files, 1);
        files.let_go(0);
        EXPECT_FALSE(lengths().empty());
    }
    EXPECT_TRUE(lengths().empty());
    std::ofstream(directory.path() + "/00000000000000000000-gone.tmp") << "of a life that was killed";
    SegmentFiles files(directory.path(), bytes, 0);
    EXPECT_TRUE(lengths().empty());
}

TEST_F(ShrinkTest, AWorkerTakesItsTime) {
    const auto store = make_segment_store(directory.path(), bytes, 0, nullptr, nullptr);
    ASSERT_TRUE(store->create_now(header(0)).ok());
    const MonotonicNs began = monotonic_now();
    store->release(0);
    const std::string gone = directory.path() + "/00000000000000000000-gone.tmp";
    while (std::filesystem::exists(store->path_of(0)) || std::filesystem::exists(gone)) std::this_thread::yield();
    EXPECT_GE(monotonic_now().since(began), (bytes / shrink_bytes - 1) * shrink_pause_ns);
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
