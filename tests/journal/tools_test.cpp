// The tools on a daemon's directory: every event as a line, damage by its place.
#include <sstream>

#include "core/control/journal_tools.hpp"
#include "core/journal/checkpoint.hpp"
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
