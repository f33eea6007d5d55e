// Every truncation and every flipped bit of a 64 KiB segment: recovery goes on, hands out only what was written, in order, and what
// is missing in the middle is named.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/base/crc32c.hpp"
#include "core/journal/scan.hpp"
#include "core/journal/writer.hpp"
#include "edge/recovery.hpp"
#include "tests/simulation/nodes.hpp"

namespace weir::sim {
namespace {

constexpr std::uint64_t segment_bytes = 64U << 10;
constexpr std::uint64_t lineage = 77;

std::vector<std::byte> batch_of(Sequence first, std::uint32_t count, std::uint32_t& previous_crc) {
    std::vector<std::byte> body;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t bytes = 40 + static_cast<std::uint32_t>((first + i) * 37 % 300);
        const std::size_t at = body.size();
        body.resize(at + wire::frame_bytes(bytes));
        wire::store(Bytes(body).subspan(at), wire::FrameHeader{.body_bytes = bytes, .kind = wire::FrameKind::event});
        std::fill_n(body.begin() + static_cast<std::ptrdiff_t>(at + sizeof(wire::FrameHeader)), bytes,
                    static_cast<std::byte>(first + i));
    }
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>("default");
    header.lineage = lineage;
    header.epoch = 1;
    header.first_sequence = first;
    header.count = count;
    header.previous_crc = previous_crc;
    header.totals.accepted = first + count - 1;
    wire::seal(header, body);
    previous_crc = header.header_crc;
    std::vector<std::byte> batch(sizeof header + body.size());
    wire::store(Bytes(batch), header);
    std::copy(body.begin(), body.end(), batch.begin() + sizeof header);
    return batch;
}

class Damage : public ::testing::Test {
  protected:
    void SetUp() override {
        const io::UseFiles use(disk_);
        ASSERT_TRUE(journal::make_directory("/edge/spool").ok());
        // Written as the spool does: each group when the one before it is durable.
        SimIo io(clock_, network_, machine_, Random(3), {});
        SimSegmentStore store(clock_, "/edge/spool", segment_bytes, 0);
        journal::JournalWriter writer(
            io, store, {.directory = "/edge/spool", .journal_id = lineage, .segment_bytes = segment_bytes}, {},
            io::Token{});
        ASSERT_TRUE(writer.open().ok());
        std::uint32_t previous_crc = 0;
        for (Sequence next = 1; crcs_.size() < 12; next += 8) {
            const auto batch = batch_of(next, 8, previous_crc);
            const std::uint64_t bytes =
                round_up(journal::record_bytes(static_cast<std::uint32_t>(batch.size())), journal::block_bytes);
            const auto group = journal::make_aligned(bytes);
            std::memcpy(group.get() + sizeof(journal::RecordHeader), batch.data(), batch.size());
            const journal::RecordSlot slot{.at = 0, .batch_bytes = static_cast<std::uint32_t>(batch.size())};
            ASSERT_TRUE(writer.append(Bytes(group.get(), bytes), {&slot, 1}, WallNs{1}).has_value());
            clock_.now_ns += ns_per_second;
            for (const auto& one : io.wait({})) writer.on_completion(one);
            crcs_.push_back(crc32c(0, batch));
        }
        const auto* file = machine_.disk.find("/edge/spool/" + journal::segment_file_name(0));
        ASSERT_NE(file, nullptr);
        whole_ = file->visible;
        ASSERT_EQ(whole_.size(), segment_bytes);
        config_.edge_id = "north";
        config_.data_dir = "/edge";
        config_.cache.ids_max = 64;
        config_.cache.producers_max = 4;
        config_.spool.segment_bytes = segment_bytes;
        config_.lanes = {edge::LaneConfig{.name = "default"}};
    }

    // What a reader gets of a damaged file, and what recovery makes of it.
    void judge(const std::vector<std::byte>& file, const std::string& what) {
        Disk disk{Random(5)};
        const io::UseFiles use(disk);
        disk.put("/edge/spool/" + journal::segment_file_name(0), file);
        auto opened = journal::Scanner::open("/edge/spool", {});
        ASSERT_TRUE(opened.ok()) << what;
        std::size_t at = 0;
        bool has_hole = false;
        while (const auto record = opened.value().next()) {
            const std::uint32_t crc = crc32c(0, record->batch);
            const std::size_t before = at;
            while (at < crcs_.size() && crcs_[at] != crc) ++at;
            ASSERT_LT(at, crcs_.size()) << what << ": a record that nobody wrote, or out of order";
            has_hole = has_hole || at != before;
            ++at;
        }
        if (has_hole) {
            ASSERT_FALSE(opened.value().fault().empty()) << what << ": a hole that is not named";
        }
        ++(at == crcs_.size() && !has_hole ? whole_cases_ : damaged_cases_);
    }
    void recover(const std::vector<std::byte>& file, const std::string& what) {
        Disk disk{Random(5)};
        const io::UseFiles use(disk);
        disk.put("/edge/spool/" + journal::segment_file_name(0), file);
        auto recovered = edge::recover(config_);
        ASSERT_TRUE(recovered.ok()) << what << ": " << recovered.error().what;
        // What is appended next lies behind all that can still be read.
        ASSERT_GE(recovered.value().spool.tail.end, recovered.value().spool.durable_end) << what;
        ++recoveries_;
    }
    void tell(const char* what) const {
        std::printf("%s: %llu cases: %llu with all records, %llu with fewer; %llu recoveries\n", what,
                    static_cast<unsigned long long>(whole_cases_ + damaged_cases_),
                    static_cast<unsigned long long>(whole_cases_), static_cast<unsigned long long>(damaged_cases_),
                    static_cast<unsigned long long>(recoveries_));
    }

    Clock clock_;
    Network network_{Random(1)};
    Machine machine_{.number = 1, .disk = Disk(Random(2))};
    Disk& disk_ = machine_.disk;
    edge::EdgeConfig config_;
    std::vector<std::uint32_t> crcs_;  // of each batch, in order
    std::vector<std::byte> whole_;
    std::uint64_t whole_cases_ = 0, damaged_cases_ = 0, recoveries_ = 0;
};

TEST_F(Damage, P9_EveryTruncationOfASegmentIsSeen) {
    for (std::size_t bytes = 0; bytes < whole_.size(); ++bytes) {
        const std::vector<std::byte> cut(whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(bytes));
        ASSERT_NO_FATAL_FAILURE(judge(cut, "cut to " + std::to_string(bytes)));
        if (bytes % 61 != 0) continue;
        ASSERT_NO_FATAL_FAILURE(recover(cut, "cut to " + std::to_string(bytes)));
    }
    tell("truncations");
    EXPECT_EQ(whole_cases_ + damaged_cases_, segment_bytes);
}

TEST_F(Damage, P9_EveryFlippedBitOfASegmentIsSeen) {
    auto file = whole_;
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
        const auto mask = static_cast<std::byte>(1U << (bit % 8));
        file[bit / 8] ^= mask;
        ASSERT_NO_FATAL_FAILURE(judge(file, "bit " + std::to_string(bit)));
        if (bit % 509 == 0) {
            ASSERT_NO_FATAL_FAILURE(recover(file, "bit " + std::to_string(bit)));
        }
        file[bit / 8] ^= mask;
    }
    tell("flipped bits");
    EXPECT_EQ(whole_cases_ + damaged_cases_, segment_bytes * 8);
}

}  // namespace
}  // namespace weir::sim
