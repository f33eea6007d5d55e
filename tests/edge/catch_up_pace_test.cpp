// The pace of what is read back, against models of live batches that it makes late.
#include <gtest/gtest.h>

#include <random>

#include "edge/spool/catch_up_pace.hpp"

namespace weir::edge {
namespace {

constexpr std::uint64_t batch = 64U << 10;
constexpr std::uint64_t floor_ns = 2 * ns_per_ms;
constexpr std::size_t live = 0, backlog = 1;  // streams

// Live batches every 2 ms. One in a hundred takes 10 ms or more by itself; what is read back makes more of them late, in proportion
// to how fast it goes: at `harm_bytes_per_s` each takes thrice its time.
class Model {
  public:
    explicit Model(CatchUpPace& pace, double harm_bytes_per_s) : pace_(pace), harm_(harm_bytes_per_s) {}
    struct Outcome {
        std::uint64_t acks = 0, late = 0, bytes = 0;
    };
    Outcome run(std::uint64_t for_ns, bool is_draining, bool is_live = true, double offered_bytes_per_s = 400e6) {
        Outcome outcome;
        double went = 0;
        for (const std::uint64_t until = now_ + for_ns; now_ < until; now_ += 100 * ns_per_us) {
            const MonotonicNs now{now_};
            const double step_s = 1e-4;
            owed_ = std::min(owed_ + offered_bytes_per_s * step_s, 2.0 * batch);
            std::uint64_t sent = 0;
            while (is_draining && owed_ >= batch && pace_.free_at(backlog, now) <= now) {
                pace_.sent(backlog, batch, now);
                owed_ -= batch;
                sent += batch;
            }
            outcome.bytes += sent;
            went += (static_cast<double>(sent) / step_s - went) * 0.002;
            if (!is_live || now_ % (2 * ns_per_ms) != 0) continue;
            const bool is_hit = unit_(random_) < went / harm_;
            const auto took = static_cast<std::uint64_t>(1e6 + slow_(random_) * 2e6) * (is_hit ? 3 : 1);
            pace_.live_acked(live, {1, took}, now);
            ++outcome.acks;
            if (took > pace_.allowed_ns()) ++outcome.late;
        }
        return outcome;
    }

