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
const std::string directory = "/edge/spool/default";

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
    // Writes a segment of so many records, `per_group` in each group.
    void write(std::size_t records, std::uint64_t bytes_of_segment, std::size_t per_group = 1) {
        const io::UseFiles use(disk_);
        ASSERT_TRUE(journal::make_directory(directory).ok());
        // Written as the spool does: each group when the one before it is durable.
        SimIo io(clock_, network_, machine_, Random(3), {});
        SimSegmentStore store(clock_, directory, bytes_of_segment, 0);
        journal::JournalWriter writer(
            io, store, {.directory = directory, .journal_id = lineage, .segment_bytes = bytes_of_segment}, {},
            io::Token{});
        ASSERT_TRUE(writer.open().ok());
        std::uint32_t previous_crc = 0;
        crcs_.clear();
        for (Sequence next = 1; crcs_.size() < records;) {
            std::vector<std::byte> bytes;
            std::vector<journal::RecordSlot> slots;
            for (; slots.size() < per_group && crcs_.size() < records; next += 8) {
                const auto batch = batch_of(next, 8, previous_crc);
                const auto batch_bytes = static_cast<std::uint32_t>(batch.size());
                slots.push_back({.at = static_cast<std::uint32_t>(bytes.size()), .batch_bytes = batch_bytes});
                bytes.resize(bytes.size() + journal::record_bytes(batch_bytes));
                std::memcpy(bytes.data() + slots.back().at + sizeof(journal::RecordHeader), batch.data(), batch.size());
                crcs_.push_back(crc32c(0, batch));
            }
            const std::uint64_t group_bytes = round_up(bytes.size(), journal::block_bytes);
            const auto group = journal::make_aligned(group_bytes);
            std::memcpy(group.get(), bytes.data(), bytes.size());
            ASSERT_TRUE(writer.append(Bytes(group.get(), group_bytes), slots, WallNs{1}).has_value());
            clock_.now_ns += ns_per_second;
            for (const auto& one : io.wait({})) writer.on_completion(one);
        }
        const auto* file = machine_.disk.find(directory + "/" + journal::segment_file_name(0));
        ASSERT_NE(file, nullptr);
        whole_ = file->visible;
        ASSERT_EQ(whole_.size(), bytes_of_segment);
    }
    void SetUp() override {
        write(12, segment_bytes);
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
        disk.put(directory + "/" + journal::segment_file_name(0), file);
        auto opened = journal::Scanner::open(directory, {});
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
        disk.put(directory + "/" + journal::segment_file_name(0), file);
        auto recovered = edge::recover(config_);
        ASSERT_TRUE(recovered.ok()) << what << ": " << recovered.error().what;
        // What is appended next lies behind all that can still be read.
        const edge::StreamJournal& journal = recovered.value().spool.lanes.front().journal;
        ASSERT_GE(journal.tail.end, journal.durable_end) << what;
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

// Four thousand in a row are passed over one by one: named as far as there is room for words, all counted, the last record read.
TEST_F(Damage, P9_ThousandsOfDamagedRecordsInARowArePassedOver) {
    constexpr std::size_t records = 4000;
    machine_.disk = Disk(Random(9));
    ASSERT_NO_FATAL_FAILURE(write(records, 64ULL << 20, records - 1));
    std::size_t broken = 0;
    std::uint64_t at = journal::segment_header_bytes;
    for (std::size_t record = 0; record < records; ++record) {
        const auto header = wire::load<journal::RecordHeader>(ConstBytes(whole_).subspan(at));
        ASSERT_EQ(header.magic, journal::record_magic);
        if (record > 0 && record + 1 < records) {
            whole_[at + sizeof(header) + sizeof(wire::BatchHeader) + 20] ^= std::byte{1};
            ++broken;
        }
        at += journal::record_bytes(header.batch_bytes);
        if (record + 2 == records) at = round_up(at, journal::block_bytes);  // the last has a group of its own
    }
    Disk disk{Random(5)};
    const io::UseFiles use(disk);
    disk.put(directory + "/" + journal::segment_file_name(0), whole_);
    auto opened = journal::Scanner::open(directory, {});
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(opened.value().next().has_value());
    const auto last = opened.value().next();
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(crc32c(0, last->batch), crcs_.back());
    EXPECT_EQ(opened.value().damaged_records(), broken);
    EXPECT_FALSE(opened.value().next().has_value());
}

}  // namespace
}  // namespace weir::sim
