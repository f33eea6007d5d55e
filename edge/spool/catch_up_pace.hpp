// CatchUpPace: how fast what is read back goes to central, so that the slowest hundredth of the live events gets hardly slower.
//
// A drain shares more with live batches than the way (CatchUpWindow): two disks that sync, two machines' cores. So what is looked at
// is the live batches' whole time, from when each was to be closed to central's ack: where a write takes long, most of those that are
// late wait for it in the batch behind. While nothing is read back their 99th percentile is learned, the usual. While something is,
// each that takes longer than pace_beyond_percent of it slows the drain down by a tenth, each other lets it become faster by a
// ninety-ninth of that: it settles where one in a hundred is late (Robbins and Monro, 1951). Late are events, and a late batch has more
// of them than others; so a batch counts as often as it has the mean's events, up to pace_times_max times.
//
// Thread    One. Given time.
// Bounds    From the least pace to twice what really went lately. The least is pace_bytes_per_s_min, and doubles each second in which
//           what is to be read back has not become less, to sink by a tenth in the others: a lane that is given as much could not catch
//           up else. Without a live batch of another stream for pace_live_ns there is no bound: nobody is harmed. What a stream has
//           behind what is read back of it waits for just that.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/types.hpp"

namespace weir::edge {

// Less hardly ends an outage's backlog.
inline constexpr double pace_bytes_per_s_min = 4 << 20;
inline constexpr double pace_bytes_per_s_max = 1ULL << 34;
inline constexpr std::uint64_t pace_beyond_percent = 150;
inline constexpr std::uint64_t pace_live_ns = ns_per_second;
// What was read back makes nobody late any more so long after it went.
inline constexpr std::uint64_t pace_calm_ns = ns_per_second;
inline constexpr std::uint64_t pace_burst_ns = 5 * ns_per_ms;
inline constexpr std::uint64_t pace_look_ns = ns_per_second;
// What is read at once is what goes in so long, or in twice the time that the disk takes for a read: a write that comes behind a
// read waits for all of it, and a disk that is slow to answer is no reason to go slower.
inline constexpr std::uint64_t pace_piece_ns = 4 * ns_per_ms;
inline constexpr std::uint64_t pace_piece_bytes_min = 64U << 10;
// A late batch slows the drain down by half at most, however large it is, and by a fiftieth at least, however small.
inline constexpr double pace_times_max = 5;
// The mean is of so many batches: of less than a second under load, of a minute where one comes each second.
inline constexpr double pace_mean_batches = 64;

class CatchUpPace {
  public:
    struct Acked {
        std::uint64_t events = 0;
        std::uint64_t took_ns = 0;  // since it was to be closed
    };
    // A live batch may always take `floor_ns` beside what is read back. 0: no bound at all.
    explicit CatchUpPace(std::uint64_t floor_ns) : floor_ns_(floor_ns) {}

    void live_sent(std::size_t stream, MonotonicNs now) {
        if (stream != live_stream_) {
            other_live_at_ = live_at_;
            live_stream_ = stream;
        }
        live_at_ = now;
    }
    void live_acked(std::size_t stream, const Acked& batch, MonotonicNs now) {
        live_sent(stream, now);  // it is still there
        const auto took = static_cast<double>(batch.took_ns);
        const double times = times_of(static_cast<double>(batch.events));
        if (now.since(sent_at_) >= pace_calm_ns) {
            learn_usual(took, times);
        } else if (took > static_cast<double>(allowed_ns())) {
            rate_ = std::max(rate_ * (1 - step * times), least_);
        } else {
            rate_ = std::min(rate_ * (1 + step / 99 * times), std::max(2 * went_, least_));
        }
    }
    // Nothing may go before it; now or earlier: something may.
    [[nodiscard]] MonotonicNs free_at(std::size_t stream, MonotonicNs now) const {
        return is_alone(stream, now) ? now : free_at_;
    }
    // Nobody but `stream` itself has had a live batch sent or acked lately.
    [[nodiscard]] bool is_alone(std::size_t stream, MonotonicNs now) const {
        return floor_ns_ == 0 || now.since(stream == live_stream_ ? other_live_at_ : live_at_) >= pace_live_ns;
    }
    void sent(std::size_t stream, std::uint64_t bytes, MonotonicNs now) {
        sent_at_ = now;
        count(bytes, now);
        // What went while nobody could be harmed is owed to nobody.
        if (is_alone(stream, now)) {
            free_at_ = now;
            return;
        }
        const auto takes_ns =
            static_cast<std::uint64_t>(static_cast<double>(bytes) / rate_ * static_cast<double>(ns_per_second));
        // What was not used is lost, but for a burst.
        const MonotonicNs from{std::max(free_at_.value, now.value - std::min(now.value, pace_burst_ns))};
        free_at_ = from.plus_ns(takes_ns);
    }

