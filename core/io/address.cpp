#include "core/io/address.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

#include "core/io/io.hpp"

namespace weir::io {
namespace {

constexpr int listen_backlog = 1024;

Error bad(std::string_view text, std::string_view what) {
    return Error{EINVAL, "address '" + std::string(text) + "': " + std::string(what)};
}

Result<SocketAddress> parse_unix(std::string_view text, std::string_view path) {
    SocketAddress address;
    auto* target = reinterpret_cast<sockaddr_un*>(&address.storage);
    if (path.empty()) return bad(text, "the path is empty");
    if (path.size() >= sizeof(target->sun_path)) return bad(text, "the path is longer than 107 bytes");
    target->sun_family = AF_UNIX;
    std::memcpy(target->sun_path, path.data(), path.size());
    address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view port) {
    unsigned value = 0;
    const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (fault != std::errc{} || end != port.data() + port.size() || value > 65535)
        return bad(text, "the port is no number up to 65535");
    return static_cast<std::uint16_t>(value);
}

bool is_stale(const SocketAddress& address) {
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    const bool refused = ::connect(probe, address.get(), address.bytes) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return refused;
}

std::string unix_path(const SocketAddress& address) {
    return reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path;
}

}  // namespace

Result<SocketAddress> parse_address(std::string_view text) {
    // The system's calls read up to it: "unix:" and a zero would be an abstract socket, and what follows one unseen.
    if (text.find('\0') != std::string_view::npos) return bad(text.substr(0, text.find('\0')), "a zero byte in it");
    if (text.starts_with("unix:")) return parse_unix(text, text.substr(5));
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad(text, "neither HOST:PORT nor unix:PATH");
    std::string host(text.substr(0, colon));
    const auto port = parse_port(text, text.substr(colon + 1));
    if (!port) return port.error();
    SocketAddress address;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        auto* target = reinterpret_cast<sockaddr_in6*>(&address.storage);
        target->sin6_family = AF_INET6;
        target->sin6_port = htons(port.value());
        host = host.substr(1, host.size() - 2);
        if (::inet_pton(AF_INET6, host.c_str(), &target->sin6_addr) != 1)
            return bad(text, "no IPv6 address in the brackets");
        address.bytes = sizeof(sockaddr_in6);
        return address;
    }
    if (host == "localhost") host = "127.0.0.1";
    auto* target = reinterpret_cast<sockaddr_in*>(&address.storage);
    target->sin_family = AF_INET;
    target->sin_port = htons(port.value());
    if (::inet_pton(AF_INET, host.c_str(), &target->sin_addr) != 1) return bad(text, "the host is no numeric address");
    address.bytes = sizeof(sockaddr_in);
    return address;
}

Status check_address(std::string_view text) {
    const auto address = parse_address(text);
    if (!address) return address.error();
    return Done{};
}

std::string format_address(const SocketAddress& address) {
    char host[INET6_ADDRSTRLEN] = {};
    if (address.family() == AF_INET) {
        const auto* from = reinterpret_cast<const sockaddr_in*>(&address.storage);
        ::inet_ntop(AF_INET, &from->sin_addr, host, sizeof host);
        return std::string(host) + ":" + std::to_string(ntohs(from->sin_port));
    }
    if (address.family() == AF_INET6) {
        const auto* from = reinterpret_cast<const sockaddr_in6*>(&address.storage);
        ::inet_ntop(AF_INET6, &from->sin6_addr, host, sizeof host);
        return "[" + std::string(host) + "]:" + std::to_string(ntohs(from->sin6_port));
    }
    if (address.family() == AF_UNIX) {
        const std::string path = address.bytes > offsetof(sockaddr_un, sun_path) ? unix_path(address) : std::string();
        return "unix:" + path;
    }
    return "unknown";
}

std::string local_address_of(int fd) {
    SocketAddress address;
    address.bytes = sizeof address.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) != 0) return "unknown";
    return format_address(address);
}

std::string peer_address_of(int fd) {
    SocketAddress address;
    address.bytes = sizeof address.storage;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) != 0) return "unknown";
    return format_address(address);
}

std::optional<PeerCredentials> peer_credentials_of(int fd) {
    int family = 0;
    socklen_t bytes = sizeof family;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &bytes) != 0 || family != AF_UNIX) return std::nullopt;
    ucred said{};
    bytes = sizeof said;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &said, &bytes) != 0) return std::nullopt;
    PeerCredentials peer;
    peer.user = said.uid;
    peer.groups[peer.group_count++] = said.gid;
    // Fails whole where there are more: then only the primary one counts.
    std::array<gid_t, PeerCredentials::groups_max - 1> more{};
    bytes = sizeof more;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, more.data(), &bytes) == 0) {
        for (std::size_t i = 0; i < bytes / sizeof(gid_t); ++i) peer.groups[peer.group_count++] = more[i];
    }
    return peer;
}

void tune_connection(int fd) noexcept {
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // fails on Unix sockets, which need it not
}

Result<int> open_socket(const SocketAddress& address) {
    const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return error_from_errno(errno, "socket");
    tune_connection(fd);
    return fd;
}

namespace {

Result<int> try_open_listener(std::string_view text, std::uint32_t unix_mode) {
    const auto address = parse_address(text);
    if (!address) return address.error();
    auto opened = open_socket(address.value());
    if (!opened) return opened.error();
    const int fd = opened.value();
    const bool is_unix = address.value().family() == AF_UNIX;
    const int one = 1;
    if (!is_unix) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (is_unix && is_stale(address.value())) ::unlink(unix_path(address.value()).c_str());
    const mode_t before = ::umask(0777U & ~unix_mode);
    const int bound = ::bind(fd, address.value().get(), address.value().bytes);
    const int bind_errno = errno;
    ::umask(before);
    if (bound != 0) {
        ::close(fd);
        return error_from_errno(bind_errno, "listen on " + std::string(text));
    }
    if (::listen(fd, listen_backlog) != 0) {
        const int code = errno;
        ::close(fd);
        return error_from_errno(code, "listen on " + std::string(text));
    }
    return fd;
}

}  // namespace

// The kernel takes a dead process's io_uring apart a little after the process is gone, and its listeners with it: a daemon that is
// started again at once would find its own address in use.
Result<int> open_listener(std::string_view text, std::uint32_t unix_mode) {
    constexpr int tries_max = 100;
    constexpr timespec pause{0, 10'000'000};
    auto opened = try_open_listener(text, unix_mode);
    for (int tries = 1; tries < tries_max && !opened.ok() && opened.error().code == EADDRINUSE; ++tries) {
        ::nanosleep(&pause, nullptr);
        opened = try_open_listener(text, unix_mode);
    }
    return opened;
}

}  // namespace weir::io
