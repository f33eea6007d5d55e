// FrameSplitter: cuts one connection's received bytes into frames.
//
// A frame that lies whole in the given bytes is handed out where it lies. One that straddles two receives is put together in a
// carry buffer: inside the splitter if it is small, else borrowed from a CarryPool until the frame has been taken. A pool may have
// stashes besides: small buffers, many of them, for frames that fit one and for the beginning of larger ones that wait for a buffer.
//
// Thread    Splitter and pool belong to one thread.
// Ownership A frame's bytes are valid until the next call of split() or reset(), and as long as the bytes given to split().
// Pressure  No free carry buffer: split() stops, needs_carry() says so; give the rest of the bytes again later. A peer that
//           leaves a frame half sent keeps its buffer: whoever owns the connection limits how long (holds_pool_buffer()).
// Law       The frames are the same wherever the stream is cut.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/touch.hpp"
#include "core/wire/frame.hpp"

namespace weir::wire {

// A fixed number of buffers of one capacity, and of stashes of another, allocated at construction.
class CarryPool {
  public:
    struct Stashes {
        std::size_t count = 0;
        std::uint32_t bytes = 0;  // of one; more than the splitter's own carry, else it has none
    };
    // Frames with a body of up to `body_bytes_max` fit in a buffer.
    CarryPool(std::size_t buffers_count, std::uint32_t body_bytes_max) : CarryPool(buffers_count, body_bytes_max, {}) {}
    CarryPool(std::size_t buffers_count, std::uint32_t body_bytes_max, Stashes stashes);
    CarryPool(const CarryPool&) = delete;
    CarryPool& operator=(const CarryPool&) = delete;
    // So much of each buffer, and as many stashes as there are buffers: those that are lent first.
    void touch(std::size_t usual_frame_bytes) const {
        for (const std::byte* buffer : free_)
            weir::touch(buffer, std::min(usual_frame_bytes, frame_bytes(body_bytes_max_)));
        weir::touch(stash_memory_.get(), std::min(buffers_count_, stashes_count_) * stash_bytes_);
    }
    [[nodiscard]] std::uint32_t body_bytes_max() const { return body_bytes_max_; }
    [[nodiscard]] std::size_t free_count() const { return free_.size(); }
    // nullptr when none is free.
    [[nodiscard]] std::byte* borrow() noexcept;
    void give_back(std::byte* buffer) noexcept;
    [[nodiscard]] std::uint32_t stash_bytes() const { return stash_bytes_; }
    [[nodiscard]] std::size_t free_stash_count() const { return free_stashes_.size(); }
    [[nodiscard]] std::byte* borrow_stash() noexcept;
    void give_back_stash(std::byte* stash) noexcept;

  private:
    std::uint32_t body_bytes_max_;
    std::uint32_t stash_bytes_;
    std::size_t buffers_count_;
    std::size_t stashes_count_;
    std::unique_ptr<std::byte[]> memory_;
    std::unique_ptr<std::byte[]> stash_memory_;
    std::vector<std::byte*> free_;
    std::vector<std::byte*> free_stashes_;
};

enum class SplitFault : std::uint8_t {
    none,
    too_large,  // body above the limit that holds now
    unknown_kind,
    header,   // tag or flags not 0
    padding,  // not zeros
};
[[nodiscard]] std::string_view text(SplitFault fault) noexcept;

class FrameSplitter {
  public:
    static constexpr std::size_t own_carry_bytes = 512;  // typical events need no pool buffer

    explicit FrameSplitter(CarryPool& pool, std::uint32_t body_bytes_max = frame_body_bytes_max_before_hello);
    ~FrameSplitter() { reset(0); }
    FrameSplitter(const FrameSplitter&) = delete;
    FrameSplitter& operator=(const FrameSplitter&) = delete;

    // Forgets everything, for the next connection.
    void reset(std::uint32_t body_bytes_max = frame_body_bytes_max_before_hello) noexcept;
    // The limit from the next frame on; may be called from within `take`. At most the pool's.
    void set_body_bytes_max(std::uint32_t body_bytes_max) noexcept;

    // Calls take(const FrameHeader&, ConstBytes frame) -> bool for each whole frame, in order; `frame` is header, body
    // and padding. False stops before this frame: it comes again with the next call. Returns how many of `bytes` are
    // used up; begin the next call with the rest. Fewer than all when
    //   - `frames_max` frames were taken, or `take` said false,
    //   - needs_carry(): no buffer is free,
    //   - a carried frame was taken in this call and another one is cut: call again once the first is done with,
    //   - `fault` is set: the stream is broken there, for good. Frames before the fault have been taken.
    // With empty `bytes`, a frame that already waits in the carry is offered.
    template <class Take>
    std::size_t split(ConstBytes bytes, std::uint32_t frames_max, Take&& take, SplitFault& fault) {
        needs_carry_ = false;
        filled_bytes_ = 0;
        if (lent_) drop_carry();
        std::size_t used = 0;
        std::uint32_t frames = 0;
        if (carried_bytes_ != 0 && fault_ == SplitFault::none) {
            used = filled_bytes_ = fill_carry(bytes);
            if (is_carry_whole() && frames_max > 0 && take(carry_header_, ConstBytes(carry_, carried_bytes_))) {
                lent_ = true;
                ++frames;
            }
            if (!lent_) frames = frames_max;  // the carried frame is not through: nothing behind it may be
        }
        while (fault_ == SplitFault::none && frames < frames_max && used < bytes.size()) {
            const ConstBytes rest = bytes.subspan(used);
            FrameHeader header;
            const std::size_t whole_bytes = find_frame(rest, header);
            if (whole_bytes == 0) {
                if (fault_ == SplitFault::none && !lent_) used += fill_carry(rest);
                break;
            }
            if (!take(header, rest.first(whole_bytes))) break;
            used += whole_bytes;
            ++frames;
        }
        fault = fault_;
        return used;
    }

