// Record and segment: how batches rest on disk (core/journal/FORMAT.md). Shared by writer, recovery and readers.
//
// A segment is one preallocated file: a 4096-byte SegmentHeader block, then records. A record is a 40-byte RecordHeader
// and a batch (core/wire/batch.hpp) without change, padded with zeros to 8. A write group starts at a multiple of 4096;
// zeros fill what its last block leaves over. So a record starts right behind the one before it, or, where the place
// behind holds no record magic, at the next multiple of 4096.
//
// Law       RecordHeader::crc covers its other fields and the batch's 200-byte header; the batch's own body_crc covers
// the
//           rest. `position` and `previous_crc` chain it to its place: stale, swapped or foreign blocks are seen.
//           `durable_before` tells damage from a crash's tail: only what some later record calls durable can be
//           damaged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::journal {

inline constexpr std::uint32_t block_bytes = 4096;
inline constexpr std::uint32_t segment_magic = 0x31474553;  // "SEG1"
inline constexpr std::uint32_t record_magic = 0x31434552;   // "REC1"
inline constexpr std::uint32_t sealed_magic = 0x32434552;   // "REC2": its batch is encrypted (at_rest.hpp)
inline constexpr std::uint16_t journal_version = 1;
inline constexpr std::uint16_t sealed_version = 2;  // of a segment under a key
inline constexpr std::uint32_t segment_header_bytes = block_bytes;

enum class Role : std::uint8_t { spool = 1, central = 2, dead_letters = 3 };

struct SegmentHeader {  // at offset 0 of the file; the rest of its block is zero
    std::uint32_t magic = segment_magic;
    std::uint16_t version = journal_version;
    Role role = Role::spool;
    std::uint8_t reserved = 0;
    std::uint64_t journal_id = 0;     // the spool's lineage; central's own random id
    std::uint64_t segment_index = 0;  // from 0
    std::uint64_t segment_bytes = 0;  // of every segment of this journal
    std::uint64_t created_wall_ns = 0;
    std::uint32_t key_id = 0;        // 0 = not encrypted: then version is 1, else 2
    std::uint32_t previous_crc = 0;  // crc of the last record of the segment before; 0 for the first
    std::uint32_t reserved_2 = 0;
    std::uint32_t crc = 0;  // over the fields before it
};
static_assert(sizeof(SegmentHeader) == 56);

struct RecordHeader {
    std::uint32_t magic = record_magic;
    std::uint32_t batch_bytes = 0;  // header and body of the batch, without padding
    std::uint64_t position = 0;     // of this header
    std::uint64_t arrival_wall_ns = 0;
    std::uint64_t durable_before = 0;  // the writer's durable position when this record was handed to the disk
    std::uint32_t previous_crc = 0;    // of the record before it in this journal
    std::uint32_t crc = 0;
};
static_assert(sizeof(RecordHeader) == 40);

[[nodiscard]] constexpr std::uint64_t record_bytes(std::uint32_t batch_bytes) {
    return sizeof(RecordHeader) + round_up(batch_bytes, wire::frame_alignment);
}
[[nodiscard]] std::uint32_t segment_crc(const SegmentHeader& header) noexcept;
[[nodiscard]] std::uint32_t record_crc(const RecordHeader& header, const wire::BatchHeader& batch) noexcept;
// "00000000000000000012.seg" for index 12.
[[nodiscard]] std::string segment_file_name(std::uint64_t segment_index);
// Takes no memory where `path` has room.
void append_segment_file_name(std::string& path, std::uint64_t segment_index);
// The index of such a name; nullopt for any other name.
[[nodiscard]] std::optional<std::uint64_t> segment_index_of(std::string_view file_name) noexcept;

}  // namespace weir::journal
