// weir-bench watch: many clients of central's stream, some of them stalled, and beside them one that asks the API in an open loop.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/commands.hpp"
#include "bench/pace.hpp"
#include "bench/watch_client.hpp"
#include "core/base/clock.hpp"

namespace weir::bench {
namespace {

constexpr int wait_ms = 1;
constexpr int events_max = 256;
constexpr int open_tries_max = 200;  // central may answer 429: it lets so many in a second
constexpr useconds_t open_pause_us = 20'000;

struct AskTotals {
    std::uint64_t asked = 0, answered = 0, others = 0;  // others: not 200
    Histogram latency;                                  // from when it was due
};

// One connection, one request at a time; those that are due meanwhile wait, and count from when they were due.
class Asker {
  public:
    Asker(int fd, std::vector<std::string> targets, std::string token, std::string host, std::uint64_t rate)
        : fd_(fd), targets_(std::move(targets)), token_(std::move(token)), host_(std::move(host)), rate_(rate) {}
    ~Asker() { ::close(fd_); }
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;
    void begin(MonotonicNs now) { start_ = now; }
    // False: the connection has ended.
    [[nodiscard]] bool turn(MonotonicNs now, AskTotals& totals) {
        const Pace pace(rate_, start_);
        if (is_waiting_ && !take(pace, totals)) return false;
        if (is_waiting_ || !pace.is_due(totals.asked, now)) return true;
        const std::string& target = targets_[totals.asked % targets_.size()];
        std::string asked = "GET " + target + " HTTP/1.1\r\nHost: " + host_ + "\r\n";
        if (!token_.empty()) asked += "Authorization: Bearer " + token_ + "\r\n";
        asked += "\r\n";
        ++totals.asked;
        is_waiting_ = true;
        return ::send(fd_, asked.data(), asked.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(asked.size());
    }
    [[nodiscard]] int fd() const { return fd_; }

  private:
    [[nodiscard]] bool take(const Pace& pace, AskTotals& totals) {
        std::array<char, 65'536> bytes;
        const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return false;
        if (count > 0) heard_.append(bytes.data(), static_cast<std::size_t>(count));
        const auto end = heard_.find("\r\n\r\n");
        if (end == heard_.npos) return true;
        const auto at = heard_.find("Content-Length: ");
        if (at == heard_.npos || at > end) return false;
        const std::size_t body = std::strtoul(heard_.c_str() + at + 16, nullptr, 10);
        if (heard_.size() < end + 4 + body) return true;
        totals.latency.record(monotonic_now().since(pace.intended(totals.asked - 1)));
        ++(heard_.starts_with("HTTP/1.1 200 ") ? totals.answered : totals.others);
        heard_.erase(0, end + 4 + body);
        is_waiting_ = false;
        return true;
    }
    int fd_;
    std::vector<std::string> targets_;
    std::string token_, host_;
    std::uint64_t rate_;
    MonotonicNs start_{};
    bool is_waiting_ = false;
    std::string heard_;
};

int dial(const std::string& address) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    const auto colon = address.rfind(':');
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
    ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        ::close(fd);
        return -1;
    }
    return fd;
}

// One, tried again while central lets no more in for the moment.
Result<WatchClient> open_one(const WatchOptions& options, const std::string& token) {
    for (int tries = 1;; ++tries) {
        auto opened = WatchClient::open(options.to, token);
        const bool is_too_often = !opened && opened.error().what.find(" 429") != std::string::npos;
        if (!is_too_often || tries == open_tries_max) return opened;
        ::usleep(open_pause_us);
    }
}

bool open_all(const WatchOptions& options, const std::string& token, std::vector<WatchClient>& clients) {
    while (clients.size() < options.clients) {
        auto opened = open_one(options, token);
        if (!opened) {
            std::fprintf(stderr, "watch: client %zu: %s\n", clients.size() + 1, opened.error().what.c_str());
            return false;
        }
        clients.push_back(std::move(opened.value()));
    }
    return true;
}

void print(const WatchOptions& options, const WatchTotals& told, const AskTotals& asked, double seconds) {
    const auto ms = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e6; };
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    const char* const format =
        options.as_json
            ? "{\"clients\":%u,\"stalled\":%u,\"seconds\":%.3f,\"states\":%llu,\"deltas\":%llu,\"beats\":%llu,"
              "\"bytes\":%llu,"
              "\"gaps\":%llu,\"ended\":%llu,\"push_ms\":{\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
              "\"asked\":%llu,\"answered\":%llu,\"others\":%llu,\"api_ms\":{\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,"
              "\"max\":%.3f}}\n"
            : "clients %u, stalled %u, %.3f s\nstates %llu, deltas %llu, beats %llu, bytes %llu, gaps %llu, ended "
              "%llu\n"
              "push ms  p50 %.3f  p95 %.3f  p99 %.3f  max %.3f\nasked %llu, answered %llu, others %llu\n"
              "api ms   p50 %.3f  p95 %.3f  p99 %.3f  max %.3f\n";
    // NOLINTNEXTLINE: two formats for the same values
    std::printf(format, options.clients, options.stalled, seconds, number(told.states), number(told.deltas),
                number(told.beats), number(told.bytes), number(told.gaps), number(told.ended),
                ms(told.push.percentile(0.5)), ms(told.push.percentile(0.95)), ms(told.push.percentile(0.99)),
                ms(told.push.max()), number(asked.asked), number(asked.answered), number(asked.others),
                ms(asked.latency.percentile(0.5)), ms(asked.latency.percentile(0.95)),
                ms(asked.latency.percentile(0.99)), ms(asked.latency.max()));
}

}  // namespace