    // A carried frame that was taken is done with: its buffer goes back to the pool now, and not at the next split(). To be
    // called where the next split() may be far away: an idle connection must not keep a buffer that others wait for.
    void release_taken() noexcept {
        if (lent_) drop_carry();
    }

    // Undoes the last split() from one of its frames on: that and all behind it come again. `bytes` as they were given to it, `frame`
    // as it was handed out; neither release_taken() nor reset() may have come between. Returns how many of `bytes` stay used up.
    [[nodiscard]] std::size_t put_back(ConstBytes bytes, const std::byte* frame) noexcept;
    // A whole frame that waits in a pool buffer, as bytes that may be given to split() again ahead of what was to follow; empty if it
    // waits nowhere or inside the splitter. They stay valid until drop_waiting().
    [[nodiscard]] ConstBytes waiting_in_pool() const {
        return holds_pool_buffer() && !lent_ ? ConstBytes(carry_, carried_bytes_) : ConstBytes{};
    }
    void drop_waiting() noexcept { drop_carry(); }

    // The last split() stopped because the pool had no free buffer.
    [[nodiscard]] bool needs_carry() const { return needs_carry_; }
    // Bytes of a frame begun and not yet taken.
    [[nodiscard]] std::size_t carried_bytes() const { return lent_ ? 0 : carried_bytes_; }
    [[nodiscard]] bool holds_pool_buffer() const { return carry_ != own_.data() && !is_stashed_; }
    // A frame in a pool buffer whose end has not come.
    [[nodiscard]] bool is_half_sent() const { return holds_pool_buffer() && !is_carry_whole(); }

  private:
    [[nodiscard]] bool is_carry_whole() const {
        return fault_ == SplitFault::none && carried_bytes_ >= sizeof(FrameHeader) && carried_bytes_ == frame_bytes_;
    }
    // The bytes of the whole frame at the front; 0 if it is cut or at fault.
    [[nodiscard]] std::size_t find_frame(ConstBytes bytes, FrameHeader& header) noexcept {
        if (bytes.size() < sizeof(FrameHeader)) return 0;
        header = load<FrameHeader>(bytes);
        if (!is_usual(header)) {
            check(header);
            if (fault_ != SplitFault::none) return 0;
        }
        const std::uint64_t whole_bytes = frame_bytes(header.body_bytes);
        if (whole_bytes > bytes.size()) return 0;
        // Frames go into batches as they are, and a batch with other padding is refused: it has to be caught at the door.
        if (!is_padding_zero(bytes.first(whole_bytes), header.body_bytes)) {
            fault_ = SplitFault::padding;
            return 0;
        }
        return whole_bytes;
    }
    // An event's, with nothing in it that check() would mind.
    [[nodiscard]] bool is_usual(const FrameHeader& header) const noexcept {
        return header.kind == FrameKind::event && header.tag == 0 && header.flags == 0 &&
               header.body_bytes <= body_bytes_max_;
    }
    // Takes what the carried frame lacks from the front of `bytes`; returns how much.
    [[nodiscard]] std::size_t fill_carry(ConstBytes bytes) noexcept;
    [[nodiscard]] std::size_t append(ConstBytes bytes, std::size_t until_bytes) noexcept;
    void find_room() noexcept;
    void move_carry(std::byte* to) noexcept;
    void drop_carry() noexcept;
    void check(const FrameHeader& header) noexcept;
    void check_padding(const FrameHeader& header, ConstBytes frame) noexcept;

    CarryPool* pool_;
    std::uint32_t body_bytes_max_;
    SplitFault fault_ = SplitFault::none;
    bool needs_carry_ = false;
    bool lent_ = false;  // the carried frame was taken; its bytes stay until the next call
    FrameHeader carry_header_;
    std::size_t carried_bytes_ = 0;
    std::uint64_t frame_bytes_ = 0;  // of the carried frame, once its header is whole
    std::size_t filled_bytes_ = 0;   // of the last split()'s bytes: those that the carried frame took
    alignas(8) std::array<std::byte, own_carry_bytes> own_{};
    std::byte* carry_;         // own_, a stash or a pool buffer
    bool is_stashed_ = false;  // carry_ is a stash
};

}  // namespace weir::wire
