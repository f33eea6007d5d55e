// ThreadBell: wakes a thread that has no Io and sleeps until it has work, as Doorbell wakes a runner: its callers never wait, and pay
// one system call only where it sleeps.
//
// Protocol  The sleeper: prepare_sleep(); look at everything once more; sleep() or end_sleep().
//           The caller: publish first; then ring().
// Law       Both exchange `asleep_`, one of them first. If it was the sleeper, ring() sees that it sleeps; if it was the caller, the
//           sleeper's look sees what was published. So that it does, nobody ever stores there: an exchange takes over what the ones
//           before it published, and a store in between would not.
// Thread    ring: any. The rest: the sleeper.
// Failure   Where no descriptor was left at start it wakes by itself every unrung_ns.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>

#include "core/base/clock.hpp"
#include "core/base/types.hpp"

namespace weir::io {

class ThreadBell {
  public:
    static constexpr std::uint64_t unrung_ns = 100 * ns_per_ms;

    ThreadBell() : event_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    ~ThreadBell() {
        if (event_fd_ >= 0) ::close(event_fd_);
    }
    ThreadBell(const ThreadBell&) = delete;
    ThreadBell& operator=(const ThreadBell&) = delete;

    void ring() noexcept {
        // acquire and release: pairs with the exchange in prepare_sleep(), whichever comes first
        if (!asleep_.exchange(false, std::memory_order_acq_rel) || event_fd_ < 0) return;
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto ignored = ::write(event_fd_, &one, sizeof one);
    }

    void prepare_sleep() noexcept { asleep_.exchange(true, std::memory_order_acq_rel); }
    void end_sleep() noexcept { asleep_.exchange(false, std::memory_order_acq_rel); }
    // Until it is rung, or `until`; may wake for nothing.
    void sleep(MonotonicNs until) noexcept {
        const std::uint64_t ns = std::min(until.since(monotonic_now()), event_fd_ < 0 ? unrung_ns : UINT64_MAX);
        const timespec limit{.tv_sec = static_cast<time_t>(std::min(ns / ns_per_second, sleep_s_max)),
                             .tv_nsec = static_cast<long>(ns % ns_per_second)};
        pollfd watched{.fd = event_fd_, .events = POLLIN, .revents = 0};
        if (::ppoll(&watched, 1, &limit, nullptr) > 0) {
            std::uint64_t rung = 0;
            [[maybe_unused]] const auto ignored = ::read(event_fd_, &rung, sizeof rung);
        }
        end_sleep();
    }

  private:
    static constexpr std::uint64_t sleep_s_max = 3600;  // what a timespec holds everywhere; it only looks once more

    const int event_fd_;
    std::atomic<bool> asleep_{false};
};

}  // namespace weir::io
