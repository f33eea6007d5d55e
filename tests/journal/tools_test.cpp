// The tools on a daemon's directory: every event as a line, damage by its place.
#include <filesystem>
#include <sstream>
#include <utility>

#include "core/control/journal_tools.hpp"
#include "core/journal/checkpoint.hpp"
#include "tests/journal/forwarded_files.hpp"
#include "tests/journal/journal_bench.hpp"
#include "tests/journal/letter_samples.hpp"

namespace weir::journal {
namespace {

// A data_dir whose spool holds what the bench wrote.
class ToolsTest : public testing::Test {
  protected:
    void write(const std::vector<std::vector<std::byte>>& batches) {
        for (const auto& batch : batches) bench_.append_durable({batch});
        bench_.save();
        ASSERT_TRUE(make_directory(data_.path() + "/spool/default").ok());
        std::filesystem::copy_file(bench_.segment_path(0), data_.path() + "/spool/default/" + segment_file_name(0));
    }
    int journal(std::string_view verb, bool json) {
        out_.str({});
        return control::journal_command(verb, data_.path(), json, out_, err_);
    }
    JournalBench bench_{8U << 20};
    Directory data_;
    std::ostringstream out_, err_;
};

TEST_F(ToolsTest, CatPrintsOneEventALineWithItsPlace) {
    write({event_batch(1, 2), letter_batch(1, {{.original = "junk"}}), event_batch(3, 1)});
    ASSERT_EQ(journal("cat", true), 0);
    std::string expected;
    for (const char* number : {"1", "2", "3"}) {
        expected += std::string(R"({"id":"id-)") + number +
                    R"(","type":"speeding","source":"camera-1","data":{"fine":51.0})" +
                    R"(,"edge":"north","lane":"default","sequence":)" + number + "}\n";
    }
    EXPECT_EQ(out_.str(), expected);
    ASSERT_EQ(journal("cat", false), 0);
    EXPECT_NE(out_.str().find("north default 3 - camera-1 speeding id-3"), std::string::npos);
    EXPECT_EQ(err_.str(), "");
}

TEST_F(ToolsTest, VerifyIsContentWithACleanTailAndNamesDamageAndGaps) {
    write({event_batch(1, 2), event_batch(3, 1), event_batch(4, 1), event_batch(5, 1)});
    EXPECT_EQ(journal("verify", true), 0);
    EXPECT_NE(out_.str().find(R"("whole":true,"records":4,"events":5)"), std::string::npos);
    auto content = file_content(data_.path() + "/spool/default/" + segment_file_name(0));
    content[2 * block_bytes + 300] ^= std::byte{4};
    put_file(data_.path() + "/spool/default/" + segment_file_name(0), content);
    EXPECT_EQ(journal("verify", false), 1);
    EXPECT_NE(err_.str().find(segment_file_name(0) + ":"), std::string::npos);
    EXPECT_NE(err_.str().find("goes on with sequence 4 after 2"), std::string::npos);
    EXPECT_NE(out_.str().find("DAMAGED"), std::string::npos);
}

// A segment that is released, and goes piece by piece, while a tool is in it.
class ReleasedBeside final : public ForwardedFiles {
  public:
    explicit ReleasedBeside(std::string path) : path_(std::move(path)) {}
    std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) override {
        if (offset >= (1U << 20) && !std::exchange(is_released, true)) {
            std::filesystem::rename(path_, path_ + "-gone.tmp");
            std::filesystem::resize_file(path_ + "-gone.tmp", 1280U << 10);
        }
        return ForwardedFiles::read(handle, bytes, offset);
    }
    bool is_released = false;

  private:
    std::string path_;
};

TEST_F(ToolsTest, VerifyTakesWhatIsReleasedUnderItForNoBreak) {
    JournalBench bench(2U << 20);
    for (std::uint64_t number = 1; number <= 700; ++number) bench.append_durable({batch_of(number, 3000)});
    bench.save();
    const std::string spool = data_.path() + "/spool/default/";
    std::filesystem::create_directories(spool);
    for (std::uint64_t index = 0; index < 2; ++index) {
        std::filesystem::copy_file(bench.segment_path(index), spool + segment_file_name(index));
    }
    ReleasedBeside files(spool + segment_file_name(0));
    const io::UseFiles in_use(files);
    EXPECT_EQ(journal("verify", true), 0) << err_.str();
    EXPECT_TRUE(files.is_released);
    EXPECT_NE(out_.str().find(R"("whole":true)"), std::string::npos) << out_.str();
    EXPECT_EQ(out_.str().find(R"("records":700)"), std::string::npos) << "not all was there to be read";
}

TEST_F(ToolsTest, LsSumsEachSegment) {
    write({event_batch(1, 2), event_batch(3, 1)});
    ASSERT_EQ(journal("ls", true), 0);
    EXPECT_NE(out_.str().find(R"("segment":0,"first_position":4096)"), std::string::npos);
    EXPECT_NE(out_.str().find(R"("records":2,"events":3)"), std::string::npos);
}

TEST_F(ToolsTest, ADirectoryWithoutAJournalIsAnErrorOfItsOwn) {
    EXPECT_EQ(journal("cat", true), 2);
    EXPECT_EQ(journal("dance", true), 2);
}

}  // namespace
}  // namespace weir::journal