int watch_command(const WatchOptions& options) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    std::string token;
    if (!options.token_file.empty()) std::getline(std::ifstream(options.token_file) >> std::ws, token);
    std::vector<WatchClient> clients;
    clients.reserve(options.clients);
    if (!open_all(options, token, clients)) return 1;
    const int poll = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t index = options.stalled; index < clients.size(); ++index) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = index;
        ::epoll_ctl(poll, EPOLL_CTL_ADD, clients[index].fd(), &event);
    }
    std::unique_ptr<Asker> asker;
    if (options.ask_rate != 0) {
        asker = std::make_unique<Asker>(dial(options.to), options.targets, token, options.to, options.ask_rate);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = UINT64_MAX;
        ::epoll_ctl(poll, EPOLL_CTL_ADD, asker->fd(), &event);
    }
    const auto told = std::make_unique<WatchTotals>();
    const auto asked = std::make_unique<AskTotals>();
    const MonotonicNs begun = monotonic_now();
    const MonotonicNs until = begun.plus_ns(options.seconds * ns_per_second);
    if (asker) asker->begin(begun);
    std::array<epoll_event, events_max> ready{};
    for (MonotonicNs now = begun; now < until; now = monotonic_now()) {
        const int count = ::epoll_wait(poll, ready.data(), events_max, wait_ms);
        for (int i = 0; i < count; ++i) {
            const std::uint64_t index = ready[static_cast<std::size_t>(i)].data.u64;
            if (index == UINT64_MAX || clients[index].take(*told)) continue;
            ++told->ended;
            ::epoll_ctl(poll, EPOLL_CTL_DEL, clients[index].fd(), nullptr);
        }
        if (asker && !asker->turn(monotonic_now(), *asked)) {
            std::fprintf(stderr, "watch: the API closed the connection\n");
            return 1;
        }
    }
    ::close(poll);
    print(options, *told, *asked, static_cast<double>(monotonic_now().since(begun)) / 1e9);
    return told->gaps == 0 && told->ended == 0 && asked->others == 0 ? 0 : 1;
}

}  // namespace weir::bench
