// RowLink: keys that were looked up and are not cached, on their way to the uplink, and what central says of them, on its way back.
//
//   intake: CachedTables ── wishes ─────▶ spool runner: RowAsks ── row_ask ──▶ central
//                        ◀── buffers ───                        ◀── row_answer, table_changed ──
//
// Thread    wish, wake_spool, has_frames, take_frames: intake. next_wish, has_wish, has_room, take: spool runner. Nobody waits.
// Pressure  A wish that finds no room is refused: who made it counts it. RowAsks asks only while an answer has room.
// Bounds    wishes_max keys of each table; frames_max frames of row_answer_body_bytes_max.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/ring/ring.hpp"
#include "core/wire/rows.hpp"

namespace weir::edge {

struct RowWish {
    std::uint16_t key_bytes = 0;
    std::array<char, wire::table_key_bytes_max> key{};
    [[nodiscard]] std::string_view text() const { return {key.data(), key_bytes}; }
};

class RowLink {
  public:
    static constexpr std::size_t wishes_max = 256;
    static constexpr std::uint32_t frames_max = 4;
    static constexpr std::size_t frames_of_an_answer = 2;  // what has changed, and the rows
    // `tables`: those that are cached, named by their index. `wake_spool`, `wake_intake`: ring after something was published.
    RowLink(std::size_t tables, std::function<void()> wake_spool, std::function<void()> wake_intake);

    // False if too many wait. Wakes nobody: wake_spool() does, once for many.
    [[nodiscard]] bool wish(std::size_t table, std::string_view key) noexcept;
    void wake_spool() { wake_spool_(); }
    [[nodiscard]] bool has_frames() const { return !frames_out_.is_empty(); }
    // Hands frames that came to `each(table, kind, body)`, frames_max at most; returns how many. Each leaves the ring before its buffer is
    // free again: whoever has a buffer has room for it there.
    template <class Each>
    std::size_t take_frames(Each each) {
        std::size_t count = 0;
        for (Frame frame; count < frames_max && frames_out_.consume({&frame, 1}) == 1; ++count) {
            each(std::size_t{frame.table}, frame.kind,
                 ConstBytes(buffers_).subspan(frame.buffer * buffer_bytes, frame.body_bytes));
            const bool is_free = free_in_.publish(frame.buffer);
            WEIR_ASSERT(is_free);
        }
        return count;
    }

    [[nodiscard]] bool has_wish(std::size_t table) const { return !tables_[table]->out.is_empty(); }
    [[nodiscard]] bool next_wish(std::size_t table, RowWish& wish) noexcept {
        return tables_[table]->out.consume({&wish, 1}) == 1;
    }
    [[nodiscard]] bool has_room() const { return free_out_.waiting() >= frames_of_an_answer; }
    // False, and not taken, if no buffer is free. Checked before (wire::check_row_answer, check_table_changed).
    [[nodiscard]] bool take(std::size_t table, wire::FrameKind kind, ConstBytes body) noexcept;
    [[nodiscard]] static std::uint64_t memory_bytes(std::size_t tables) {
        return frames_max * buffer_bytes + tables * wishes_max * sizeof(RowWish);
    }

  private:
    static constexpr std::size_t buffer_bytes = wire::row_answer_body_bytes_max;
    static_assert(wire::table_changed_body_bytes_max <= buffer_bytes && frames_max >= frames_of_an_answer);
    struct Frame {
        std::uint32_t table = 0;
        std::uint32_t buffer = 0;
        std::uint32_t body_bytes = 0;
        wire::FrameKind kind = wire::FrameKind::row_answer;
    };
    struct Wishes {
        Ring<RowWish> ring{wishes_max};
        RingWriter<RowWish> in = ring.take_writer();
        RingReader<RowWish> out = ring.take_reader();
    };
    std::vector<std::unique_ptr<Wishes>> tables_;
    std::vector<std::byte> buffers_;
    Ring<Frame> frames_{frames_max};
    Ring<std::uint32_t> free_{frames_max};
    RingWriter<Frame> frames_in_;
    RingReader<Frame> frames_out_;
    RingWriter<std::uint32_t> free_in_;
    RingReader<std::uint32_t> free_out_;
    std::function<void()> wake_spool_;
    std::function<void()> wake_intake_;
};

}  // namespace weir::edge
