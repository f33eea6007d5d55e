// DutyLoop: a runner's rounds without its thread: completions first, then each stage in order, and sleep in the Io when a whole
// round found nothing to do.
//
// Thread    start() and run() on the runner's thread; request_drain(), request_halt() and the doorbell from any.
// Law       Before it sleeps it has said so (the doorbell), and then looked once more at every inlet and at what was asked of it.
#pragma once

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/assert.hpp"
#include "core/metrics/counter.hpp"
#include "core/pipeline/doorbell.hpp"
#include "core/pipeline/stage.hpp"

namespace weir {

enum class IdlePolicy : std::uint8_t { spin, spin_then_yield, spin_then_park };

inline constexpr std::uint64_t park_ns_max = ns_per_second;  // a parked runner's heartbeat still moves

template <class Sync>
class DutyLoop {
  public:
    // `rest_ns`: of spin_then_park, how long it sleeps once, whatever comes, when it has found no more to do: what comes meanwhile is
    // taken in one round. Where there is much to do it never rests. 0: it parks at once.
    DutyLoop(IdlePolicy idle, std::uint64_t idle_spin_ns, std::uint64_t rest_ns = 0)
        : idle_policy_(idle), idle_spin_ns_(idle_spin_ns), rest_ns_(rest_ns) {}

    // Before run(). A completion goes to the stage whose index is its Token::owner. The Io outlives the loop.
    void start(io::Io& io, std::vector<std::unique_ptr<Stage>> stages) {
        io_ = &io;
        stages_ = std::move(stages);
        doorbell_.attach(io);
    }
    // Until it was asked to halt, or to drain and every stage is drained. The stages are gone afterwards.
    void run();
    [[nodiscard]] DoorbellOver<Sync>& doorbell() { return doorbell_; }
    void request_drain() noexcept {
        int expected = wish_run;
        wish_.compare_exchange_strong(expected, wish_drain,
                                      std::memory_order_release);  // pairs with the acquire in run()
        doorbell_.ring();
    }
    void request_halt() noexcept {
        wish_.store(wish_halt, std::memory_order_release);  // pairs with the acquire in run()
        if (!Sync::has(ParkBug::halt_without_ring)) doorbell_.ring();
    }
    // How its time went, in ns: rounds that found something to do, and the rest. Any thread.
    [[nodiscard]] std::uint64_t worked_ns() const noexcept { return worked_ns_.get(); }
    [[nodiscard]] std::uint64_t idle_ns() const noexcept { return idle_ns_.get(); }
    [[nodiscard]] std::uint64_t heartbeat() const noexcept { return heartbeat_.load(std::memory_order_relaxed); }

  private:
    enum Wish : int { wish_run = 0, wish_drain = 1, wish_halt = 2 };

    [[nodiscard]] std::size_t duty_cycle(MonotonicNs until);
    void drain_in_order();
    void idle(MonotonicNs now);
    void park(MonotonicNs now);
    [[nodiscard]] bool rest();
    [[nodiscard]] bool has_something_to_do() const;
    // The time since the last call.
    void count(bool has_worked, MonotonicNs now) noexcept {
        (has_worked ? worked_ns_ : idle_ns_).add(now.since(counted_to_));
        counted_to_ = now;
    }

