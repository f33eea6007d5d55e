// Signals: taken by the control thread in its own time; no handler ever runs in the middle of anything.
//
// Thread    block_signals() in main before any thread is made (threads inherit it); SignalWatch belongs to the control
// thread.
#pragma once

#include <cstdint>

namespace weir::control {

enum class Wish : std::uint8_t {
    none,    // the time is up
    drain,   // the first SIGTERM or SIGINT: finish what is held, then exit 0
    halt,    // the second: stop at once
    reload,  // SIGHUP
};

// SIGTERM, SIGINT and SIGHUP wait until they are asked for; SIGPIPE and SIGXFSZ are ignored
// (a write says EPIPE, EFBIG).
void block_signals() noexcept;

// Has this process's SignalWatch say Wish::reload, as SIGHUP would. Any thread, after block_signals().
void wish_reload() noexcept;

class SignalWatch {
  public:
    // Waits for a signal, `wait_ms_max` at most.
    [[nodiscard]] Wish wait(std::uint64_t wait_ms_max) noexcept;

  private:
    bool is_draining_ = false;
};

}  // namespace weir::control