    // Whether left() is to be called.
    [[nodiscard]] bool wants_left(MonotonicNs now) const { return now.since(looked_at_) >= pace_look_ns; }
    // What is still to be read back, of all streams.
    void left(std::uint64_t bytes, MonotonicNs now) {
        // Looked at long ago, it says nothing.
        if (now.since(looked_at_) < 2 * pace_look_ns) {
            least_ = bytes >= left_ ? std::min(least_ * 2, pace_bytes_per_s_max) : least_ * (1 - step);
        }
        least_ = std::max(least_, pace_bytes_per_s_min);
        rate_ = std::max(rate_, least_);
        left_ = bytes;
        looked_at_ = now;
    }

    [[nodiscard]] std::uint64_t allowed_ns() const {
        return std::max(floor_ns_, static_cast<std::uint64_t>(usual_) / 100 * pace_beyond_percent);
    }
    // How much `stream` is to read at once, where a read took so long lately.
    [[nodiscard]] std::uint64_t piece_bytes(std::size_t stream, std::uint64_t read_took_ns, MonotonicNs now) const {
        if (is_alone(stream, now)) return UINT64_MAX;
        const auto ns = static_cast<double>(std::max(pace_piece_ns, 2 * read_took_ns));
        return std::max(static_cast<std::uint64_t>(rate_ * ns / static_cast<double>(ns_per_second)),
                        pace_piece_bytes_min);
    }
    [[nodiscard]] std::uint64_t usual_ns() const { return static_cast<std::uint64_t>(usual_); }
    [[nodiscard]] std::uint64_t bytes_per_s() const { return static_cast<std::uint64_t>(rate_); }

  private:
    static constexpr double step = 0.1;
    static constexpr std::uint64_t counted_ns = 100 * ns_per_ms;

    // How often a batch of so many counts.
    double times_of(double events) {
        if (mean_events_ == 0) mean_events_ = events;
        mean_events_ += (events - mean_events_) / pace_mean_batches;
        return std::clamp(events / std::max(mean_events_, 1.0), 1 / pace_times_max, pace_times_max);
    }
    // Where one in a hundred is beyond it, in steps in proportion to itself.
    void learn_usual(double took, double times) {
        if (usual_ == 0) usual_ = took;
        usual_ *= took > usual_ ? 1 + step / 2 * times : 1 - step / 2 / 99 * times;
        usual_ = std::max(usual_, 1000.0);
    }
    void count(std::uint64_t bytes, MonotonicNs now) {
        const std::uint64_t ns = now.since(counted_at_);
        if (ns >= counted_ns) {
            went_ = static_cast<double>(counted_) * static_cast<double>(ns_per_second) / static_cast<double>(ns);
            counted_ = 0;
            counted_at_ = now;
        }
        counted_ += bytes;
    }

    std::uint64_t floor_ns_;
    double rate_ = 16 << 20;               // bytes per second
    double least_ = pace_bytes_per_s_min;  // the same
    std::uint64_t left_ = 0;
    MonotonicNs looked_at_{};
    double usual_ = 0;  // ns
    double went_ = 0;   // bytes per second, lately
    double mean_events_ = 0;
    std::uint64_t counted_ = 0;
    MonotonicNs counted_at_{};
    std::size_t live_stream_ = SIZE_MAX;  // whose live batch was sent or acked last
    MonotonicNs live_at_{};
    MonotonicNs other_live_at_{};  // of the last one of another stream before that
    MonotonicNs sent_at_{};
    MonotonicNs free_at_{};
};

}  // namespace weir::edge