  private:
    CatchUpPace& pace_;
    double harm_;
    double owed_ = 0;
    std::uint64_t now_ = ns_per_second;
    std::mt19937_64 random_{7};
    std::uniform_real_distribution<double> unit_{0, 1};
    std::exponential_distribution<double> slow_{1};
};

TEST(CatchUpPace, LearnsTheUsualWhileNothingIsReadBack) {
    CatchUpPace pace(floor_ns);
    Model model(pace, 100e6);
    (void)model.run(30 * ns_per_second, false);
    // One in a hundred is beyond 1 ms + 4.6 * 2 ms.
    EXPECT_GT(pace.usual_ns(), 7 * ns_per_ms);
    EXPECT_LT(pace.usual_ns(), 14 * ns_per_ms);
    EXPECT_EQ(pace.allowed_ns(), pace.usual_ns() / 100 * 150);
}

TEST(CatchUpPace, SettlesWhereOneLiveBatchInAHundredIsLate) {
    CatchUpPace pace(floor_ns);
    Model model(pace, 100e6);
    (void)model.run(30 * ns_per_second, false);
    (void)model.run(20 * ns_per_second, true);
    const Model::Outcome outcome = model.run(60 * ns_per_second, true);
    EXPECT_LT(outcome.late * 1000, outcome.acks * 15);
    EXPECT_GT(outcome.late * 1000, outcome.acks * 5) << "it goes as fast as it may";
    EXPECT_GT(outcome.bytes, 60 * 2'000'000ULL);
}

TEST(CatchUpPace, IsNoBoundWhereNobodyIsHarmed) {
    CatchUpPace pace(floor_ns);
    Model model(pace, 1e18);
    (void)model.run(30 * ns_per_second, false);
    (void)model.run(20 * ns_per_second, true);
    EXPECT_GT(model.run(20 * ns_per_second, true).bytes, 20 * 380'000'000ULL);
}

TEST(CatchUpPace, IsNoBoundWithoutLiveBatches) {
    CatchUpPace pace(floor_ns);
    Model model(pace, 1e3);
    (void)model.run(10 * ns_per_second, false);
    (void)model.run(10 * ns_per_second, true);
    EXPECT_LT(model.run(10 * ns_per_second, true).bytes, 10 * 10'000'000ULL) << "everything is late: next to its least";
    (void)model.run(2 * pace_live_ns, true, false);
    EXPECT_GT(model.run(10 * ns_per_second, true, false).bytes, 10 * 380'000'000ULL);
}

TEST(CatchUpPace, WhatWentAloneIsNotOwedWhenLiveBatchesComeBack) {
    CatchUpPace pace(floor_ns);
    Model model(pace, 1e18);
    (void)model.run(10 * ns_per_second, false);
    (void)model.run(20 * ns_per_second, true, false);  // 8 GB
    EXPECT_GT(model.run(ns_per_second, true).bytes, static_cast<std::uint64_t>(pace_bytes_per_s_min));
}

// Its own live batches of a moment ago are nobody who could be harmed: what it has now waits behind what is read back.
TEST(CatchUpPace, AStreamThatHasFallenBehindIsNotHeldForItself) {
    CatchUpPace pace(floor_ns);
    const MonotonicNs now{10 * ns_per_second};
    pace.live_acked(backlog, {1, ns_per_ms}, now);
    pace.sent(backlog, 1ULL << 40, now);
    EXPECT_EQ(pace.free_at(backlog, now), now);
    pace.live_acked(live, {1, ns_per_ms}, now);
    pace.sent(backlog, 1ULL << 30, now);
    EXPECT_GT(pace.free_at(backlog, now), now);
    pace.live_acked(backlog, {1, ns_per_ms}, now);
    EXPECT_GT(pace.free_at(backlog, now), now) << "the other one was there a moment before";
    EXPECT_LE(pace.free_at(backlog, now.plus_ns(pace_live_ns)), now.plus_ns(pace_live_ns));
}

TEST(CatchUpPace, GoesOnHoweverLateEverythingIs) {
    CatchUpPace pace(floor_ns);
    for (std::uint64_t i = 1; i < 1000; ++i) {
        pace.sent(backlog, batch, MonotonicNs{i * ns_per_ms});
        pace.live_acked(live, {1, ns_per_second}, MonotonicNs{i * ns_per_ms});
    }
    EXPECT_EQ(pace.bytes_per_s(), static_cast<std::uint64_t>(pace_bytes_per_s_min));
}

// A lane that is given more than the least, beside live batches that are always late.
TEST(CatchUpPace, WhatDoesNotBecomeLessGoesFasterUntilItDoes) {
    CatchUpPace pace(floor_ns);
    constexpr std::uint64_t given_bytes_per_s = 30ULL << 20;
    std::uint64_t left = 1ULL << 30, most = left;
    for (std::uint64_t ms = 1; ms < 300'000; ++ms) {
        const MonotonicNs now{ms * ns_per_ms};
        left += given_bytes_per_s / 1000;
        pace.live_acked(live, {1, ns_per_second}, now);
        if (left >= batch && pace.free_at(backlog, now) <= now) {
            pace.sent(backlog, batch, now);
            left -= batch;
        }
        if (pace.wants_left(now)) pace.left(left, now);
        most = std::max(most, left);
    }
    EXPECT_LT(most, 1.3 * (1ULL << 30)) << "it is held, and no more";
    // Nothing is given any more.
    for (std::uint64_t second = 301; second < 360; ++second) {
        pace.sent(backlog, batch, {second * ns_per_second});
        pace.left((400 - second) * batch, {second * ns_per_second});
    }
    for (std::uint64_t i = 0; i < 100; ++i) pace.live_acked(live, {1, ns_per_second}, {359 * ns_per_second + i});
    EXPECT_EQ(pace.bytes_per_s(), static_cast<std::uint64_t>(pace_bytes_per_s_min));
}

// One batch in 150 is late; with five times the events of the others it is one event in thirty.
TEST(CatchUpPace, ALateBatchCountsByItsEvents) {
    const auto rate_after = [](std::uint64_t late_events) {
        CatchUpPace pace(floor_ns);
        for (std::uint64_t i = 1; i <= 20'000; ++i) {
            const MonotonicNs now{i * ns_per_ms};
            pace.sent(backlog, batch, now);
            const bool is_late = i % 150 == 0;
            pace.live_acked(live, {is_late ? late_events : 10, is_late ? ns_per_second : 1}, now);
        }
        return pace.bytes_per_s();
    };
    EXPECT_GT(rate_after(10), 4 * pace_bytes_per_s_min) << "fewer than one in a hundred";
    EXPECT_LT(rate_after(50), 1.2 * pace_bytes_per_s_min) << "more than one in a hundred";
}

// As soon as one was sent, not only when central has acked it behind all that was under way.
TEST(CatchUpPace, HoldsBackFromTheFirstLiveBatchThatIsSent) {
    CatchUpPace pace(floor_ns);
    const MonotonicNs now{10 * ns_per_second};
    EXPECT_EQ(pace.piece_bytes(backlog, 0, now), UINT64_MAX);
    pace.live_sent(live, now);
    pace.sent(backlog, 1ULL << 30, now);
    EXPECT_GT(pace.free_at(backlog, now), now);
    EXPECT_LT(pace.piece_bytes(backlog, 0, now), 1U << 20);
    EXPECT_GE(pace.piece_bytes(backlog, 0, now), pace_piece_bytes_min);
}

// A disk that answers each read after 20 ms, however long it is: what is read at once must not sink with the rate that comes of it.
TEST(CatchUpPace, ReadsMoreAtOnceWhereADiskIsSlowToAnswer) {
    CatchUpPace pace(floor_ns);
    constexpr std::uint64_t read_ns = 20 * ns_per_ms;
    std::uint64_t sent = 0, ready_at = 0, ready_bytes = 0;
    for (std::uint64_t ms = 1; ms < 20'000; ++ms) {
        const MonotonicNs now{ms * ns_per_ms};
        pace.live_acked(live, {1, 1000}, now);
        if (now.value >= ready_at) {
            ready_bytes += std::min<std::uint64_t>(pace.piece_bytes(backlog, read_ns, now), 1U << 20);
            ready_at = now.value + read_ns;
        }
        while (ready_bytes >= batch && pace.free_at(backlog, now) <= now) {
            pace.sent(backlog, batch, now);
            ready_bytes -= batch;
            if (ms > 10'000) sent += batch;
        }
    }
    EXPECT_GT(sent, 10 * 40'000'000ULL) << "1 MiB each 20 ms is 52 MB/s";
}

TEST(CatchUpPace, CanBeSwitchedOff) {
    CatchUpPace pace(0);
    const MonotonicNs now{ns_per_second};
    pace.live_acked(live, {1, ns_per_ms}, now);
    pace.sent(backlog, 1ULL << 40, now);
    EXPECT_EQ(pace.free_at(backlog, now), now);
}

}  // namespace
}  // namespace weir::edge
