// Batch: the one form in which events travel and rest, from the edge's memory to central's disk (FORMAT.md §2).
//
// A batch is a 200-byte BatchHeader and a body of frames (FrameHeader + body, padded to 8). Once closed it never changes.
//
// Law       body_crc covers the body; header_crc covers the header with header_crc as 0; previous_crc is the header_crc of
//           the batch before it in the same (lineage, lane, part), so that a batch vouches for all before it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/wire/frame.hpp"

namespace weir::wire {

inline constexpr std::uint32_t batch_magic = 0x31544257;  // "WBT1"
inline constexpr std::uint16_t batch_version = 1;
inline constexpr std::uint32_t batch_events_max = 4096;
inline constexpr std::size_t edge_id_bytes_max = 32;
inline constexpr std::size_t lane_name_bytes_max = 16;

enum class BatchKind : std::uint8_t {
    events = 1,
    gap = 2,   // no body: sequences first_sequence .. first_sequence+count-1 are gone, for the reason in `flags`
    tick = 3,  // no body, count 0: central's own record that time has passed
};
// Why the sequences of a gap are not here, in its `flags`.
inline constexpr std::uint8_t gap_not_kept = 1;   // no longer, or not readably, in the spool
inline constexpr std::uint8_t gap_elsewhere = 2;  // nothing is lost: an independent central has acked them to the edge
inline constexpr std::uint8_t gap_shed = 3;       // the lane's policy gave them up for room
inline constexpr std::uint8_t gap_expired = 4;    // the lane's policy gave them up for their age
enum class Part : std::uint8_t { live = 0, backlog = 1 };
[[nodiscard]] std::string_view text(BatchKind kind) noexcept;
[[nodiscard]] std::string_view text(Part part) noexcept;
enum class Codec : std::uint8_t { none = 0, zstd = 1, lz4 = 2 };

// Totals of the account as of this batch's close; they only grow (RELIABILITY P6). "This stream" is this part of this lane: each
// part of a lane counts what was meant for it, and the lane's terms are the sums of its parts'.
//
// Law       accepted = last sequence + what was shed before it got a sequence
//           shed     = what was shed before it got a sequence + sequences shed afterwards, for which a gap stands
struct LedgerTotals {
    std::uint64_t offered = 0;        // edge-wide: all events that producers sent whole
    std::uint64_t duplicates = 0;     // edge-wide
    std::uint64_t rejected = 0;       // edge-wide: refused to the producer and not kept
    std::uint64_t accepted = 0;       // this stream, this batch included
    std::uint64_t dead_lettered = 0;  // edge-wide: sequenced on the dead-letter lane
    std::uint64_t shed = 0;           // this stream
    std::uint64_t expired = 0;        // this stream
    std::uint64_t gap = 0;            // this stream
    // Of `shed`, as of a batch that ends with `last_sequence`: those that never had a sequence.
    [[nodiscard]] std::uint64_t shed_unsequenced(Sequence last_sequence) const {
        return accepted > last_sequence ? accepted - last_sequence : 0;
    }
    bool operator==(const LedgerTotals&) const = default;
};

struct BatchHeader {
    std::uint32_t magic = batch_magic;
    std::uint16_t version = batch_version;
    std::uint16_t header_bytes = 200;
    BatchKind kind = BatchKind::events;
    Part part = Part::live;
    Codec codec = Codec::none;
    std::uint8_t flags = 0;
    LaneId lane = 0;
    std::uint16_t reserved = 0;
    std::array<char, edge_id_bytes_max> edge_id{};      // padded with zeros
    std::array<char, lane_name_bytes_max> lane_name{};  // padded with zeros
    std::uint64_t lineage = 0;                          // born at random with the spool
    std::uint64_t epoch = 0;                            // of the edge process that closed it: 1, 2, ...
    std::uint64_t first_sequence = 0;
    std::uint32_t count = 0;       // events; or lost sequences for a gap
    std::uint32_t body_bytes = 0;  // as stored
    std::uint32_t raw_bytes = 0;   // before codec; equal to body_bytes with Codec::none
    std::uint32_t key_id = 0;      // 0 = not encrypted
    std::uint64_t config_digest = 0;
    std::uint64_t closed_wall_ns = 0;
    LedgerTotals totals;
    std::uint32_t previous_crc = 0;
    std::uint32_t body_crc = 0;
    std::uint32_t header_crc = 0;
    std::uint32_t reserved_2 = 0;

    [[nodiscard]] Sequence last_sequence() const { return first_sequence + count - 1; }
};
static_assert(sizeof(BatchHeader) == 200 && std::is_trivially_copyable_v<BatchHeader>);

inline constexpr std::uint32_t batch_body_bytes_max = frame_body_bytes_max - sizeof(BatchHeader);

enum class BatchFault : std::uint8_t {
    none,
    short_header,
    magic,
    version,  // also a kind, part, codec or key that this version does not know
    header_crc,
    bytes,  // lengths that contradict each other or the limits
    body_crc,
    frame,  // a frame in the body that is cut, too long, of a wrong kind, or more or fewer than `count`
    names,  // edge id or lane name not of the allowed form
};
[[nodiscard]] std::string_view text(BatchFault fault) noexcept;

// [a-z0-9-]{1,max}
[[nodiscard]] bool is_name(std::string_view name, std::size_t bytes_max) noexcept;
template <std::size_t N>
[[nodiscard]] std::string_view name_of(const std::array<char, N>& field) noexcept {
    return {field.data(), ::strnlen(field.data(), N)};
}
template <std::size_t N>
[[nodiscard]] std::array<char, N> name_field(std::string_view name) noexcept {
    std::array<char, N> field{};
    std::memcpy(field.data(), name.data(), name.size() < N ? name.size() : N);
    return field;
}

// Fills in body_bytes, raw_bytes, both CRCs (header last). `body` must be complete.
void seal(BatchHeader& header, ConstBytes body) noexcept;
// Checks all but the body: what can be known from the header (magic, version, lengths, names, header_crc).
[[nodiscard]] BatchFault check_header(ConstBytes batch, BatchHeader& header) noexcept;
// Checks a whole batch: header, exact length (sizeof header + body_bytes), body_crc and every frame's bounds.
[[nodiscard]] BatchFault check_batch(ConstBytes batch, BatchHeader& header) noexcept;

// One frame of a checked body.
struct FrameView {
    FrameHeader header;
    ConstBytes body;  // without padding
};
// Calls visit(const FrameView&, index) for each frame of a body that check_batch accepted.
template <class Visit>
void for_each_frame(ConstBytes body, Visit&& visit) {
    std::size_t at = 0;
    for (std::uint32_t index = 0; at < body.size(); ++index) {
        const auto header = load<FrameHeader>(body.subspan(at));
        visit(FrameView{header, body.subspan(at + sizeof(FrameHeader), header.body_bytes)}, index);
        at += frame_bytes(header.body_bytes);
    }
}

}  // namespace weir::wire
