// SegmentOrders: what a journal's runner asks of the thread that makes its segments, and that one's answer. No lock, no wait and no memory
// taken at either side.
//
// Pace      The zeros that make a segment stand in the way of the journal's own writes, on a disk that has one queue: so they come in small
//           pieces, and no faster than they must. The worker keeps fill_lead times what is used of the open segment filled, so that the
//           next one is ready when the open one is half full; beyond that it fills a piece each fill_pause_ns: 16 MB/s at most. Where less is
//           filled than used, it goes as fast as it can.
//
// Thread    As each call says; "runner" and "worker" are one thread each.
// Pressure  One segment is asked for at a time. What is released is a place in the sequence of segments, so that any number at once fits.
//           Of what is damaged damage_marks_max wait; where more come, all between the lowest and the highest of these count as damaged.
// Law       A mark set before its segment's release is taken before that release is seen.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/types.hpp"
#include "core/journal/record.hpp"

namespace weir::journal {

inline constexpr std::size_t damage_marks_max = 64;
// What becomes of T6's tail with other sizes is in bench/NOTES.md.
inline constexpr std::uint64_t fill_lead = 2;
inline constexpr std::uint64_t fill_paced_bytes = 16U << 10;
inline constexpr std::uint64_t fill_pause_ns = ns_per_ms;

class SegmentOrders {
  public:
    // Runner: false where it was asked for before, and nothing changes. Precondition: the one asked for last is ready; this is a later one.
    [[nodiscard]] bool ask(const SegmentHeader& header) {
        const std::uint64_t number = header.segment_index + 1;
        if (number == asked_here_) return false;
        WEIR_ASSERT(number > asked_here_);
        WEIR_ASSERT(ready_.load(std::memory_order_acquire) == asked_here_);  // pairs with is_made()
        header_ = header;
        asked_here_ = number;
        asked_.store(number, std::memory_order_release);  // pairs with the acquire in wanted()
        return true;
    }
    // Runner: so many bytes of the open segment are used; all of them where it waits for the next. True: what is wanted is behind, and
    // the worker is to be woken.
    [[nodiscard]] bool use(std::uint64_t bytes) {
        used_.store(bytes, std::memory_order_relaxed);
        return ready_.load(std::memory_order_relaxed) != asked_here_ && is_behind();
    }
    // Runner: its path, null while it is not ready. Stays as it is until the next one is asked for.
    [[nodiscard]] const std::string* ready(std::uint64_t segment_index) const {
        return ready_.load(std::memory_order_acquire) == segment_index + 1 ? &path_ : nullptr;  // pairs with is_made()
    }
    // Runner. Precondition: the one behind that released last; any as the first.
    void release(std::uint64_t segment_index) {
        if (released_here_ == 0) first_released_ = segment_index;
        WEIR_ASSERT(released_here_ == 0 || released_here_ == segment_index);
        released_here_ = segment_index + 1;
        released_.store(released_here_, std::memory_order_release);  // pairs with the acquire in released_before()
    }
    // Any thread.
    void mark_damaged(std::uint64_t segment_index) {
        const std::uint64_t number = segment_index + 1;
        for (auto& mark : marks_) {
            std::uint64_t there = 0;
            if (mark.compare_exchange_strong(there, number, std::memory_order_relaxed) || there == number) return;
        }
        lower(lowest_suspect_, number);
        raise(highest_suspect_, number);
    }

    // Worker: what is to be made; null: nothing.
    [[nodiscard]] const SegmentHeader* wanted() const {
        // acquire: pairs with the release in ask()
        return asked_.load(std::memory_order_acquire) == ready_.load(std::memory_order_relaxed) ? nullptr : &header_;
    }
    // Worker: so many bytes of what is wanted are filled.
    void fill(std::uint64_t bytes) { filled_.store(bytes, std::memory_order_relaxed); }
    // Worker: no ring makes it go on before its time.
    void pause() { filled_.store(UINT64_MAX, std::memory_order_relaxed); }
    // Runner, worker: less than fill_lead times what is used is filled.
    [[nodiscard]] bool is_behind() const {
        return filled_.load(std::memory_order_relaxed) < fill_lead * used_.load(std::memory_order_relaxed);
    }
    // Worker: less is filled than used: the next one could be late.
    [[nodiscard]] bool is_far_behind() const {
        return filled_.load(std::memory_order_relaxed) < used_.load(std::memory_order_relaxed);
    }
    // Worker: what is wanted lies at `path`.
    void is_made(std::string path) {
        path_ = std::move(path);
        fill(0);
        ready_.store(header_.segment_index + 1,
                     std::memory_order_release);  // pairs with the acquires in ask() and ready()
    }
    // Worker: what is below this index is released. 0: nothing is. Asked before take_damaged().
    [[nodiscard]] std::uint64_t released_before() const {
        return released_.load(std::memory_order_acquire);  // pairs with the release in release()
    }
    // Worker: from this index on. Precondition: released_before() > 0.
    [[nodiscard]] std::uint64_t released_from() const { return first_released_; }
    [[nodiscard]] bool has_damaged() const {
        for (const auto& mark : marks_) {
            if (mark.load(std::memory_order_relaxed) != 0) return true;
        }
        return false;
    }
    [[nodiscard]] std::optional<std::uint64_t> take_damaged() {
        for (auto& mark : marks_) {
            if (mark.load(std::memory_order_relaxed) == 0) continue;
            return mark.exchange(0, std::memory_order_relaxed) - 1;
        }
        return std::nullopt;
    }
    // Worker: one of those that found no room for a mark, or between such.
    [[nodiscard]] bool is_suspect(std::uint64_t segment_index) const {
        return segment_index + 1 >= lowest_suspect_.load(std::memory_order_relaxed) &&
               segment_index + 1 <= highest_suspect_.load(std::memory_order_relaxed);
    }

  private:
    static void lower(std::atomic<std::uint64_t>& bound, std::uint64_t value) {
        std::uint64_t there = bound.load(std::memory_order_relaxed);
        while (value < there && !bound.compare_exchange_weak(there, value, std::memory_order_relaxed)) {
        }
    }
    static void raise(std::atomic<std::uint64_t>& bound, std::uint64_t value) {
        std::uint64_t there = bound.load(std::memory_order_relaxed);
        while (value > there && !bound.compare_exchange_weak(there, value, std::memory_order_relaxed)) {
        }
    }

    // Numbers are indexes + 1: 0 is none. The runner writes:
    alignas(64) std::uint64_t asked_here_ = 0;
    std::uint64_t released_here_ = 0;
    std::uint64_t first_released_ = 0;  // before released_ is first set
    SegmentHeader header_;              // while nothing is wanted
    std::atomic<std::uint64_t> asked_{0};
    std::atomic<std::uint64_t> released_{0};
    std::atomic<std::uint64_t> used_{0};
    // The worker:
    alignas(64) std::string path_;  // while something is wanted
    std::atomic<std::uint64_t> ready_{0};
    std::atomic<std::uint64_t> filled_{0};
    // Who finds damage:
    alignas(64) std::array<std::atomic<std::uint64_t>, damage_marks_max> marks_{};
    std::atomic<std::uint64_t> lowest_suspect_{UINT64_MAX};
    std::atomic<std::uint64_t> highest_suspect_{0};
};

}  // namespace weir::journal
