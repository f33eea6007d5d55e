#include "core/control/signals.hpp"

#include <unistd.h>

#include <csignal>
#include <ctime>
#include <initializer_list>

#include "core/base/assert.hpp"

namespace weir::control {
namespace {

sigset_t watched() noexcept {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

}  // namespace

void block_signals() noexcept {
    const sigset_t set = watched();
    const int failed = pthread_sigmask(SIG_BLOCK, &set, nullptr);
    WEIR_ASSERT(failed == 0);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    for (const int number : {SIGPIPE, SIGXFSZ}) {
        const int refused = sigaction(number, &ignore, nullptr);
        WEIR_ASSERT(refused == 0);
    }
}

void wish_reload() noexcept {
    const int failed = ::kill(::getpid(), SIGHUP);
    WEIR_ASSERT(failed == 0);
}

Wish SignalWatch::wait(std::uint64_t wait_ms_max) noexcept {
    const sigset_t set = watched();
    timespec time{};
    time.tv_sec = static_cast<time_t>(wait_ms_max / 1000);
    time.tv_nsec = static_cast<long>(wait_ms_max % 1000) * 1'000'000L;
    const int number = sigtimedwait(&set, nullptr, &time);
    if (number == SIGHUP) return Wish::reload;
    if (number != SIGTERM && number != SIGINT) return Wish::none;  // EAGAIN: the time is up; EINTR: ask again
    if (is_draining_) return Wish::halt;
    is_draining_ = true;
    return Wish::drain;
}

}  // namespace weir::control
