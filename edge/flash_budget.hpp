// FlashBudget: what an edge writes to its disk in a day, for each event, and whether the day is on course past its limit. It reports,
// and stops nothing.
//
// A day is one of UTC, and counts what this process has written in it. On course: what is written already, and the rest of the day at
// the rate of the last hour (flash_samples_max), once that is known from flash_known_ns_min.
//
// Thread    Control thread looks; FlashCounters are read by anyone.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/types.hpp"
#include "core/metrics/counter.hpp"

namespace weir::edge {

inline constexpr std::uint64_t flash_sample_ns = 300 * ns_per_second;
inline constexpr std::size_t flash_samples_max = 12;  // an hour
inline constexpr std::uint64_t flash_known_ns_min = 600 * ns_per_second;

struct FlashCounters {
    Counter written_bytes;    // since the start, whatever for: by the kernel's account where that can be read
    Counter today_bytes;      // of them, today
    Counter projected_bytes;  // what today comes to at the rate of the last hour
    Counter event_bytes;      // today's bytes for each event taken today; 0: there was none
    Counter is_over;          // 0 or 1: today is past its limit, or on course past it
};

class FlashBudget {
  public:
    // `daily_limit_bytes`: 0: none.
    explicit FlashBudget(std::uint64_t daily_limit_bytes) : limit_bytes_(daily_limit_bytes) {}

    struct Seen {
        MonotonicNs now{};
        WallNs wall{};
        std::uint64_t written_bytes = 0;  // since the start; never less than before
        std::uint64_t events = 0;         // the same
    };
    // True: is_over has changed.
    [[nodiscard]] bool look(const Seen& seen);
    [[nodiscard]] const FlashCounters& counters() const { return counters_; }
    [[nodiscard]] std::uint64_t limit_bytes() const { return limit_bytes_; }
    [[nodiscard]] bool is_over() const { return counters_.is_over.get() != 0; }

  private:
    struct Sample {
        MonotonicNs at{};
        std::uint64_t written_bytes = 0;
    };
    void begin_day(const Seen& seen);
    void sample(const Seen& seen);
    [[nodiscard]] std::uint64_t projected(const Seen& seen, std::uint64_t today_bytes) const;

    std::uint64_t limit_bytes_;
    bool has_day_ = false;
    std::uint64_t day_ = 0;                // since 1970
    std::uint64_t day_written_bytes_ = 0;  // as the day began
    std::uint64_t day_events_ = 0;
    std::array<Sample, flash_samples_max + 1> samples_{};  // a ring, the oldest at samples_head_
    std::size_t samples_head_ = 0;
    std::size_t samples_count_ = 0;
    FlashCounters counters_;
};

// What this process has sent to disks, as the kernel counts it; 0 where it does not say.
[[nodiscard]] std::uint64_t process_written_bytes();

}  // namespace weir::edge
