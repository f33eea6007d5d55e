// JournalImage: a small journal in memory, written and then damaged as a fuzzer's bytes say, and put into a directory as files.
//
// Damage may be sealed anew: headers and records that no writer makes, with checksums that fit.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "core/journal/record.hpp"
#include "core/wire/frame.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"

namespace weir::fuzz {

class JournalImage {
  public:
    static constexpr std::uint64_t segment_bytes = 4ULL * journal::block_bytes;
    static constexpr std::size_t segments_max = 3;
    static constexpr std::uint64_t journal_id = 7;

    // `first_index` of the first segment: above 0 as if those before it had been trimmed.
    explicit JournalImage(std::uint64_t first_index) : first_index_(first_index) { add_segment(); }

    // Behind what was written last, or at the next block; in a new segment where it does not fit. Nothing once all are full.
    void append(std::uint32_t event_bytes, bool begins_group) {
        const auto batch = batch_of(event_bytes);
        const std::uint64_t bytes = journal::record_bytes(static_cast<std::uint32_t>(batch.size()));
        if (begins_group) {
            at_ = round_up(at_, journal::block_bytes);
            durable_ = at_;
        }
        if (at_ + bytes > segment_bytes) {
            if (segments_.size() == segments_max) return;
            add_segment();
            durable_ = 0;  // of this segment: what lies before it is durable
        }
        journal::RecordHeader header;
        header.batch_bytes = static_cast<std::uint32_t>(batch.size());
        header.position = position_of(segments_.size() - 1, at_);
        header.durable_before = position_of(segments_.size() - 1, durable_);
        header.previous_crc = previous_crc_;
        header.crc = journal::record_crc(header, wire::load<wire::BatchHeader>(batch));
        previous_crc_ = header.crc;
        const Bytes place = Bytes(segments_.back()).subspan(at_);
        wire::store(place, header);
        std::memcpy(place.data() + sizeof header, batch.data(), batch.size());
        positions.push_back(header.position);
        at_ += bytes;
    }
    // Places count through all segments, modulo what there is.
    void flip(std::uint32_t place, std::uint8_t bits) {
        std::byte& one = byte_at(place);
        one ^= std::byte{bits};
        is_whole = is_whole && bits == 0;
    }
    void overwrite(std::uint32_t place, ConstBytes bytes) {
        for (std::size_t i = 0; i < bytes.size() && i < segment_bytes; ++i) {
            byte_at(place + static_cast<std::uint32_t>(i)) = bytes[i];
        }
        is_whole = false;
    }
    void copy_block(std::uint8_t from, std::uint8_t to) {
        const std::vector<std::byte> block = copy_of(block_at(from));
        std::memcpy(block_at(to).data(), block.data(), block.size());
        is_whole = false;
    }
    void zero_block(std::uint8_t which) {
        std::memset(block_at(which).data(), 0, journal::block_bytes);
        is_whole = false;
    }
    // Makes whatever lies there a record of that place by its checksums.
    void seal_record(std::uint32_t place) {
        std::vector<std::byte>& segment = segments_[place / segment_bytes % segments_.size()];
        const std::uint64_t at = place % segment_bytes / wire::frame_alignment * wire::frame_alignment;
        constexpr std::size_t heads_bytes = sizeof(journal::RecordHeader) + sizeof(wire::BatchHeader);
        if (at + heads_bytes > segment_bytes) return;
        const Bytes bytes = Bytes(segment).subspan(at);
        auto header = wire::load<journal::RecordHeader>(bytes);
        auto batch = wire::load<wire::BatchHeader>(bytes.subspan(sizeof header));
        header.magic = journal::record_magic;
        header.position = position_of(place / segment_bytes % segments_.size(), at);
        const std::size_t room = bytes.size() - heads_bytes;
        if (header.batch_bytes >= sizeof batch && header.batch_bytes - sizeof batch <= room) {
            batch.magic = wire::batch_magic;
            wire::seal(batch, bytes.subspan(heads_bytes, header.batch_bytes - sizeof batch));
        }
        header.crc = journal::record_crc(header, batch);
        wire::store(bytes, header);
        wire::store(bytes.subspan(sizeof header), batch);
        is_whole = false;
    }
    void seal_segment(std::uint8_t which, ConstBytes fields) {
        Bytes segment(segments_[which % segments_.size()]);
        std::memcpy(segment.data(), fields.data(), std::min(fields.size(), offsetof(journal::SegmentHeader, crc)));
        auto header = wire::load<journal::SegmentHeader>(segment);
        header.magic = journal::segment_magic;
        header.version = journal::journal_version;
        header.crc = journal::segment_crc(header);
        wire::store(segment, header);
        is_whole = false;
    }
    void cut(std::uint8_t which, std::uint16_t bytes) {
        segments_[which % segments_.size()].resize(segment_bytes);
        cut_bytes_[which % segments_.size()] = bytes % segment_bytes;
        is_whole = false;
    }

