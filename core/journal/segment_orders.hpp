// SegmentOrders: what a journal's runner asks of the thread that makes its segments, and that one's answer. No lock, no wait and no memory
// taken at either side.
//
// Pace      The zeros that make a segment stand in the way of the journal's own writes, on a disk that has one queue: so they come in small
//           pieces, and no faster than they must. The worker keeps fill_lead times what is used of the open segment filled, so that the
//           next one is ready when the open one is half full; beyond that it fills a piece each fill_pause_ns: 16 MB/s at most. Where
//           a journal is written faster than zeros, what is not filled at half of the open segment is allocated; while fill_lag_bytes or
//           1/fill_lag_share of a segment, whichever is more, less is filled than used, zeros come at fill_lagging_bytes each
//           fill_lagging_ns (a worker that was held up so long does not catch up either). The first one after a start is filled whole, and
//           so are all where nothing can be allocated: as fast as it goes, once less is filled than used.
//
// Thread    As each call says; "runner" and "worker" are one thread each.
// Pressure  One segment is asked for at a time. What is released is a place in the sequence of segments, so that any number at once fits.
//           Of what is damaged damage_marks_max wait; where more come, all between the lowest and the highest of these count as damaged.
// Law       A mark set before its segment's release is taken before that release is seen.
#pragma once

#include <algorithm>
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
// What lags is more than a journal that holds its rate, and sees its worker wait for a core, is behind; these are by reading, not measured.
inline constexpr std::uint64_t fill_lag_bytes = 2U << 20;
inline constexpr std::uint64_t fill_lag_share = 32;
inline constexpr std::uint64_t fill_lagging_bytes = 64U << 10;
inline constexpr std::uint64_t fill_lagging_ns = 10 * ns_per_ms;

static_assert(fill_lagging_bytes / (fill_lagging_ns / ns_per_ms) <= fill_paced_bytes / (fill_pause_ns / ns_per_ms));

// How the worker goes on with what is wanted; beyond `slow`: at once.
enum class FillPace : std::uint8_t {
    lagging,  // fill_lagging_bytes each fill_lagging_ns
    slow,     // a piece each fill_pause_ns
    steady,   // piece after piece
    hurried,  // the longest pieces
    enough,   // none: the rest is allocated
};

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
        return ready_.load(std::memory_order_relaxed) != asked_here_ && pace() > FillPace::slow;
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
    // Worker: nothing can be allocated here, so that all of it is filled.
    void fill_all() { fills_all_.store(true, std::memory_order_relaxed); }
    // Worker: so many bytes of what is wanted are filled.
    void fill(std::uint64_t bytes) { filled_.store(bytes, std::memory_order_relaxed); }
    // Worker: no ring makes it go on before its time.
    void pause() { fill(UINT64_MAX); }
    // Runner, worker. While something is wanted.
    [[nodiscard]] FillPace pace() const {
        const std::uint64_t filled = filled_.load(std::memory_order_relaxed);
        const std::uint64_t used = used_.load(std::memory_order_relaxed);
        if (filled >= fill_lead * used) return FillPace::slow;
        const bool is_first = ready_.load(std::memory_order_relaxed) == 0;
        if (!is_first && !fills_all_.load(std::memory_order_relaxed)) {
            if (fill_lead * used >= header_.segment_bytes) return FillPace::enough;
            const std::uint64_t lag_max = std::max(fill_lag_bytes, header_.segment_bytes / fill_lag_share);
            if (filled < used && used - filled > lag_max) return FillPace::lagging;
        }
        return filled < used ? FillPace::hurried : FillPace::steady;
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
    std::atomic<bool> fills_all_{false};
    // Who finds damage:
    alignas(64) std::array<std::atomic<std::uint64_t>, damage_marks_max> marks_{};
    std::atomic<std::uint64_t> lowest_suspect_{UINT64_MAX};
    std::atomic<std::uint64_t> highest_suspect_{0};
};

}  // namespace weir::journal
