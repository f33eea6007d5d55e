#include "core/pipeline/runner.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <future>

namespace weir {
namespace {

enum Wish : int { wish_run = 0, wish_drain = 1, wish_halt = 2 };
constexpr std::uint64_t park_ns_max = ns_per_second;  // a parked runner's heartbeat still moves

void name_and_pin(const RunnerOptions& options) {
    ::pthread_setname_np(::pthread_self(), options.name.substr(0, 15).c_str());
    if (options.core < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(options.core), &set);
    static_cast<void>(
        ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set));  // a core that was taken away: float
}

}  // namespace

Runner::Runner(RunnerOptions options) : options_(std::move(options)) {}

Runner::~Runner() {
    request_halt();
    join();
}

Status Runner::start(Build build) {
    // Shared: this side may return while the other is still inside set_value().
    auto ready = std::make_shared<std::promise<Status>>();
    auto outcome = ready->get_future();
    thread_ = std::thread([this, build = std::move(build), ready] {
        name_and_pin(options_);
        auto io = io::make_io(options_.io, options_.io_options);
        if (!io) {
            finished_.store(true, std::memory_order_release);
            ready->set_value(io.error());
            return;
        }
        io_ = std::move(io.value());
        io_name_ = io_->name();
        auto stages = build(*io_);
        if (!stages) {
            io_.reset();
            finished_.store(true, std::memory_order_release);
            ready->set_value(stages.error());
            return;
        }
        stages_ = std::move(stages.value());
        doorbell_.attach(*io_);
        ready->set_value(Done{});
        run();
    });
    Status status = outcome.get();
    if (!status) thread_.join();
    return status;
}

void Runner::request_drain() noexcept {
    int expected = wish_run;
    wish_.compare_exchange_strong(expected, wish_drain, std::memory_order_release);  // pairs with the acquire in run()
    doorbell_.ring();
}

void Runner::request_halt() noexcept {
    wish_.store(wish_halt, std::memory_order_release);  // pairs with the acquire in run()
    doorbell_.ring();
}

void Runner::join() {
    if (thread_.joinable()) thread_.join();
}

void Runner::run() {
    idle_since_ = io_->now();
    for (;;) {
        const int wish = wish_.load(std::memory_order_acquire);
        if (wish == wish_halt) break;
        if (wish == wish_drain) {
            for (const auto& stage : stages_) stage->drain(io_->now());
        }
        const std::size_t worked = duty_cycle(MonotonicNs{0});
        heartbeat_.store(heartbeat_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        if (wish == wish_drain &&
            std::all_of(stages_.begin(), stages_.end(), [](const auto& one) { return one->is_drained(); }))
            break;
        const MonotonicNs now = io_->now();
        if (worked > 0)
            idle_since_ = now;
        else
            idle(now);
    }
    // Stages own bytes that the Io may still be reading or writing. A disk that hangs past its time is answered by keeping
    // them for as long as the process lives.
    if (!io_->quiesce()) {
        for (auto& stage : stages_) static_cast<void>(stage.release());
    }
    stages_.clear();
    // The Io itself stays until the Runner goes: others may still ring the doorbell.
    finished_.store(true, std::memory_order_release);  // pairs with the acquire in is_finished()
}

std::size_t Runner::duty_cycle(MonotonicNs until) {
    const auto completions = io_->wait(until);
    const MonotonicNs now = io_->now();
    for (const io::Completion& completion : completions) {
        WEIR_ASSERT(completion.token.owner < stages_.size());
        stages_[completion.token.owner]->on_completion(completion, now);
    }
    std::size_t worked = completions.size();
    for (const auto& stage : stages_) worked += stage->do_work(now);
    return worked;
}

void Runner::idle(MonotonicNs now) {
    switch (options_.idle) {
        case IdlePolicy::spin:
            return;
        case IdlePolicy::spin_then_yield:
            if (now.since(idle_since_) >= options_.idle_spin_ns) ::sched_yield();
            return;
        case IdlePolicy::spin_then_park:
            break;
    }
    if (now.since(idle_since_) < options_.idle_spin_ns) return;
    MonotonicNs until = now.plus_ns(park_ns_max);
    for (const auto& stage : stages_) until = std::min(until, stage->next_deadline());
    doorbell_.prepare_sleep();
    const bool has_input =
        std::any_of(stages_.begin(), stages_.end(), [](const auto& one) { return one->has_input(); });
    const bool has_wish = wish_.load(std::memory_order_acquire) != wish_run;
    if (!has_input && !has_wish && duty_cycle(until) > 0) idle_since_ = io_->now();
    doorbell_.end_sleep();
}

}  // namespace weir
