// Three starts that die on one segment set it aside, if a trial dies of it too; three that are killed from outside do not.
#include <sys/wait.h>

#include <csignal>

#include "core/journal/segment_files.hpp"
#include "core/journal/start_guard.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

// The kernel's files, but reading in the segment that is poison kills the process.
class Poison final : public io::Files {
  public:
    explicit Poison(std::string path) : path_(std::move(path)), kernel_(io::files()) {}
    int open(const std::string& path, int flags) override {
        const int handle = kernel_.open(path, flags);
        if (path == path_) poisoned_ = handle;
        return handle;
    }
    void close(int handle) override {
        if (handle == poisoned_) poisoned_ = -1;
        kernel_.close(handle);
    }
    std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) override {
        // Its header is harmless: a listing reads it.
        if (handle == poisoned_ && offset >= segment_header_bytes) ::raise(SIGKILL);
        return kernel_.read(handle, bytes, offset);
    }
    std::int64_t write(int handle, ConstBytes bytes, std::uint64_t offset) override {
        return kernel_.write(handle, bytes, offset);
    }
    int sync(int handle) override { return kernel_.sync(handle); }
    int truncate(int handle, std::uint64_t bytes) override { return kernel_.truncate(handle, bytes); }
    std::uint64_t size(int handle) override { return kernel_.size(handle); }
    int lock(int handle) override { return kernel_.lock(handle); }
    int rename(const std::string& from, const std::string& to) override { return kernel_.rename(from, to); }
    int unlink(const std::string& path) override { return kernel_.unlink(path); }
    int make_directory(const std::string& path) override { return kernel_.make_directory(path); }
    bool exists(const std::string& path) override { return kernel_.exists(path); }
    bool is_directory(const std::string& path) override { return kernel_.is_directory(path); }
    int list(const std::string& path, std::vector<std::string>& names) override { return kernel_.list(path, names); }
    int try_apart(const std::function<void()>& work, std::uint32_t ms_max) override {
        return kernel_.try_apart(work, ms_max);
    }
    int random(Bytes bytes) override { return kernel_.random(bytes); }

  private:
    std::string path_;
    io::Files& kernel_;
    int poisoned_ = -1;
};

// A start as a daemon makes it: reads all records, or dies. Returns the records, or nothing if it died.
std::optional<std::size_t> start_in_a_process(const std::string& directory, const std::string& poison,
                                              bool is_killed_outside) {
    int pipe_ends[2];
    WEIR_ASSERT(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    WEIR_ASSERT(child >= 0);
    if (child == 0) {
        Poison files(poison);
        const io::UseFiles use(files);
        auto guard = StartGuard::begin(directory);
        if (!guard) ::_exit(1);
        auto scanner = Scanner::open(directory, {});
        if (!scanner) ::_exit(2);
        scanner.value().on_segment([&](std::uint64_t index) {
            guard.value().reading(index);
            if (is_killed_outside && index == 1) ::raise(SIGKILL);
        });
        std::size_t records = 0;
        while (scanner.value().next()) ++records;
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
        EXPECT_FALSE(start_in_a_process(bench.path(), poison, false).has_value()) << "death " << death;
        EXPECT_TRUE(std::filesystem::exists(poison));
    }
    const auto records = start_in_a_process(bench.path(), poison, false);
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
        EXPECT_FALSE(start_in_a_process(bench.path(), "", true).has_value());
    EXPECT_EQ(start_in_a_process(bench.path(), "", false), std::optional<std::size_t>(40));
    EXPECT_FALSE(std::filesystem::exists(bench.path() + "/quarantine"));
}

TEST_F(StartGuardTest, CountsDeathsInARowOnly) {
    const std::string poison = bench.segment_path(1);
    for (int round = 0; round < 3; ++round) {
        for (std::uint32_t death = 0; death + 1 < failed_starts_max; ++death)
            EXPECT_FALSE(start_in_a_process(bench.path(), poison, false).has_value());
        EXPECT_TRUE(start_in_a_process(bench.path(), "", false).has_value());  // the disk had a good day
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

}  // namespace
}  // namespace weir::journal
