#include "core/control/service.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace weir::control {
namespace {

// A service manager's end: a datagram socket with an abstract name of its own.
class Listening {
  public:
    Listening() : name_("@weir-service-test-" + std::to_string(::getpid())) {
        descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::memcpy(at.sun_path + 1, name_.data() + 1, name_.size() - 1);
        const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
        EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&at), length), 0);
    }
    ~Listening() { ::close(descriptor_); }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::string heard() const {
        std::array<char, 256> bytes{};
        const auto count = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
        return count < 0 ? "" : std::string(bytes.data(), static_cast<std::size_t>(count));
    }

  private:
    std::string name_;
    int descriptor_ = -1;
};

TEST(ServiceManager, SaysItsWordsAndLeavesNothingInTheEnvironment) {
    const Listening manager;
    ::setenv("NOTIFY_SOCKET", manager.name().c_str(), 1);
    ::setenv("WATCHDOG_USEC", "3000000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    const auto service = ServiceManager::from_environment();
    ASSERT_TRUE(service.is_present());
    EXPECT_EQ(service.watchdog_ns(), 3 * ns_per_second);
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
    EXPECT_EQ(std::getenv("WATCHDOG_USEC"), nullptr);
    service.ready();
    EXPECT_EQ(manager.heard(), "READY=1");
    service.status("3 events held");
    EXPECT_EQ(manager.heard(), "STATUS=3 events held");
    service.reloading(MonotonicNs{5'000});
    EXPECT_EQ(manager.heard(), "RELOADING=1\nMONOTONIC_USEC=5");
    service.alive();
    EXPECT_EQ(manager.heard(), "WATCHDOG=1");
    service.stopping();
    EXPECT_EQ(manager.heard(), "STOPPING=1");
}

TEST(ServiceManager, WithoutOneNothingHappens) {
    ::unsetenv("NOTIFY_SOCKET");
    ::setenv("WATCHDOG_USEC", "3000000", 1);
    const auto service = ServiceManager::from_environment();
    EXPECT_FALSE(service.is_present());
    EXPECT_EQ(service.watchdog_ns(), 0U);
    service.ready();
}

TEST(ServiceManager, AnotherProcessesWatchdogIsNotOurs) {
    const Listening manager;
    ::setenv("NOTIFY_SOCKET", manager.name().c_str(), 1);
    ::setenv("WATCHDOG_USEC", "3000000", 1);
    ::setenv("WATCHDOG_PID", "1", 1);
    EXPECT_EQ(ServiceManager::from_environment().watchdog_ns(), 0U);
}

TEST(Watchdog, IsFedOncePerPeriodAndOnlyWhenEveryRunnerWentRound) {
    using Wish = Watchdog::Wish;
    Watchdog watchdog(4 * ns_per_second, 2);
    const auto at = [](std::uint64_t ms) { return MonotonicNs{ns_per_second + ms * ns_per_ms}; };
    std::array<std::uint64_t, 2> beats{7, 7};
    EXPECT_EQ(watchdog.look(at(0), beats), Wish::feed);
    beats = {8, 8};
    EXPECT_EQ(watchdog.look(at(500), beats), Wish::nothing);
    EXPECT_EQ(watchdog.look(at(2000), beats), Wish::feed);
    // One sleeps: it is rung for in the second half of the period, and nothing is fed until it has moved.
    beats = {9, 8};
    EXPECT_EQ(watchdog.look(at(2900), beats), Wish::nothing);
    EXPECT_EQ(watchdog.look(at(3000), beats), Wish::ring);
    EXPECT_EQ(watchdog.look(at(4000), beats), Wish::ring);
    EXPECT_EQ(watchdog.look(at(60'000), beats), Wish::ring);
    beats = {9, 9};
    EXPECT_EQ(watchdog.look(at(60'100), beats), Wish::feed);
}

TEST(Watchdog, NobodyWatches) {
    Watchdog watchdog(0, 1);
    const std::array<std::uint64_t, 1> beats{1};
    EXPECT_EQ(watchdog.look(MonotonicNs{1}, beats), Watchdog::Wish::nothing);
}

}  // namespace
}  // namespace weir::control
