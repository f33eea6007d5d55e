#include "core/wire/splitter.hpp"

#include <algorithm>

namespace weir::wire {

CarryPool::CarryPool(std::size_t buffers_count, std::uint32_t body_bytes_max, Stashes stashes)
    : body_bytes_max_(body_bytes_max),
      stash_bytes_(stashes.count > 0 ? stashes.bytes : 0),
      buffers_count_(buffers_count),
      stashes_count_(stashes.count),
      // Not zeroed: untouched pages cost nothing until a frame needs them, or touch().
      memory_(new std::byte[buffers_count * frame_bytes(body_bytes_max)]),
      stash_memory_(new std::byte[stashes.count * stash_bytes_]) {
    WEIR_ASSERT(stashes.count == 0 || stashes.bytes > FrameSplitter::own_carry_bytes);
    free_.reserve(buffers_count);
    for (std::size_t i = 0; i < buffers_count; ++i) free_.push_back(memory_.get() + i * frame_bytes(body_bytes_max));
    free_stashes_.reserve(stashes_count_);
    // The last one given back is the next one lent: few that are in use touch few pages.
    for (std::size_t i = stashes_count_; i > 0; --i) {
        free_stashes_.push_back(stash_memory_.get() + (i - 1) * stash_bytes_);
    }
}

std::byte* CarryPool::borrow() noexcept {
    if (free_.empty()) return nullptr;
    std::byte* const buffer = free_.back();
    free_.pop_back();
    return buffer;
}

void CarryPool::give_back(std::byte* buffer) noexcept {
    WEIR_ASSERT(free_.size() < buffers_count_);
    free_.push_back(buffer);
}

std::byte* CarryPool::borrow_stash() noexcept {
    if (free_stashes_.empty()) return nullptr;
    std::byte* const stash = free_stashes_.back();
    free_stashes_.pop_back();
    return stash;
}

void CarryPool::give_back_stash(std::byte* stash) noexcept {
    WEIR_ASSERT(free_stashes_.size() < stashes_count_);
    free_stashes_.push_back(stash);
}

FrameSplitter::FrameSplitter(CarryPool& pool, std::uint32_t body_bytes_max)
    : pool_(&pool), body_bytes_max_(0), carry_(own_.data()) {
    set_body_bytes_max(body_bytes_max);
}

void FrameSplitter::reset(std::uint32_t body_bytes_max) noexcept {
    drop_carry();
    fault_ = SplitFault::none;
    needs_carry_ = false;
    set_body_bytes_max(body_bytes_max);
}

void FrameSplitter::set_body_bytes_max(std::uint32_t body_bytes_max) noexcept {
    WEIR_ASSERT(body_bytes_max <= pool_->body_bytes_max());
    body_bytes_max_ = body_bytes_max;
}

std::size_t FrameSplitter::fill_carry(ConstBytes bytes) noexcept {
    std::size_t used = 0;
    if (carried_bytes_ < sizeof(FrameHeader)) {
        used = append(bytes, sizeof(FrameHeader));
        if (carried_bytes_ < sizeof(FrameHeader)) return used;
        carry_header_ = load<FrameHeader>(ConstBytes(carry_, carried_bytes_));
        check(carry_header_);
        if (fault_ != SplitFault::none) return used;
        frame_bytes_ = frame_bytes(carry_header_.body_bytes);
    }
    find_room();
    std::uint64_t until_bytes = frame_bytes_;
    if (needs_carry_) until_bytes = is_stashed_ ? pool_->stash_bytes() : carried_bytes_;
    used += append(bytes.subspan(used), until_bytes);
    if (is_carry_whole()) check_padding(carry_header_, ConstBytes(carry_, carried_bytes_));
    return used;
}

std::size_t FrameSplitter::append(ConstBytes bytes, std::size_t until_bytes) noexcept {
    const std::size_t count = std::min(bytes.size(), until_bytes - carried_bytes_);
    std::copy_n(bytes.data(), count, carry_ + carried_bytes_);
    carried_bytes_ += count;
    return count;
}

// Sees to a carry that holds the whole frame; else says needs_carry_, and a stash may take its beginning.
void FrameSplitter::find_room() noexcept {
    needs_carry_ = false;
    if (frame_bytes_ <= own_carry_bytes || holds_pool_buffer()) return;
    if (!is_stashed_ && frame_bytes_ <= pool_->stash_bytes()) {
        if (std::byte* const stash = pool_->borrow_stash()) {
            move_carry(stash);
            is_stashed_ = true;
        }
    }
    if (is_stashed_ && frame_bytes_ <= pool_->stash_bytes()) return;
    if (std::byte* const buffer = pool_->borrow()) return move_carry(buffer);
    needs_carry_ = true;
    if (is_stashed_) return;
    if (std::byte* const stash = pool_->borrow_stash()) {
        move_carry(stash);
        is_stashed_ = true;
    }
}

void FrameSplitter::move_carry(std::byte* to) noexcept {
    std::copy_n(carry_, carried_bytes_, to);
    if (is_stashed_) pool_->give_back_stash(carry_);
    is_stashed_ = false;
    carry_ = to;
}

std::size_t FrameSplitter::put_back(ConstBytes bytes, const std::byte* frame) noexcept {
    if (lent_ && frame == carry_) {
        lent_ = false;
        return filled_bytes_;
    }
    // What is carried now was cut from the end of the same bytes: it comes again with them.
    if (!lent_) drop_carry();
    WEIR_ASSERT(frame >= bytes.data() && frame <= bytes.data() + bytes.size());
    return static_cast<std::size_t>(frame - bytes.data());
}

void FrameSplitter::drop_carry() noexcept {
    if (is_stashed_) {
        pool_->give_back_stash(carry_);
    } else if (holds_pool_buffer()) {
        pool_->give_back(carry_);
    }
    is_stashed_ = false;
    carry_ = own_.data();
    carried_bytes_ = 0;
    frame_bytes_ = 0;
    lent_ = false;
}

void FrameSplitter::check(const FrameHeader& header) noexcept {
    if (!is_known(header.kind)) {
        fault_ = SplitFault::unknown_kind;
    } else if (header.body_bytes > body_bytes_max_) {
        fault_ = SplitFault::too_large;
    } else if (header.tag != 0 || header.flags != 0) {
        fault_ = SplitFault::header;
    }
}

void FrameSplitter::check_padding(const FrameHeader& header, ConstBytes frame) noexcept {
    if (!is_padding_zero(frame, header.body_bytes)) fault_ = SplitFault::padding;
}

}  // namespace weir::wire
