// ReturnPlan: when to ask a more preferred central whether it is back, and when to go back to it.
//
// While a session lasts at a less preferred one, a trial begins every return_ms, with jitter: the more preferred are asked in order,
// the first that answers is asked again and again for return_stable_ms, four times at least, and if it always answers it is gone back to. One
// answer missing ends its trial. A central that is lost again within a minute of the return doubles both times, up to sixteenfold;
// one that lasted sets them back. A central that was ended and started between two asks answers with another life (core/wire/FORMAT.md
// 3.2): that ends its trial as a missing answer does.
//
// Thread    One. Given time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/types.hpp"
#include "edge/spool/jitter.hpp"

namespace weir::edge {

class ReturnPlan {
  public:
    struct Options {
        std::uint64_t return_ms = 30'000;
        std::uint64_t return_stable_ms = 10'000;
        std::uint64_t seed = 1;
    };
    static constexpr std::uint64_t lasting_ns = 60 * ns_per_second;
    static constexpr std::uint32_t doublings_max = 4;
    static constexpr std::uint32_t asks_per_trial = 4;

    explicit ReturnPlan(Options options) : options_(options), jitter_(options.seed) {}

    // A session is agreed with this one.
    void settled(std::size_t endpoint, MonotonicNs now) {
        has_returned_ = target_ && *target_ == endpoint;
        settled_at_ = now;
        target_.reset();
        current_ = endpoint;
        begin_wait(now);
    }
    // The session ended, or none came about; not called when the edge itself leaves in order to return.
    void lost(MonotonicNs now) {
        if (target_) {
            doublings_ = std::min(doublings_ + 1, doublings_max);
        } else if (has_returned_) {
            doublings_ = now.since(settled_at_) < lasting_ns ? std::min(doublings_ + 1, doublings_max) : 0;
        }
        target_.reset();
        has_returned_ = false;
        is_asking_ = false;
        current_ = 0;
    }
    // Whom to ask now, if anyone. Each ask must be followed by answered().
    [[nodiscard]] std::optional<std::size_t> ask(MonotonicNs now) {
        if (current_ == 0 || is_asking_ || target_ || now < next_at_) return std::nullopt;
        is_asking_ = true;
        return candidate_;
    }
    // The life of the process that answered, none: it is not there. True: go back to target() now. False also if what was asked no
    // longer matters.
    [[nodiscard]] bool answered(std::optional<std::uint16_t> life, MonotonicNs now) {
        if (!is_asking_) return false;
        is_asking_ = false;
        if (!life || (is_trial_ && *life != life_)) {
            is_trial_ = false;
            if (++candidate_ < current_) {
                next_at_ = now;
            } else {
                begin_wait(now);
            }
            return false;
        }
        const std::uint64_t stable_ms = options_.return_stable_ms << doublings_;
        if (!std::exchange(is_trial_, true)) {
            trial_began_ = now;
            life_ = *life;
        }
        if (now.since(trial_began_) >= stable_ms * ns_per_ms) {
            target_ = candidate_;
            is_trial_ = false;
            return true;
        }
        // One interval less than asks: the last falls on the end.
        next_at_ = now.plus_ns(stable_ms * ns_per_ms / (asks_per_trial - 1) + 1);
        return false;
    }
    [[nodiscard]] std::optional<std::size_t> target() const { return target_; }
    [[nodiscard]] MonotonicNs next_at() const { return current_ == 0 || is_asking_ || target_ ? never : next_at_; }
    [[nodiscard]] std::uint32_t doublings() const { return doublings_; }

  private:
    void begin_wait(MonotonicNs now) {
        candidate_ = 0;
        is_asking_ = false;
        is_trial_ = false;
        next_at_ = now.plus_ns(jitter_.of(options_.return_ms << doublings_) * ns_per_ms);
    }

    Options options_;
    Jitter jitter_;
    std::size_t current_ = 0;  // of the session; 0 also without one: nothing is preferred to it
    std::size_t candidate_ = 0;
    bool is_asking_ = false;
    std::optional<std::size_t> target_;
    bool is_trial_ = false;
    MonotonicNs trial_began_{};
    std::uint16_t life_ = 0;     // of who answered in this trial
    bool has_returned_ = false;  // the session is with one that was gone back to
    MonotonicNs settled_at_{};
    std::uint32_t doublings_ = 0;
    MonotonicNs next_at_{};
};

}  // namespace weir::edge
