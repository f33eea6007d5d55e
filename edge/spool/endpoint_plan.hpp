// EndpointPlan: which central to try next, and how long to wait before that; a circuit breaker for each.
//
// A central that fails is left for the next at once: of those not tried in this round, the one with the fewest failures in a row,
// among equals the most preferred. When none is left a new round begins after a pause that doubles from round to round.
// One that is there and has more hellos than it takes says when it is this edge's turn: that is no failure. Where none is left it is that
// one's turn which comes first; a turn beyond pause_ms_max is not waited for, but a pause of up to that.
// After breaker_failures in a row a central is open: not tried while another one is not. When it is due it is half-open: one
// failure opens it again. If all are open the one that is due first is next, when it is due but no later than pause_ms_max.
//
// Thread    One. Given time. Pauses that nobody told have full jitter, so that a crowd of edges that lost a central at one instant comes back spread
//           over the whole pause; opening times vary by half.
// Law       A session alone proves nothing: only proved() (an ack, an answered ping) closes a breaker and ends a round.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/assert.hpp"
#include "core/base/types.hpp"
#include "edge/counters.hpp"
#include "edge/spool/jitter.hpp"

namespace weir::edge {

enum class BreakerState : std::uint8_t { closed = 0, half_open = 1, open = 2 };

class EndpointPlan {
  public:
    struct Options {
        std::size_t endpoints = 1;  // 1 to centrals_max
        std::uint64_t pause_ms_min = 100;
        std::uint64_t pause_ms_max = 10'000;
        std::uint32_t breaker_failures = 5;
        std::uint64_t breaker_ms = 5000;
        std::uint64_t seed = 1;
    };
    explicit EndpointPlan(Options options) : options_(options), pause_ms_(options.pause_ms_min), jitter_(options.seed) {
        WEIR_ASSERT(options.endpoints >= 1 && options.endpoints <= centrals_max);
    }
    [[nodiscard]] std::size_t endpoint() const { return endpoint_; }
    [[nodiscard]] std::size_t endpoints() const { return options_.endpoints; }
    [[nodiscard]] BreakerState breaker(std::size_t index, MonotonicNs now) const {
        const Breaker& one = breakers_[index];
        if (!one.is_open) return BreakerState::closed;
        return now >= one.due ? BreakerState::half_open : BreakerState::open;
    }

    // What became of the endpoint; chooses the next. All return the milliseconds to wait before trying that.
    // Not reached, silent, or it has sent the edge away for now.
    [[nodiscard]] std::uint64_t failed(MonotonicNs now) {
        count_failure(now);
        return choose(now);
    }
    // Sent away until its turn, told_ms from now.
    [[nodiscard]] std::uint64_t told(MonotonicNs now, std::uint64_t told_ms) {
        breakers_[endpoint_].is_open = false;
        turns_[endpoint_] = now.plus_ns(told_ms * ns_per_ms);
        for (std::size_t index = 0; index < options_.endpoints; ++index) {
            if (turns_[index] > now) tried_ |= 1U << index;  // not before
        }
        if (pick(now)) return 0;
        tried_ = 0;
        for (std::size_t index = 0; index < options_.endpoints; ++index) {
            if (turns_[index] > now && turns_[index] < turns_[endpoint_]) endpoint_ = index;
        }
        const std::uint64_t wait_ms = (turns_[endpoint_].since(now) + ns_per_ms - 1) / ns_per_ms;
        return wait_ms <= options_.pause_ms_max ? wait_ms : jitter_.full(options_.pause_ms_max);
    }
    // The connection broke: once more to the same, unless that was one failure too many.
    [[nodiscard]] std::uint64_t lost(MonotonicNs now) {
        tried_ = 0;
        count_failure(now);
        if (breakers_[endpoint_].is_open) return choose(now);
        return jitter_.full(options_.pause_ms_min);
    }
    // Refused for a reason that does not pass by itself: open at once, for the longest pause.
    [[nodiscard]] std::uint64_t turned_away(MonotonicNs now) {
        ++breakers_[endpoint_].failures;
        open(now, options_.pause_ms_max);
        return choose(now);
    }
    void proved() {
        breakers_[endpoint_] = {};
        tried_ = 0;
        pause_ms_ = options_.pause_ms_min;
    }
    // To this one next, whatever its breaker says: it has answered probes.
    void go_to(std::size_t index) {
        endpoint_ = index;
        tried_ = 0;
    }

  private:
    struct Breaker {
        std::uint32_t failures = 0;  // in a row
        bool is_open = false;
        MonotonicNs due{};
    };

    void open(MonotonicNs now, std::uint64_t ms) {
        breakers_[endpoint_].is_open = true;
        breakers_[endpoint_].due = now.plus_ns(jitter_.of(ms) * ns_per_ms);
    }
    void count_failure(MonotonicNs now) {
        Breaker& one = breakers_[endpoint_];
        if (one.failures < UINT32_MAX) ++one.failures;
        if (one.is_open || one.failures >= options_.breaker_failures) open(now, options_.breaker_ms);
    }
    [[nodiscard]] std::uint64_t choose(MonotonicNs now) {
        tried_ |= 1U << endpoint_;
        if (pick(now)) return 0;
        tried_ = 0;
        if (pick(now)) {
            const std::uint64_t pause = pause_ms_;
            pause_ms_ = std::min(pause_ms_ * 2, options_.pause_ms_max);
            return jitter_.full(pause);
        }
        const auto first = breakers_.begin();
        const auto due_first =
            std::min_element(first, first + static_cast<std::ptrdiff_t>(options_.endpoints),
                             [](const Breaker& one, const Breaker& other) { return one.due < other.due; });
        endpoint_ = static_cast<std::size_t>(due_first - first);
        return std::min((due_first->due.since(now) + ns_per_ms - 1) / ns_per_ms, options_.pause_ms_max);
    }
    // The best that is not open and was not tried in this round; false if there is none.
    [[nodiscard]] bool pick(MonotonicNs now) {
        std::size_t best = options_.endpoints;
        for (std::size_t index = 0; index < options_.endpoints; ++index) {
            if ((tried_ >> index & 1U) != 0 || breaker(index, now) == BreakerState::open) continue;
            if (best == options_.endpoints || breakers_[index].failures < breakers_[best].failures) best = index;
        }
        if (best == options_.endpoints) return false;
        endpoint_ = best;
        return true;
    }

    static_assert(centrals_max <= 32, "tried_ has a bit for each");
    Options options_;
    std::uint64_t pause_ms_;
    Jitter jitter_;
    std::size_t endpoint_ = 0;
    std::uint32_t tried_ = 0;  // in this round
    std::array<Breaker, centrals_max> breakers_{};
    std::array<MonotonicNs, centrals_max> turns_{};
};

}  // namespace weir::edge
