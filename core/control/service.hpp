// ServiceManager: words to the service manager that started this process, and its watchdog.
//
// Protocol  sd_notify(3): one datagram of VARIABLE=VALUE lines to the Unix socket that $NOTIFY_SOCKET names (a leading '@' is an
//           abstract one); watchdog: $WATCHDOG_USEC, where $WATCHDOG_PID is this process or absent.
// Thread    One control thread. Nothing waits: a word that cannot be sent is lost.
// Failure   Without a service manager every call does nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"

namespace weir::control {

class ServiceManager {
  public:
    // Takes the variables and removes them from the environment: no child is to speak in this one's name.
    [[nodiscard]] static ServiceManager from_environment();
    ServiceManager() = default;
    ~ServiceManager();
    ServiceManager(ServiceManager&& other) noexcept;
    ServiceManager& operator=(ServiceManager&&) = delete;

    [[nodiscard]] bool is_present() const { return socket_ >= 0; }
    // 0: nobody watches.
    [[nodiscard]] std::uint64_t watchdog_ns() const { return watchdog_ns_; }
    void ready() const { say("READY=1"); }
    void stopping() const { say("STOPPING=1"); }
    void reloading(MonotonicNs now) const;
    void alive() const { say("WATCHDOG=1"); }
    // One line for people: `systemctl status`.
    void status(std::string_view line) const { say("STATUS=" + std::string(line)); }

  private:
    void say(const std::string& words) const;

    int socket_ = -1;
    std::string address_;  // as sockaddr_un has it, the leading byte of an abstract one 0
    std::uint64_t watchdog_ns_ = 0;
};

// Watchdog: whether every runner has gone round since it was last fed. Half the service manager's time is one period; before its
// end the caller rings the runners' doorbells, so that one that sleeps with nothing to do goes round too.
class Watchdog {
  public:
    Watchdog(std::uint64_t watchdog_ns, std::size_t runners);
    enum class Wish : std::uint8_t { nothing, ring, feed };
    // `heartbeats`: of each runner, in the same order every time. `feed` comes once a period, after all have moved on.
    [[nodiscard]] Wish look(MonotonicNs now, std::span<const std::uint64_t> heartbeats);

  private:
    std::uint64_t period_ns_;
    std::vector<std::uint64_t> fed_at_;
    MonotonicNs next_{};
    bool has_begun_ = false;
};

}  // namespace weir::control
