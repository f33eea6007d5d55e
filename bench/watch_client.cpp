#include "bench/watch_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include "core/base/clock.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t read_bytes = 64U << 10;
constexpr std::string_view key = "d2Vpci1iZW5jaCB3YXRjaA==";  // 16 bytes that nobody needs to be secret

Result<int> dial(const std::string& address) {
    const auto colon = address.rfind(':');
    unsigned port = 0;
    if (colon == address.npos) return Error{EINVAL, address + ": not HOST:PORT"};
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) != 1) {
        return Error{EINVAL, address + ": not an IPv4 address"};
    }
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return error_from_errno(errno, "socket");
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        const int code = errno;
        ::close(fd);
        return error_from_errno(code, "connect " + address);
    }
    return fd;
}

// The number behind "name": nothing in these texts is escaped, so the first one is it.
std::uint64_t member(std::string_view text, std::string_view name) {
    const auto at = text.find(name);
    std::uint64_t value = 0;
    if (at != text.npos) std::from_chars(text.data() + at + name.size(), text.data() + text.size(), value);
    return value;
}

}  // namespace

WatchClient::WatchClient(WatchClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), heard_(std::move(other.heard_)), sequence_(other.sequence_) {}

WatchClient::~WatchClient() {
    if (fd_ >= 0) ::close(fd_);
}

Result<WatchClient> WatchClient::open(const std::string& address, const std::string& token) {
    auto dialled = dial(address);
    if (!dialled) return dialled.error();
    WatchClient client(dialled.value());
    std::string asked = "GET /api/v1/stream HTTP/1.1\r\nHost: " + address +
                        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: ";
    asked.append(key).append("\r\n");
    if (!token.empty()) asked += "Authorization: Bearer " + token + "\r\n";
    asked += "\r\n";
    if (::send(client.fd_, asked.data(), asked.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(asked.size())) {
        return error_from_errno(errno, "send");
    }
    // A byte at a time up to the head's end: what follows stays in the socket, also of a client that reads nothing more.
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
        char letter = 0;
        if (::recv(client.fd_, &letter, 1, 0) != 1) return Error{ECONNRESET, "the server closed before it answered"};
        head += letter;
        if (head.size() > 8192) return Error{EPROTO, "an answer without an end"};
    }
    if (!head.starts_with("HTTP/1.1 101 ")) return Error{EPROTO, head.substr(0, head.find('\r'))};
    return client;
}

bool WatchClient::take(WatchTotals& totals) {
    std::array<char, read_bytes> bytes;
    for (;;) {
        const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (count < 0) return (errno == EAGAIN || errno == EINTR) && take_messages(totals);
        if (count == 0) return false;
        heard_.append(bytes.data(), static_cast<std::size_t>(count));
        totals.bytes += static_cast<std::uint64_t>(count);
        if (static_cast<std::size_t>(count) < bytes.size()) return take_messages(totals);
    }
}

bool WatchClient::take_messages(WatchTotals& totals) {
    std::size_t at = 0;
    for (;;) {
        const std::size_t left = heard_.size() - at;
        const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(heard_[at + index]); };
        if (left < 2) break;
        const std::size_t told = byte(1);
        if (byte(0) != 0x81 || told > 127) return false;
        const std::size_t extra = told == 126 ? 2 : told == 127 ? 8 : 0;
        if (left < 2 + extra) break;
        std::size_t length = extra == 0 ? told : 0;
        for (std::size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
        if (length > message_bytes_max) return false;
        if (left < 2 + extra + length) break;
        if (!take_text(std::string_view(heard_).substr(at + 2 + extra, length), totals)) return false;
        at += 2 + extra + length;
    }
    heard_.erase(0, at);
    return true;
}

bool WatchClient::take_text(std::string_view text, WatchTotals& totals) {
    const std::uint64_t sequence = member(text, "\"sequence\":");
    if (text.starts_with("{\"type\":\"beat\"")) {
        ++totals.beats;
        return true;
    }
    const bool is_delta = text.starts_with("{\"type\":\"delta\"");
    if (!is_delta && !text.starts_with("{\"type\":\"state\"")) return false;
    if (is_delta) {
        ++totals.deltas;
        totals.gaps += member(text, "\"base\":") != sequence_ ? 1 : 0;
    } else {
        ++totals.states;
    }
    // What a client is told first was made before it came.
    const std::uint64_t now = wall_now().value, made = member(text, "\"made_ns\":");
    if (sequence_ != 0) totals.push.record(now > made ? now - made : 0);
    sequence_ = sequence;
    return true;
}

}  // namespace weir::bench
