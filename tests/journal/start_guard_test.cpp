// Three starts that die on one segment set it aside, if a trial dies of it too; three that are killed from outside do not.
#include <poll.h>
#include <sys/wait.h>

#include <csignal>
#include <set>

#include "core/journal/segment_files.hpp"
#include "core/journal/start_guard.hpp"
#include "tests/journal/forwarded_files.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

// Reading in the segment that is poison raises a signal.
class Poison final : public ForwardedFiles {
  public:
    Poison(std::string path, int signal) : path_(std::move(path)), signal_(signal) {}
    int open(const std::string& path, int flags) override {
        const int handle = ForwardedFiles::open(path, flags);
        if (path == path_) poisoned_ = handle;
        return handle;
    }
    void close(int handle) override {
        if (handle == poisoned_) poisoned_ = -1;
        ForwardedFiles::close(handle);
    }
    std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) override {
        // Its header is harmless: a listing reads it.
        if (handle == poisoned_ && offset >= segment_header_bytes) ::raise(signal_);
        return ForwardedFiles::read(handle, bytes, offset);
    }

  private:
    std::string path_;
    int signal_;
    int poisoned_ = -1;
};

// What becomes of a start.
struct Fate {
    std::string poison = {};  // the segment file that reading dies of, and how
    int signal = SIGABRT;
    bool is_killed_outside = false;
    std::uint64_t deadly_number = 0;  // the record that using dies of
};

// A start as a daemon makes it: reads all records, or dies. Returns the records, or nothing if it died.
std::optional<std::size_t> start_in_a_process(const std::string& directory, const Fate& fate) {
    int pipe_ends[2];
    WEIR_ASSERT(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    WEIR_ASSERT(child >= 0);
    if (child == 0) {
        Poison files(fate.poison, fate.signal);
        const io::UseFiles in_use(files);
        const auto use = [&](const RecordView& record) {
            if (record.batch_header.first_sequence == fate.deadly_number) ::raise(fate.signal);
        };
        auto guard = StartGuard::begin(directory, use);
        if (!guard) ::_exit(1);
        auto scanner = Scanner::open(directory, {});
        if (!scanner) ::_exit(2);
        scanner.value().on_segment([&](std::uint64_t index) {
            guard.value().reading(index);
            if (fate.is_killed_outside && index == 1) ::raise(SIGKILL);
        });
        std::size_t records = 0;
        for (; const auto record = scanner.value().next(); ++records) use(*record);
        guard.value().end();
        WEIR_ASSERT(::write(pipe_ends[1], &records, sizeof records) == sizeof records);
        ::_exit(0);
    }
    ::close(pipe_ends[1]);
    std::size_t records = 0;
    const auto count = ::read(pipe_ends[0], &records, sizeof records);
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (count != sizeof records) {
        EXPECT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
        return std::nullopt;
    }
    return records;
}

class StartGuardTest : public testing::Test {
  protected:
    StartGuardTest() {
        for (std::uint64_t number = 1; number <= 40; ++number) bench.append_durable({batch_of(number, 3000)});
        bench.save();
    }
    JournalBench bench;
};

TEST_F(StartGuardTest, SetsASegmentAsideThatThreeStartsDiedOf) {
    const std::string poison = bench.segment_path(1);
    for (std::uint32_t death = 0; death < failed_starts_max; ++death) {
        EXPECT_FALSE(start_in_a_process(bench.path(), {.poison = poison}).has_value()) << "death " << death;
        EXPECT_TRUE(std::filesystem::exists(poison));
    }
    const auto records = start_in_a_process(bench.path(), {.poison = poison});
    ASSERT_TRUE(records.has_value());
    EXPECT_GT(*records, 0U);
    EXPECT_LT(*records, 40U);
    EXPECT_FALSE(std::filesystem::exists(poison));
    std::size_t kept = 0;
    for (const auto& entry : std::filesystem::directory_iterator(bench.path() + "/quarantine")) {
        ++kept;
        EXPECT_EQ(entry.file_size(), 16 * block_bytes);
    }
    EXPECT_EQ(kept, 1U);
}

TEST_F(StartGuardTest, LeavesASegmentAloneThatOnlyOutsideKillsMetStartsOn) {
    for (std::uint32_t death = 0; death < 2 * failed_starts_max; ++death)
        EXPECT_FALSE(start_in_a_process(bench.path(), {.is_killed_outside = true}).has_value());
    EXPECT_EQ(start_in_a_process(bench.path(), {}), std::optional<std::size_t>(40));
    EXPECT_FALSE(std::filesystem::exists(bench.path() + "/quarantine"));
}

TEST_F(StartGuardTest, SetsASegmentAsideWhoseRecordsThreeStartsDiedOfUsing) {
    const Fate fate{.deadly_number = 20};
    const std::string held = [&] {
        auto scanner = Scanner::open(bench.path(), {});
        while (const auto record = scanner.value().next()) {
            if (record->batch_header.first_sequence == fate.deadly_number)
                return bench.segment_path(record->position.value / (16 * block_bytes));
        }
        return std::string();
    }();
    for (std::uint32_t death = 0; death < failed_starts_max; ++death)
        EXPECT_FALSE(start_in_a_process(bench.path(), fate).has_value()) << "death " << death;
    EXPECT_TRUE(std::filesystem::exists(held));
    EXPECT_TRUE(start_in_a_process(bench.path(), fate).has_value());
    EXPECT_FALSE(std::filesystem::exists(held));
}

TEST_F(StartGuardTest, LeavesASegmentAloneWhoseTrialIsKilledFromOutside) {
    const std::string poison = bench.segment_path(1);
    for (std::uint32_t death = 0; death < 2 * failed_starts_max; ++death)
        EXPECT_FALSE(start_in_a_process(bench.path(), {.poison = poison, .signal = SIGKILL}).has_value());
    EXPECT_TRUE(std::filesystem::exists(poison));
    EXPECT_EQ(start_in_a_process(bench.path(), {}), std::optional<std::size_t>(40));
}

// The trial holds what its process held, the directory's lock among it.
TEST(Trial, EndsWithTheProcessThatMadeIt) {
    int held[2];
    ASSERT_EQ(::pipe(held), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        static_cast<void>(io::files().try_apart(
            [&] {
                WEIR_ASSERT(::write(held[1], "x", 1) == 1);
                for (int i = 0; i < 20; ++i) ::sleep(1);  // bounded, should the test fail
            },
            60'000));
        ::_exit(0);
    }
    ::close(held[1]);
    char byte = 0;
    ASSERT_EQ(::read(held[0], &byte, 1), 1);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    pollfd end{.fd = held[0], .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&end, 1, 5000), 1) << "the trial lives on";
    ::close(held[0]);
}

TEST_F(StartGuardTest, CountsDeathsInARowOnly) {
    const std::string poison = bench.segment_path(1);
    for (int round = 0; round < 3; ++round) {
        for (std::uint32_t death = 0; death + 1 < failed_starts_max; ++death)
            EXPECT_FALSE(start_in_a_process(bench.path(), {.poison = poison}).has_value());
        EXPECT_TRUE(start_in_a_process(bench.path(), {}).has_value());  // the disk had a good day
    }
    EXPECT_TRUE(std::filesystem::exists(poison));
}

TEST(Quarantine, KeepsABoundedNumberOfFilesTheNewestSegments) {
    const Directory directory;
    for (std::uint64_t index = 0; index < quarantine_files_max + 5; ++index) {
        put_file(directory.path() + "/" + segment_file_name(index), std::vector<std::byte>(64));
        ASSERT_TRUE(quarantine(directory.path(), index).ok());
    }
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory.path() + "/quarantine"))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    ASSERT_EQ(names.size(), quarantine_files_max);
    EXPECT_EQ(names.front().substr(0, 20), segment_file_name(5).substr(0, 20));
}

