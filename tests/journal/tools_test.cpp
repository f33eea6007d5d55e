// The tools on a daemon's directory: every event as a line, every dead letter with its bytes, damage by its place.
#include <sstream>

#include "core/control/journal_tools.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/wire/event.hpp"
#include "core/wire/verdict.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

void add_frame(std::vector<std::byte>& body, wire::FrameKind kind, ConstBytes content) {
    wire::FrameHeader frame;
    frame.kind = kind;
    frame.body_bytes = static_cast<std::uint32_t>(content.size());
    const std::size_t at = body.size();
    body.resize(at + wire::frame_bytes(frame.body_bytes));
    wire::store(Bytes(body).subspan(at), frame);
    std::copy(content.begin(), content.end(), body.begin() + static_cast<std::ptrdiff_t>(at + sizeof frame));
}

std::vector<std::byte> sealed(const std::vector<std::byte>& body, std::uint32_t count, Sequence first, LaneId lane,
                              std::string_view lane_name) {
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane_name);
    header.lane = lane;
    header.lineage = 7;
    header.epoch = 1;
    header.first_sequence = first;
    header.count = count;
    wire::seal(header, body);
    std::vector<std::byte> batch(sizeof header + body.size());
    wire::store(Bytes(batch), header);
    std::copy(body.begin(), body.end(), batch.begin() + sizeof header);
    return batch;
}

std::vector<std::byte> event_batch(Sequence first, std::uint32_t count) {
    wire::EventBuilder builder;
    std::vector<std::byte> body;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string id = "id-" + std::to_string(first + i);
        wire::EventView event;
        event.id = id;
        event.type = "speeding";
        event.source = "camera-1";
        event.payload = R"({"fine":51.0})";
        add_frame(body, wire::FrameKind::event, builder.build(event));
    }
    return sealed(body, count, first, 0, "default");
}

std::vector<std::byte> dead_letter_batch(std::string_view original) {
    wire::DeadLetterHead head;
    head.reason = wire::Reason::out_of_range;
    head.stage = wire::StageId::validate;
    head.rule = 3;
    head.original_bytes = static_cast<std::uint32_t>(original.size());
    head.received_wall_ns = 1'512'086'407'000'000'000;
    head.producer = wire::name_field<64>("gate-1");
    std::vector<std::byte> content(sizeof head + original.size());
    wire::store(Bytes(content), head);
    std::memcpy(content.data() + sizeof head, original.data(), original.size());
    std::vector<std::byte> body;
    add_frame(body, wire::FrameKind::dead_letter, content);
    return sealed(body, 1, 1, dead_letter_lane, dead_letter_lane_name);
}

// A data_dir whose spool holds what the bench wrote.
class ToolsTest : public testing::Test {
  protected:
    void write(const std::vector<std::vector<std::byte>>& batches) {
        for (const auto& batch : batches) bench_.append_durable({batch});
        bench_.save();
        ASSERT_TRUE(make_directory(data_.path() + "/spool").ok());
        std::filesystem::copy_file(bench_.segment_path(0), data_.path() + "/spool/" + segment_file_name(0));
    }
    int journal(std::string_view verb, bool json) {
        out_.str({});
        return control::journal_command(verb, data_.path(), json, out_, err_);
    }
    int dead_letters(std::string_view verb, bool json, const control::DeadLetterFilter& filter = {}) {
        out_.str({});
        return control::dead_letters_command(verb, data_.path(), json, filter, out_, err_);
    }
    JournalBench bench_{8U << 20};
    Directory data_;
    std::ostringstream out_, err_;
};

TEST_F(ToolsTest, CatPrintsOneEventALineWithItsPlace) {
    write({event_batch(1, 2), dead_letter_batch("junk"), event_batch(3, 1)});
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
    auto content = file_content(data_.path() + "/spool/" + segment_file_name(0));
    content[2 * block_bytes + 300] ^= std::byte{4};
    put_file(data_.path() + "/spool/" + segment_file_name(0), content);
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

TEST_F(ToolsTest, DeadLettersAreListedWithReasonAndShownWithTheirBytes) {
    write({event_batch(1, 1), dead_letter_batch("ab\x01")});
    ASSERT_EQ(dead_letters("ls", true), 0);
    const std::string line = out_.str();
    EXPECT_NE(line.find(R"("time":"2017-12-01T00:00:07Z","edge":"north","sequence":1)"), std::string::npos);
    EXPECT_NE(line.find(R"("rule":3,"producer":"gate-1","bytes":3,"prefix":"ab.")"), std::string::npos);
    ASSERT_EQ(dead_letters("show", true), 0);
    EXPECT_NE(out_.str().find(R"("base64":"YWIB")"), std::string::npos);
    ASSERT_EQ(dead_letters("show", false), 0);
    EXPECT_NE(out_.str().find("  00000000  61 62 01 "), std::string::npos);
    ASSERT_EQ(dead_letters("ls", false, {.sequence = 2, .edge = ""}), 0);
    EXPECT_EQ(out_.str(), "");
}

TEST_F(ToolsTest, ADirectoryWithoutAJournalIsAnErrorOfItsOwn) {
    EXPECT_EQ(journal("cat", true), 2);
    EXPECT_EQ(journal("dance", true), 2);
    EXPECT_EQ(dead_letters("ls", true), 2);
}

}  // namespace
}  // namespace weir::journal
