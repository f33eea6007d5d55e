// AuditBench: the directories of one central and one edge, written record by record as their writers do, and what an audit says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "central/audit/command.hpp"
#include "central/audit/reader.hpp"
#include "central/recovery/recovery.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/wire/control.hpp"
#include "core/wire/event.hpp"
#include "edge/spool/spool_checkpoint.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::central::audit {

using Batch = std::vector<std::byte>;

inline constexpr std::uint64_t lineage = 7;

[[nodiscard]] inline wire::BatchHeader header_of(const Batch& batch) {
    return wire::load<wire::BatchHeader>(batch);
}

// The batches of one lane, sealed, chained and counted as an edge does.
struct LaneScript {
    LaneId lane = 0;
    std::string name = "main";
    Sequence next = 1;
    std::uint32_t previous_crc = 0;
    std::uint64_t epoch = 1;
    std::vector<Sequence> poison{};  // whose bytes are no event

    [[nodiscard]] wire::BatchHeader header(std::uint32_t count) const {
        wire::BatchHeader header;
        header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
        header.lane_name = wire::name_field<wire::lane_name_bytes_max>(name);
        header.lane = lane;
        header.lineage = lineage;
        header.epoch = epoch;
        header.first_sequence = next;
        header.count = count;
        header.previous_crc = previous_crc;
        header.totals.accepted = next + count - 1;
        header.totals.offered = header.totals.accepted + 3;
        header.totals.rejected = 3;
        return header;
    }
    Batch seal(wire::BatchHeader header, std::uint32_t frames) {
        wire::EventBuilder builder;
        Batch batch(sizeof header);
        for (std::uint32_t i = 0; i < frames; ++i) {
            const std::string id = std::to_string(1'000'000 + header.first_sequence + i);
            const Sequence sequence = header.first_sequence + i;
            const bool is_poison = std::find(poison.begin(), poison.end(), sequence) != poison.end();
            const ConstBytes event = builder.build({.id = id,
                                                    .type = "t",
                                                    .source = "s",
                                                    .key = {},
                                                    .content_type = {},
                                                    .payload = {},
                                                    .time = {},
                                                    .trace_id = {}});
            const std::size_t at = batch.size();
            const auto event_bytes = static_cast<std::uint32_t>(event.size());
            batch.resize(at + wire::frame_bytes(event_bytes));
            wire::store(Bytes(batch).subspan(at),
                        wire::FrameHeader{.body_bytes = event_bytes, .kind = wire::FrameKind::event});
            if (!is_poison)
                std::copy(event.begin(), event.end(),
                          batch.begin() + static_cast<std::ptrdiff_t>(at + sizeof(wire::FrameHeader)));
        }
        const Bytes body = Bytes(batch).subspan(sizeof header);
        wire::seal(header, body);
        wire::store(Bytes(batch), header);
        next = header.first_sequence + header.count;
        previous_crc = header.header_crc;
        return batch;
    }
    Batch events(std::uint32_t count) { return seal(header(count), count); }
    Batch gap(std::uint32_t count, std::uint8_t reason = wire::gap_not_kept) {
        auto head = header(count);
        head.kind = wire::BatchKind::gap;
        head.flags = reason;
        head.previous_crc = 0;
        return seal(head, 0);
    }
    Batch elsewhere(std::uint32_t count) {
        auto head = header(count);
        head.kind = wire::BatchKind::gap;
        head.flags = wire::gap_elsewhere;
        head.previous_crc = 0;
        return seal(head, 0);
    }
};

