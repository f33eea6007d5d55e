// The scrubber finds what rotted, names it once, follows a journal that is written and trimmed beside it, and keeps its pace.
#include <chrono>

#include "core/journal/scrubber.hpp"
#include "tests/journal/forwarded_files.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

// A journal of several segments, one record each block or so.
void fill(JournalBench& bench, std::uint64_t records) {
    for (std::uint64_t number = 1; number <= records; ++number) bench.append_durable({batch_of(number, 3000)});
    bench.save();
}

void flip(const std::string& path, std::uint64_t offset) {
    auto content = file_content(path);
    content[offset] ^= std::byte{4};
    put_file(path, content);
}

TEST(Scrubber, ReadsEverythingAndFindsNothingWhereNothingIsWrong) {
    JournalBench bench;
    fill(bench, 40);
    ASSERT_TRUE(std::filesystem::exists(bench.segment_path(2)));
    Scrubber scrubber({.directories = {bench.path()}});
    EXPECT_TRUE(scrubber.round());
    EXPECT_EQ(scrubber.counters().rounds.get(), 1U);
    EXPECT_EQ(scrubber.counters().records.get(), 40U);
    EXPECT_EQ(scrubber.counters().damaged_segments.get(), 0U);
    EXPECT_TRUE(scrubber.take_faults().empty());
}

TEST(Scrubber, NamesASegmentThatRottedOnceAndReadsOnBehindIt) {
    JournalBench bench;
    fill(bench, 40);
    flip(bench.segment_path(1), 2 * block_bytes + 700);
    std::vector<std::pair<std::size_t, std::uint64_t>> told;
    Scrubber scrubber({.directories = {bench.path()}, .on_damage = [&](std::size_t number, std::uint64_t index) {
                           told.push_back({number, index});
                       }});
    EXPECT_TRUE(scrubber.round());
    EXPECT_EQ(scrubber.counters().records.get(), 39U);
    const auto faults = scrubber.take_faults();
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_NE(faults[0].find(segment_file_name(1)), std::string::npos) << faults[0];
    EXPECT_TRUE(scrubber.round());
    EXPECT_TRUE(scrubber.take_faults().empty()) << "said twice";
    EXPECT_EQ(told, (std::vector<std::pair<std::size_t, std::uint64_t>>{{0, 1}}));
    EXPECT_EQ(scrubber.counters().damaged_segments.get(), 1U);
}

TEST(Scrubber, NamesASegmentWhoseHeadRotted) {
    JournalBench bench;
    fill(bench, 40);
    flip(bench.segment_path(0), 9);
    std::vector<std::uint64_t> told;
    Scrubber scrubber(
        {.directories = {bench.path()}, .on_damage = [&](std::size_t, std::uint64_t index) { told.push_back(index); }});
    EXPECT_TRUE(scrubber.round());
    EXPECT_EQ(told, std::vector<std::uint64_t>{0});
}

// A process that has no descriptor left for a while.
class NoDescriptors final : public ForwardedFiles {
  public:
    int open(const std::string& path, int flags) override {
        if (!path.ends_with(".seg")) return ForwardedFiles::open(path, flags);
        errno = EMFILE;
        return -1;
    }
};

TEST(Scrubber, TakesWhatItCannotOpenForNoDamage) {
    JournalBench bench;
    fill(bench, 40);
    NoDescriptors files;
    const io::UseFiles in_use(files);
    Scrubber scrubber({.directories = {bench.path()}});
    EXPECT_TRUE(scrubber.round());
    EXPECT_EQ(scrubber.counters().damaged_segments.get(), 0U);
}

TEST(Scrubber, KeepsToItsPaceAndEndsAtOnceWhenItIsStopped) {
    JournalBench bench(256 * block_bytes);
    fill(bench, 250);  // nearly a MiB
    Scrubber paced({.directories = {bench.path()}, .bytes_per_second = 4U << 20});
    const auto began = std::chrono::steady_clock::now();
    EXPECT_TRUE(paced.round());
    EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(150));

    Scrubber slow({.directories = {bench.path()}, .bytes_per_second = 1U << 16, .first_round_s = 0});
    slow.start();
    while (slow.counters().records.get() == 0) std::this_thread::yield();
    const auto asked = std::chrono::steady_clock::now();
    slow.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(2));
    EXPECT_EQ(slow.counters().rounds.get(), 0U);
}

TEST(Scrubber, ItsPaceIsOfWhatTheDiskReadsNotOfTheRecordsInIt) {
    JournalBench bench(512 * block_bytes);
    for (std::uint64_t number = 1; number <= 250; ++number)
        bench.append_durable({batch_of(number, 10)});  // each in a block
    bench.save();
    Scrubber paced({.directories = {bench.path()}, .bytes_per_second = 4U << 20});
    const auto began = std::chrono::steady_clock::now();
    EXPECT_TRUE(paced.round());
    EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(150));
    EXPECT_LT(paced.counters().bytes.get(), 250 * block_bytes / 4);
}

// A file system on which each read of a segment finds one record more in the journal, as beside a writer that is never idle.
class BesideAWriter final : public ForwardedFiles {
  public:
    explicit BesideAWriter(JournalBench& bench) : bench_(bench) {}
    std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) override {
        if (reads++ < 1000 && !std::exchange(is_writing_, true)) {
            bench_.append_durable({batch_of(++last, 3000)});
            bench_.save();
            is_writing_ = false;
        }
        return ForwardedFiles::read(handle, bytes, offset);
    }
    std::uint64_t last = 10;
    std::uint64_t reads = 0;

  private:
    JournalBench& bench_;
    bool is_writing_ = false;
};

TEST(Scrubber, ARoundEndsWhereTheJournalEndedHoweverMuchIsWrittenBesideIt) {
    JournalBench bench(64 * block_bytes);
    fill(bench, 10);
    BesideAWriter files(bench);
    const io::UseFiles in_use(files);
    Scrubber scrubber({.directories = {bench.path()}, .bytes_per_second = 1ULL << 32});
    EXPECT_TRUE(scrubber.round());
    EXPECT_GE(scrubber.counters().records.get(), 10U);
    EXPECT_LT(files.reads, 500U) << "it followed the writer";
}

TEST(Scrubber, TakesNothingThatGoesAwayUnderItForDamage) {
    JournalBench bench(16 * block_bytes);
    fill(bench, 60);
    std::uint64_t rounds = 0;
    Scrubber scrubber({.directories = {bench.path(), bench.path() + "/not-there"}});
    for (std::uint64_t number = 61; number <= 120; ++number) {
        bench.append_durable({batch_of(number, 3000)});
        bench.save();
        if (number % 10 == 0) bench.writer().release_before({(number / 20) * 16 * block_bytes});
        if (number % 3 == 0) rounds += scrubber.round() ? 1 : 0;
    }
    EXPECT_EQ(rounds, 20U);
    EXPECT_EQ(scrubber.counters().damaged_segments.get(), 0U);
}

}  // namespace
}  // namespace weir::journal
