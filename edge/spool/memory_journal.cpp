#include "edge/spool/memory_journal.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/assert.hpp"

namespace weir::edge {

MemoryJournal::MemoryJournal(std::uint64_t bytes_max, Position begin)
    : bytes_max_(bytes_max / wire::frame_alignment * wire::frame_alignment),
      ring_(std::make_unique_for_overwrite<std::byte[]>(bytes_max_)),
      begin_(begin),
      end_(begin) {
    WEIR_ASSERT(bytes_max_ > 0);
    WEIR_ASSERT(begin.value % wire::frame_alignment == 0);
}

std::optional<MemoryRecord> MemoryJournal::append(const Batch& batch, MonotonicNs now) noexcept {
    const auto batch_bytes = static_cast<std::uint32_t>(batch.bytes.size());
    const std::uint64_t bytes = stored_bytes(batch_bytes);
    const std::uint64_t to_ring_end = bytes_max_ - end_.value % bytes_max_;
    const Position from{bytes > to_ring_end ? end_.value + to_ring_end : end_.value};
    const bool is_empty = begin_ == end_;
    // An empty one has all of the ring, wherever it stands.
    const Position held_from = is_empty ? from : begin_;
    if (from.value + bytes - held_from.value > bytes_max_) return std::nullopt;
    if (from != end_) {
        unused_begin_ = end_;
        unused_end_ = from;
    }
    begin_ = held_from;
    end_ = {from.value + bytes};
    std::byte* const at = place(from);
    const Entry entry{.first_sequence = batch.first_sequence,
                      .last_sequence = batch.last_sequence,
                      .arrived_at = now,
                      .stored_bytes = bytes,
                      .batch_bytes = batch_bytes};
    std::memcpy(at, &entry, sizeof entry);
    std::byte* const to = at + sizeof entry + sizeof(wire::FrameHeader);
    std::memcpy(to, batch.bytes.data(), batch_bytes);
    std::memset(to + batch_bytes, 0, wire::frame_bytes(batch_bytes) - sizeof(wire::FrameHeader) - batch_bytes);
    return this->at(from);
}

std::optional<MemoryRecord> MemoryJournal::at(Position position) const noexcept {
    const Position from = std::max(past_unused(position), begin_);
    if (from >= end_) return std::nullopt;
    Entry entry;
    std::memcpy(&entry, place(from), sizeof entry);
    WEIR_ASSERT(entry.stored_bytes == stored_bytes(entry.batch_bytes));
    return MemoryRecord{.begin = from,
                        .end = {from.value + entry.stored_bytes},
                        .first_sequence = entry.first_sequence,
                        .last_sequence = entry.last_sequence,
                        .arrived_at = entry.arrived_at,
                        .batch = place(from) + sizeof entry + sizeof(wire::FrameHeader),
                        .batch_bytes = entry.batch_bytes};
}

void MemoryJournal::release_before(Position position) noexcept {
    const Position from = past_unused(position);
    if (from <= begin_) return;
    begin_ = std::min(from, end_);
}

}  // namespace weir::edge