class AuditBench : public testing::Test {
  protected:
    AuditBench() {
        config.data_dir = directory_.path() + "/central";
        edge_dir = directory_.path() + "/edge";
    }
    void at_edge(const Batch& batch) {
        spool_.append_durable({batch});
        edge_batches_.push_back(batch);
    }
    void at_central(const Batch& batch) {
        journal_.append_durable({batch});
        central_batches_.push_back(batch);
    }
    void at_both(const Batch& batch) {
        at_edge(batch);
        at_central(batch);
    }
    // Puts the files where the daemons keep them. What a test does to them afterwards is done by hand.
    void lay_out() {
        put(spool_, spool());
        put(journal_, config.data_dir + "/journal");
        put(letters_, config.data_dir + "/dead-letters");
    }
    // As central stores it once all its batches are durable.
    void store_central_checkpoint() {
        PositionTable table(64, 16);
        for (const Batch& batch : central_batches_) ASSERT_TRUE(table.restore(header_of(batch)));
        CheckpointHead head;
        head.journal_id = head.dead_letters_id = lineage;
        head.journal_position = last_place(config.data_dir + "/journal").value;
        std::vector<std::byte> content;
        ASSERT_TRUE(pack_checkpoint(table, head, content));
        journal::CheckpointFile file(checkpoint_path(config), 0);
        ASSERT_TRUE(file.store_now(content).ok());
    }
    // As the edge stores it once all its batches are durable and `delivered` of them acked.
    // With `others`: so far another central has acked, and this one `delivered`.
    // With `given_up`: what the edge has given up.
    void store_edge_checkpoint(Sequence delivered, Sequence others = 0, edge::GivenUp given_up = {}) {
        edge::SpoolCheckpoint checkpoint;
        checkpoint.lineage = lineage;
        checkpoint.epoch = 1;
        edge::SpoolLane lane;
        lane.journal.durable_end = end_of(spool());
        const auto last = header_of(edge_batches_.back());
        lane.state.id = last.lane;
        lane.state.name = wire::name_of(last.lane_name);
        lane.state.last_sequence = last.last_sequence();
        lane.state.delivered_sequence = std::max(delivered, others);
        if (others > 0) {
            checkpoint.centrals = {.identities = {wire::central_identity(lineage), 0xbeef}, .count = 2};
            lane.acked_by[0] = delivered;
            lane.acked_by[1] = others;
        }
        lane.given_up[0] = given_up;
        lane.state.previous_crc = last.header_crc;
        lane.state.totals = last.totals;
        checkpoint.lanes.push_back(lane);
        journal::CheckpointFile file(edge_dir + "/spool-checkpoint", 0);
        ASSERT_TRUE(file.store_now(edge::encode(checkpoint)).ok());
    }
    [[nodiscard]] Report audit(bool with_edge = true) {
        const auto report = read_and_audit(config, with_edge ? std::vector{edge_dir} : std::vector<std::string>());
        EXPECT_TRUE(report.ok()) << report.error().what;
        return report.value();
    }
    [[nodiscard]] std::string spool() const { return edge_dir + "/spool/main"; }
    [[nodiscard]] std::string central_journal() const { return config.data_dir + "/journal"; }

    // Zeros the record that begins with `first`; returns FILE:OFFSET.
    static std::string zero_record(const std::string& journal, Sequence first) {
        const auto [place, end] = find(journal, first);
        const std::string path = segment_of(journal, place);
        const journal::PosixFile file(path, O_RDWR);
        EXPECT_EQ(file.write(Batch(end.value - place.value), offset_of(place)), 0);
        return path + ":" + std::to_string(offset_of(place));
    }
    // Cuts the write group of that record out of its file: what follows moves up, zeros fill the end.
    static std::string cut_out_group(const std::string& journal, Sequence first) {
        const auto [place, end] = find(journal, first);
        const std::string path = segment_of(journal, place);
        auto content = journal::file_content(path);
        const auto at = content.begin() + static_cast<std::ptrdiff_t>(offset_of(place));
        const auto bytes = round_up(end.value - place.value, journal::block_bytes);
        content.erase(at, at + static_cast<std::ptrdiff_t>(bytes));
        content.resize(content.size() + bytes);
        journal::put_file(path, content);
        return path + ":" + std::to_string(offset_of(place));
    }
    static std::string text_of(const Report& report) {
        std::ostringstream out;
        print(report, false, out);
        return out.str();
    }

    CentralConfig config;
    std::string edge_dir;

  private:
    static constexpr std::uint64_t segment_bytes = 16 * journal::block_bytes;

    static void put(journal::JournalBench& bench, const std::string& to) {
        bench.save();
        std::filesystem::create_directories(to);
        // Whole segments only: beside us the store's thread may be making the next one.
        const auto list = journal::list_segments(bench.path());
        ASSERT_TRUE(list.ok());
        for (const auto& info : list.value().segments) std::filesystem::copy(info.path, to);
    }
    static std::pair<Position, Position> find(const std::string& journal, Sequence first) {
        auto scanner = journal::Scanner::open(journal, {});
        while (const auto record = scanner.value().next()) {
            if (record->batch_header.first_sequence == first) return {record->position, record->end};
        }
        ADD_FAILURE() << "no record begins with " << first;
        return {};
    }
    static Position last_place(const std::string& journal) {
        auto scanner = journal::Scanner::open(journal, {});
        Position last{};
        while (const auto record = scanner.value().next()) last = record->position;
        return last;
    }
    static Position end_of(const std::string& journal) {
        auto scanner = journal::Scanner::open(journal, {});
        Position end{};
        while (const auto record = scanner.value().next()) end = record->end;
        return end;
    }
    static std::string segment_of(const std::string& journal, Position place) {
        return journal + "/" + journal::segment_file_name(place.value / segment_bytes);
    }
    static std::uint64_t offset_of(Position place) { return place.value % segment_bytes; }

    journal::Directory directory_;
    journal::JournalBench spool_{segment_bytes}, journal_{segment_bytes}, letters_{segment_bytes};
    std::vector<Batch> edge_batches_, central_batches_;
};

}  // namespace weir::central::audit