    void put_into(const ScratchDirectory& directory) {
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            names_.push_back(journal::segment_file_name(first_index_ + i));
            directory.put(names_.back(), ConstBytes(segments_[i]).first(segment_bytes - cut_bytes_[i]));
        }
    }
    void remove_from(const ScratchDirectory& directory) const {
        for (const std::string& name : names_) directory.remove(name);
    }
    // The bytes at a position, if they are there.
    [[nodiscard]] ConstBytes at_position(std::uint64_t position, std::size_t bytes,
                                         std::uint64_t of_segment_bytes) const {
        const std::uint64_t index = position / of_segment_bytes - first_index_;
        const std::uint64_t at = position % of_segment_bytes;
        if (index >= segments_.size() || at + bytes > segment_bytes) return {};
        return ConstBytes(segments_[index]).subspan(at, bytes);
    }
    [[nodiscard]] std::uint64_t position_of(std::size_t segment, std::uint64_t at) const {
        return (first_index_ + segment) * segment_bytes + at;
    }

    std::vector<std::uint64_t> positions;  // of the records appended
    bool is_whole = true;                  // nothing but append() has been at work

  private:
    void add_segment() {
        journal::SegmentHeader header;
        header.journal_id = journal_id;
        header.segment_index = first_index_ + segments_.size();
        header.segment_bytes = segment_bytes;
        header.crc = journal::segment_crc(header);
        segments_.emplace_back(segment_bytes);
        wire::store(segments_.back(), header);
        at_ = durable_ = journal::segment_header_bytes;
    }
    std::vector<std::byte> batch_of(std::uint32_t event_bytes) {
        wire::BatchHeader header;
        header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
        header.lane_name = wire::name_field<wire::lane_name_bytes_max>("default");
        header.lineage = journal_id;
        header.epoch = 1;
        header.first_sequence = positions.size() + 1;
        header.count = 1;
        std::vector<std::byte> batch(sizeof header + wire::frame_bytes(event_bytes));
        const Bytes body = Bytes(batch).subspan(sizeof header);
        wire::store(body, wire::FrameHeader{.body_bytes = event_bytes});
        std::fill_n(body.begin() + sizeof(wire::FrameHeader), event_bytes, std::byte{'e'});
        wire::seal(header, body);
        wire::store(batch, header);
        return batch;
    }
    std::byte& byte_at(std::uint32_t place) {
        return segments_[place / segment_bytes % segments_.size()][place % segment_bytes];
    }
    Bytes block_at(std::uint8_t which) {
        constexpr std::uint64_t blocks = segment_bytes / journal::block_bytes;
        return Bytes(segments_[which / blocks % segments_.size()])
            .subspan(which % blocks * journal::block_bytes, journal::block_bytes);
    }

    std::uint64_t first_index_;
    std::vector<std::vector<std::byte>> segments_;
    std::array<std::uint64_t, segments_max> cut_bytes_{};
    std::vector<std::string> names_;
    std::uint64_t at_ = 0;       // in the last segment
    std::uint64_t durable_ = 0;  // in the last segment: where the group under way begins
    std::uint32_t previous_crc_ = 0;
};

}  // namespace weir::fuzz
