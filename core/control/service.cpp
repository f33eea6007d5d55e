#include "core/control/service.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "core/base/assert.hpp"

namespace weir::control {
namespace {

// The variable's value, and no longer in the environment.
std::string taken(const char* name) {
    const char* value = std::getenv(name);
    std::string text = value == nullptr ? "" : value;
    ::unsetenv(name);
    return text;
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
    ServiceManager found;
    found.address_ = taken("NOTIFY_SOCKET");
    const auto watchdog_us = number(taken("WATCHDOG_USEC"));
    const std::string watched = taken("WATCHDOG_PID");
    const bool is_path = !found.address_.empty() && (found.address_[0] == '/' || found.address_[0] == '@');
    if (!is_path || found.address_.size() >= sizeof(sockaddr_un::sun_path)) return found;
    if (found.address_[0] == '@') found.address_[0] = '\0';
    found.socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool is_us = watched.empty() || number(watched) == static_cast<std::uint64_t>(::getpid());
    if (found.is_present() && watchdog_us && is_us) found.watchdog_ns_ = *watchdog_us * ns_per_us;
    return found;
}

ServiceManager::ServiceManager(ServiceManager&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      address_(std::move(other.address_)),
      watchdog_ns_(std::exchange(other.watchdog_ns_, 0)) {}

ServiceManager::~ServiceManager() {
    if (socket_ >= 0) ::close(socket_);
}

void ServiceManager::reloading(MonotonicNs now) const {
    say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.value / ns_per_us));
}

void ServiceManager::say(const std::string& words) const {
    if (!is_present()) return;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, address_.data(), address_.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    static_cast<void>(
        ::sendto(socket_, words.data(), words.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length));
}

Watchdog::Watchdog(std::uint64_t watchdog_ns, std::size_t runners) : period_ns_(watchdog_ns / 2), fed_at_(runners) {}

Watchdog::Wish Watchdog::look(MonotonicNs now, std::span<const std::uint64_t> heartbeats) {
    WEIR_ASSERT(heartbeats.size() == fed_at_.size());
    if (period_ns_ == 0) return Wish::nothing;
    const auto begin = [&] {
        std::copy(heartbeats.begin(), heartbeats.end(), fed_at_.begin());
        next_ = now.plus_ns(period_ns_);
        has_begun_ = true;
    };
    if (!has_begun_) {
        begin();
        return Wish::feed;
    }
    bool has_each_moved = true;
    for (std::size_t index = 0; index < fed_at_.size(); ++index) {
        has_each_moved = has_each_moved && heartbeats[index] != fed_at_[index];
    }
    if (now < next_) return now.plus_ns(period_ns_ / 2) >= next_ && !has_each_moved ? Wish::ring : Wish::nothing;
    if (!has_each_moved) return Wish::ring;
    begin();
    return Wish::feed;
}

}  // namespace weir::control
