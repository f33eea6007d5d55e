// The window of what is read back, against a model of the way to central: a queue served at a rate, a way there and back, and a
// group commit at its end.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "edge/spool/catch_up_window.hpp"

namespace weir::edge {
namespace {

constexpr std::uint64_t batch = 64U << 10;

// Catching up as fast as the window lets it, beside live batches in a steady rhythm.
struct Way {
    std::uint64_t bytes_per_s = 50'000'000;
    std::uint64_t trip_ns = 2 * ns_per_ms;    // there and back, nothing in between
    std::uint64_t commit_ns = 2 * ns_per_ms;  // acks go out with the next tick of this
    std::uint64_t live_every_ns = 10 * ns_per_ms;
    std::uint64_t live_bytes = 32U << 10;
};

struct Outcome {
    std::vector<std::uint64_t> live_ns;  // each live batch's time to its ack, sorted
    std::uint64_t caught_up_bytes = 0;
    [[nodiscard]] std::uint64_t live(double share) const {
        return live_ns.at(static_cast<std::size_t>(static_cast<double>(live_ns.size() - 1) * share));
    }
};

class Model {
  public:
    explicit Model(std::uint64_t queue_ms) : window_(queue_ms * ns_per_ms) {}
    [[nodiscard]] Outcome run(const Way& way, std::uint64_t for_ns, std::uint64_t credit_bytes = 8U << 20) {
        Outcome outcome;
        const std::uint64_t until = now_ + for_ns;
        std::uint64_t live_at = now_;
        for (; now_ < until; now_ += 50 * ns_per_us) {
            while (!on_way_.empty() && on_way_.front().acked_at <= now_) {
                const Batch& one = on_way_.front();
                const std::uint64_t took = one.acked_at - one.sent_at;
                window_.acked(one.catch_up_bytes, took, MonotonicNs{now_});
                credit_used_ -= one.catch_up_bytes;
                if (one.catch_up_bytes == 0) outcome.live_ns.push_back(took);
                outcome.caught_up_bytes += one.catch_up_bytes;
                on_way_.pop_front();
            }
            if (live_at <= now_) {
                live_at += way.live_every_ns;
                send(way, way.live_bytes, 0);
            }
            while (window_.may_send(batch) && credit_used_ + batch <= credit_bytes) {
                window_.sent(batch);
                credit_used_ += batch;
                send(way, batch, batch);
            }
        }
        std::sort(outcome.live_ns.begin(), outcome.live_ns.end());
        return outcome;
    }
    [[nodiscard]] const CatchUpWindow& window() const { return window_; }

  private:
    struct Batch {
        std::uint64_t sent_at = 0, acked_at = 0, catch_up_bytes = 0;
    };
    void send(const Way& way, std::uint64_t bytes, std::uint64_t catch_up_bytes) {
        free_at_ = std::max(free_at_, now_) + bytes * ns_per_second / way.bytes_per_s;
        const std::uint64_t arrived = free_at_ + way.trip_ns;
        const std::uint64_t acked = (arrived / way.commit_ns + 1) * way.commit_ns;
        on_way_.push_back({.sent_at = now_, .acked_at = acked, .catch_up_bytes = catch_up_bytes});
    }
    CatchUpWindow window_;
    std::deque<Batch> on_way_;
    std::uint64_t now_ = ns_per_second;
    std::uint64_t free_at_ = 0;
    std::uint64_t credit_used_ = 0;
};

std::uint64_t left_for_catching_up(const Way& way, std::uint64_t ns) {
    const std::uint64_t live = way.live_bytes * (ns_per_second / way.live_every_ns);
    return (way.bytes_per_s - live) / 1000 * (ns / ns_per_ms);
}

TEST(CatchUpWindow, KeepsTheQueueShortAndTheWayFull) {
    for (const std::uint64_t rate : {20'000'000ULL, 50'000'000ULL, 400'000'000ULL}) {
        const Way way{.bytes_per_s = rate};
        Model model(5);
        (void)model.run(way, ns_per_second);
        const Outcome outcome = model.run(way, 10 * ns_per_second);
        const std::uint64_t batch_ns = batch * ns_per_second / rate;
        EXPECT_LE(outcome.live(0.99), way.trip_ns + way.commit_ns + 2 * 5 * ns_per_ms + 2 * batch_ns) << rate;
        EXPECT_GE(outcome.caught_up_bytes, left_for_catching_up(way, 10 * ns_per_second) * 9 / 10) << rate;
    }
}

TEST(CatchUpWindow, FillsALongWayAndNoMoreThanDoublesItsTime) {
    const Way way{.bytes_per_s = 50'000'000, .trip_ns = 80 * ns_per_ms};
    Model model(5);
    (void)model.run(way, 5 * ns_per_second, 64U << 20);
    const Outcome outcome = model.run(way, 20 * ns_per_second, 64U << 20);
    EXPECT_LE(outcome.live(0.99), 2 * (way.trip_ns + way.commit_ns) + 20 * ns_per_ms);
    EXPECT_GE(outcome.caught_up_bytes, left_for_catching_up(way, 20 * ns_per_second) * 9 / 10);
}

TEST(CatchUpWindow, FollowsAWayThatBecomesSlowerAndOneThatBecomesLonger) {
    Model model(5);
    (void)model.run({.bytes_per_s = 400'000'000}, 5 * ns_per_second);
    const Way slower{.bytes_per_s = 20'000'000};
    (void)model.run(slower, ns_per_second);
    const Outcome slow = model.run(slower, 5 * ns_per_second);
    EXPECT_LE(slow.live(0.99), 25 * ns_per_ms);
    const Way longer{.bytes_per_s = 20'000'000, .trip_ns = 60 * ns_per_ms};
    (void)model.run(longer, DelayWindow::least_slots * DelayWindow::least_slot_ns + ns_per_second);
    const Outcome far = model.run(longer, 10 * ns_per_second);
    EXPECT_GE(far.caught_up_bytes, left_for_catching_up(longer, 10 * ns_per_second) * 9 / 10);
}

TEST(CatchUpWindow, WithoutABoundTakesWhatIsGranted) {
    const Way way;
    Model model(0);
    const Outcome outcome = model.run(way, 5 * ns_per_second);
    EXPECT_GT(outcome.live(0.5), 100 * ns_per_ms) << "8 MiB before each live batch";
}

TEST(CatchUpWindow, LetsOneBatchGoHoweverSmallItIs) {
    CatchUpWindow window(5 * ns_per_ms);
    EXPECT_TRUE(window.may_send(1ULL << 40));
    window.sent(1ULL << 40);
    EXPECT_FALSE(window.may_send(1));
    window.acked(1ULL << 40, ns_per_ms, MonotonicNs{ns_per_second});
    EXPECT_TRUE(window.may_send(1));
    window.sent(batch);
    window.forget_under_way();
    EXPECT_EQ(window.under_way(), 0U);
}

TEST(CatchUpWindow, NeverShrinksBelowItsLeast) {
    CatchUpWindow window(ns_per_ms);
    window.acked(0, ns_per_ms, MonotonicNs{ns_per_second});
    for (std::uint64_t i = 2; i < 200; ++i) {
        window.sent(batch);
        window.acked(batch, 20 * ns_per_ms, MonotonicNs{ns_per_second + i * 25 * ns_per_ms});
    }
    EXPECT_EQ(window.bytes(), window_bytes_min);
}

}  // namespace
}  // namespace weir::edge
