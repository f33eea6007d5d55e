// MemoryJournal: the batches of a lane that lives in memory only, one behind the other, from their arrival until central has acked them.
//
// A ring of bytes. Positions are as in a journal on disk: they only grow, and a batch begins where the one before it ended, or, where it
// would reach over the ring's end, at the ring's begin: what lies between is passed over by itself.
//
//   [Entry 40][FrameHeader 16][BatchHeader][body, padded to 8] [Entry] ...
//
// Thread    Spool runner. All of its memory is taken at construction.
// Ownership A batch's bytes are the journal's from append() until release_before() has passed them; they never move. The 16 bytes before
//           a batch are for the frame header of whoever sends it.
// Pressure  append() of what finds no room says so, and nothing has changed.
// Law       begin() <= end(), and end() - begin() <= bytes_max.
// Bounds    bytes_max; less than a largest batch of it is unused at the ring's end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/types.hpp"
#include "core/wire/frame.hpp"

namespace weir::edge {

struct MemoryRecord {
    Position begin{};
    Position end{};
    Sequence first_sequence = 0;
    Sequence last_sequence = 0;
    MonotonicNs arrived_at{};
    std::byte* batch = nullptr;
    std::uint32_t batch_bytes = 0;
    [[nodiscard]] std::uint64_t events() const { return last_sequence - first_sequence + 1; }
};

class MemoryJournal {
  public:
    struct Batch {
        ConstBytes bytes;
        Sequence first_sequence = 0;
        Sequence last_sequence = 0;
    };
    // Positions begin at `begin`, a multiple of 8.
    MemoryJournal(std::uint64_t bytes_max, Position begin);

    // Copies the batch behind the last one; nullopt: there is no room.
    [[nodiscard]] std::optional<MemoryRecord> append(const Batch& batch, MonotonicNs now) noexcept;
    // The batch at `position`, a begin or end of one that is held; nullopt at the end.
    [[nodiscard]] std::optional<MemoryRecord> at(Position position) const noexcept;
    // What ends at or before `position` is gone.
    void release_before(Position position) noexcept;

    [[nodiscard]] Position begin() const { return begin_; }
    [[nodiscard]] Position end() const { return end_; }
    [[nodiscard]] std::uint64_t held_bytes() const { return end_.value - begin_.value; }
    [[nodiscard]] std::uint64_t bytes_max() const { return bytes_max_; }
    // What a batch of so many bytes takes.
    [[nodiscard]] static std::uint64_t stored_bytes(std::uint32_t batch_bytes) {
        return sizeof(Entry) + wire::frame_bytes(batch_bytes);
    }

  private:
    struct Entry {
        Sequence first_sequence = 0;
        Sequence last_sequence = 0;
        MonotonicNs arrived_at{};
        std::uint64_t stored_bytes = 0;
        std::uint32_t batch_bytes = 0;
        std::uint32_t reserved = 0;
    };
    static_assert(sizeof(Entry) == 40 && sizeof(Entry) % wire::frame_alignment == 0);

    [[nodiscard]] std::byte* place(Position position) const { return ring_.get() + position.value % bytes_max_; }
    // A position from which on the ring's end was left unused is as good as the ring's begin.
    [[nodiscard]] Position past_unused(Position position) const {
        return position == unused_begin_ && unused_end_ > unused_begin_ ? unused_end_ : position;
    }

    std::uint64_t bytes_max_;
    std::unique_ptr<std::byte[]> ring_;
    Position begin_;
    Position end_;
    // The ring's end is met once at most between begin_ and end_.
    Position unused_begin_{};
    Position unused_end_{};
};

}  // namespace weir::edge
