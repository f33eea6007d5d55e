// Schedule: an open-loop schedule: when each event is due, whatever happened to those before it.
//
// Format    "max": all at once.  "10000": so many a second.  "1000..50000": a ramp over the steady part.  "1000,5000,20000": steps of equal
//           length.  "500@1000ms": 500 at once, every 1000 ms.  The warm-up goes at the first rate.
// Thread    Any; a schedule does not change after it is made. wake_when_due() is of the thread that calls it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::bench {

class Schedule {
  public:
    static constexpr double rate_max = 1e9;  // events per second
    static constexpr std::size_t steps_max = 64;
    // A ramp and steps need to know how long the steady part is.
    [[nodiscard]] static Result<Schedule> parse(std::string_view text, std::uint64_t warmup_ns,
                                                std::uint64_t steady_ns);

    [[nodiscard]] bool is_open_loop() const { return kind_ != Kind::flat_out; }
    // Nanoseconds from the start of the schedule; never shrinks as `index` grows. 0 for "max".
    [[nodiscard]] std::uint64_t due_ns(std::uint64_t index) const;
    // The mean over the steady part; 0 for "max".
    [[nodiscard]] double mean_rate() const;

  private:
    enum class Kind : std::uint8_t { flat_out, constant, pieces, bursts };
    struct Piece {  // the rate goes evenly from one to the other
        double begin_ns, length_ns, first_index, rate_begin, rate_end;
    };
    [[nodiscard]] Status take_pieces(const std::vector<double>& rates, bool is_ramp, std::uint64_t warmup_ns,
                                     std::uint64_t steady_ns);
    [[nodiscard]] static double due_within(const Piece& piece, double index);

    Kind kind_ = Kind::flat_out;
    std::uint64_t rate_ = 0;
    std::uint64_t burst_events_ = 1;
    std::uint64_t burst_every_ns_ = 0;
    std::vector<Piece> pieces_;
};

// The calling thread's timed waits end when they are due. The kernel may otherwise let each of them, and the next event, be 50 us late to save
// wake-ups (timer slack, PR_SET_TIMERSLACK in prctl(2)), which an open loop would count as the latency of what it measures.
void wake_when_due() noexcept;

}  // namespace weir::bench
