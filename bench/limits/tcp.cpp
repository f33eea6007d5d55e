#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "bench/limits/limits.hpp"

namespace weir::limits {
namespace {

constexpr std::size_t small_bytes = 200;
constexpr std::size_t large_bytes = 64U << 10;
constexpr int socket_bytes = 4 << 20;

void tune(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &socket_bytes, sizeof socket_bytes);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &socket_bytes, sizeof socket_bytes);
    // Said, not left to the machine's default: others pace their sending.
    ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
}

bool receive_all(int fd, char* at, std::size_t bytes) {
    while (bytes > 0) {
        const ssize_t count = ::recv(fd, at, bytes, 0);
        if (count <= 0) return false;
        at += count;
        bytes -= static_cast<std::size_t>(count);
    }
    return true;
}

Measured round_trip(double seconds) {
    const SocketPair pair = tcp_pair();
    std::thread peer([&] {
        pin(1);
        char bytes[small_bytes];
        while (receive_all(pair.far, bytes, sizeof bytes)) {
            if (::send(pair.far, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes) break;
        }
    });
    char bytes[small_bytes] = {};
    std::vector<std::uint64_t> samples;
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
    for (std::uint64_t now = now_ns(); now < end;) {
        if (::send(pair.near, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes) die("send");
        if (!receive_all(pair.near, bytes, sizeof bytes)) die("recv");
        const std::uint64_t then = now_ns();
        samples.push_back(then - now);
        now = then;
    }
    ::shutdown(pair.near, SHUT_RDWR);
    peer.join();
    ::close(pair.near);
    ::close(pair.far);
    return {{"tcp_round_trip_p50_us", percentile(samples, 0.5) / 1e3},
            {"tcp_round_trip_p99_us", percentile(samples, 0.99) / 1e3}};
}

// Bytes per second in writes of so many.
double stream(std::size_t write_bytes, double seconds) {
    const SocketPair pair = tcp_pair();
    std::thread peer([&] {
        pin(1);
        std::vector<char> room(256U << 10);
        while (::recv(pair.far, room.data(), room.size(), 0) > 0) {
        }
    });
    const std::vector<char> bytes(write_bytes);
    double sent = 0;
    const std::uint64_t begun = now_ns();
    const std::uint64_t end = begun + static_cast<std::uint64_t>(seconds * 1e9);
    while (now_ns() < end) {
        const ssize_t count = ::send(pair.near, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count < 0) die("send");
        sent += static_cast<double>(count);
    }
    const double took_s = static_cast<double>(now_ns() - begun) / 1e9;
    ::shutdown(pair.near, SHUT_RDWR);
    peer.join();
    ::close(pair.near);
    ::close(pair.far);
    return sent / took_s;
}

}  // namespace

SocketPair tcp_pair() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    auto* const at = reinterpret_cast<sockaddr*>(&address);
    if (listener < 0 || ::bind(listener, at, bytes) != 0 || ::listen(listener, 1) != 0) die("listen");
    tune(listener);
    if (::getsockname(listener, at, &bytes) != 0) die("getsockname");
    SocketPair pair;
    pair.near = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tune(pair.near);
    if (::connect(pair.near, at, bytes) != 0) die("connect");
    pair.far = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (pair.far < 0) die("accept");
    tune(pair.far);
    ::close(listener);
    return pair;
}

Measured measure_tcp(const LimitsOptions& options) {
    Measured all = round_trip(options.seconds);
    all.emplace_back("tcp_small_writes_per_second",
                     stream(small_bytes, options.seconds) / static_cast<double>(small_bytes));
    all.emplace_back("tcp_stream_bytes_per_second", stream(large_bytes, options.seconds));
    return all;
}

}  // namespace weir::limits
