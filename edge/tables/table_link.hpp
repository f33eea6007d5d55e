// TableLink: table frames on their way between the uplink, which does not look into them, and the keeper, which does.
//
//   spool runner: uplink ── frames ──▶ buffers ──▶ control thread: TableKeeper
//                        ◀── pulls ──────────────
//
// Thread    begin_session, take, next_pull: spool runner. take_frames, pull: control thread. Nobody waits.
// Pressure  A frame that finds no free buffer is dropped and counted; the keeper asks again. It asks for one part at a time.
// Bounds    frames_max frames of table_frame_body_bytes_max.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <vector>

#include "core/ring/ring.hpp"
#include "core/wire/table.hpp"

namespace weir::edge {

// After so long what was asked of central counts as lost, with its connection or for want of room: a table is asked for again, an ask of
// rows is given up.
inline constexpr std::uint64_t ask_again_ns = 3 * ns_per_second;

class TableLink {
  public:
    static constexpr std::uint32_t frames_max = 4;
    TableLink();

    // A central that offers tables is known by its offers: before them nothing is asked.
    void begin_session() noexcept { is_offered_ = false; }
    void take(wire::FrameKind kind, ConstBytes body) noexcept;
    [[nodiscard]] std::optional<wire::TablePull> next_pull() noexcept;

    // False if too many wait.
    [[nodiscard]] bool pull(const wire::TablePull& pull) { return pulls_in_.publish(pull); }
    // Hands frames that came to `each(kind, body)`, frames_max at most. Each leaves the ring before its buffer is free again: whoever has a
    // buffer has room for it there.
    template <class Each>
    void take_frames(Each each) {
        Frame frame;
        for (std::size_t count = 0; count < frames_max && frames_out_.consume({&frame, 1}) == 1; ++count) {
            each(frame.kind, ConstBytes(buffers_).subspan(frame.buffer * buffer_bytes, frame.body_bytes));
            const bool is_free = free_in_.publish(frame.buffer);
            WEIR_ASSERT(is_free);
        }
    }
    [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  private:
    static constexpr std::size_t buffer_bytes = wire::table_frame_body_bytes_max;
    struct Frame {
        std::uint32_t buffer = 0;
        std::uint32_t body_bytes = 0;
        wire::FrameKind kind = wire::FrameKind::table_offers;
    };
    std::vector<std::byte> buffers_;
    Ring<Frame> frames_{frames_max};
    Ring<std::uint32_t> free_{frames_max};
    Ring<wire::TablePull> pulls_{frames_max};
    RingWriter<Frame> frames_in_;
    RingReader<Frame> frames_out_;
    RingWriter<std::uint32_t> free_in_;
    RingReader<std::uint32_t> free_out_;
    RingWriter<wire::TablePull> pulls_in_;
    RingReader<wire::TablePull> pulls_out_;
    std::atomic<std::uint64_t> dropped_{0};
    bool is_offered_ = false;
};

}  // namespace weir::edge