TEST(Quarantine, TheOldestIsWhatCameFirstAlsoWhenIndexesBeginAgain) {
    const Directory directory;
    const auto set_aside = [&](std::uint64_t index, std::size_t bytes) {
        put_file(directory.path() + "/" + segment_file_name(index), std::vector<std::byte>(bytes));
        ASSERT_TRUE(quarantine(directory.path(), index).ok());
    };
    for (std::uint64_t index = 100; index < 100 + quarantine_files_max; ++index) set_aside(index, 64);
    set_aside(0, 65);  // of a new lineage
    set_aside(0, 66);  // and of another, within the same second
    std::multiset<std::size_t> kept;
    for (const auto& entry : std::filesystem::directory_iterator(directory.path() + "/quarantine"))
        kept.insert(entry.file_size());
    EXPECT_EQ(kept.size(), quarantine_files_max);
    EXPECT_EQ(kept.count(65), 1U);
    EXPECT_EQ(kept.count(66), 1U);
}

// On a full disk only what is given back can be written again.
class FullDisk final : public ForwardedFiles {
  public:
    int unlink(const std::string& path) override {
        has_room_ = has_room_ || path.ends_with(".seg");
        return ForwardedFiles::unlink(path);
    }
    int open(const std::string& path, int flags) override {
        if (path.ends_with(".cut") && !has_room_) {
            errno = ENOSPC;
            return -1;
        }
        return ForwardedFiles::open(path, flags);
    }

  private:
    bool has_room_ = false;
};

TEST(SegmentFilesTest, AStartOnAFullDiskHasTheRoomOfTheSegmentMadeAheadForWhatItCuts) {
    JournalBench bench;
    for (std::uint64_t number = 1; number <= 5; ++number) bench.append_durable({batch_of(number, 3000)});
    bench.save();
    const Position end = read_all(bench.path()).tail.end;
    SegmentHeader ahead;
    ahead.role = Role::spool;
    ahead.journal_id = 7;
    ahead.segment_index = 1;
    ahead.segment_bytes = 16 * block_bytes;
    SegmentFiles files(bench.path(), 16 * block_bytes, 0);
    ASSERT_TRUE(files.create(ahead).ok());
    // The last record was never durable in order.
    FullDisk full;
    const io::UseFiles in_use(full);
    EXPECT_TRUE(files.cut_after({end.value - block_bytes}).ok());
    EXPECT_EQ(read_all(bench.path()).numbers.size(), 4U);
}

}  // namespace
}  // namespace weir::journal