    IdlePolicy idle_policy_;
    std::uint64_t idle_spin_ns_;
    std::uint64_t rest_ns_;
    bool has_worked_since_rest_ = false;
    DoorbellOver<Sync> doorbell_;
    io::Io* io_ = nullptr;
    std::vector<std::unique_ptr<Stage>> stages_;
    MonotonicNs idle_since_{};
    MonotonicNs woke_at_{};  // when the last wait was over
    MonotonicNs counted_to_{};
    Counter worked_ns_, idle_ns_;
    typename Sync::template Atomic<int> wish_{wish_run};
    std::atomic<std::uint64_t> heartbeat_{0};
};

template <class Sync>
void DutyLoop<Sync>::run() {
    idle_since_ = counted_to_ = io_->now();
    for (;;) {
        const int wish = wish_.load(std::memory_order_acquire);
        if (wish == wish_halt) break;
        if (wish == wish_drain) {
            drain_in_order();
        }
        const std::size_t worked = duty_cycle(MonotonicNs{0});
        heartbeat_.store(heartbeat_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        if (wish == wish_drain &&
            std::all_of(stages_.begin(), stages_.end(), [](const auto& one) { return one->is_drained(); }))
            break;
        const MonotonicNs now = io_->now();
        count(worked > 0, now);
        if (worked > 0) {
            idle_since_ = now;
            has_worked_since_rest_ = true;
        } else {
            idle(now);
        }
    }
    // Stages own bytes that the Io may still be reading or writing. A disk that hangs past its time is answered by keeping
    // them for as long as the process lives.
    if (!io_->quiesce()) {
        for (auto& stage : stages_) static_cast<void>(stage.release());
    }
    stages_.clear();
}

// A stage is asked once nothing more can come from those before it.
template <class Sync>
void DutyLoop<Sync>::drain_in_order() {
    for (const auto& stage : stages_) {
        stage->drain(io_->now());
        if (!stage->is_drained()) return;
    }
}

template <class Sync>
std::size_t DutyLoop<Sync>::duty_cycle(MonotonicNs until) {
    const auto completions = io_->wait(until);
    const MonotonicNs now = io_->now();
    woke_at_ = now;
    for (const io::Completion& completion : completions) {
        WEIR_ASSERT(completion.token.owner < stages_.size());
        stages_[completion.token.owner]->on_completion(completion, now);
    }
    std::size_t worked = completions.size();
    for (const auto& stage : stages_) worked += stage->do_work(now);
    return worked;
}

template <class Sync>
void DutyLoop<Sync>::idle(MonotonicNs now) {
    switch (idle_policy_) {
        case IdlePolicy::spin:
            return;
        case IdlePolicy::spin_then_yield:
            if (now.since(idle_since_) >= idle_spin_ns_) ::sched_yield();
            return;
        case IdlePolicy::spin_then_park:
            if (now.since(idle_since_) >= idle_spin_ns_ && !rest()) park(now);
            return;
    }
}

// What was queued has been submitted by the round before. Not parked: whoever rings meanwhile need not wake it, it looks by itself.
template <class Sync>
bool DutyLoop<Sync>::rest() {
    if (rest_ns_ == 0 || !has_worked_since_rest_) return false;
    has_worked_since_rest_ = false;
    const timespec time{.tv_sec = static_cast<time_t>(rest_ns_ / ns_per_second),
                        .tv_nsec = static_cast<long>(rest_ns_ % ns_per_second)};
    ::nanosleep(&time, nullptr);
    count(false, io_->now());
    return true;
}

template <class Sync>
void DutyLoop<Sync>::park(MonotonicNs now) {
    MonotonicNs until = now.plus_ns(park_ns_max);
    for (const auto& stage : stages_) until = std::min(until, stage->next_deadline());
    const bool looks_too_early = Sync::has(ParkBug::look_before_sleep) && has_something_to_do();
    doorbell_.prepare_sleep();
    const bool looks = !Sync::has(ParkBug::look_before_sleep) && !Sync::has(ParkBug::no_second_look);
    const bool is_needed = looks_too_early || (looks && has_something_to_do());
    if (!is_needed) {
        const bool has_worked = duty_cycle(until) > 0;
        const MonotonicNs done = io_->now();
        count(false, woke_at_);
        count(has_worked, done);
        if (has_worked) {
            idle_since_ = done;
            has_worked_since_rest_ = true;
        }
    }
    doorbell_.end_sleep();
}

template <class Sync>
bool DutyLoop<Sync>::has_something_to_do() const {
    const bool has_input =
        std::any_of(stages_.begin(), stages_.end(), [](const auto& one) { return one->has_input(); });
    return has_input || (!Sync::has(ParkBug::no_look_at_wishes) && wish_.load(std::memory_order_acquire) != wish_run);
}

}  // namespace weir
