#include "core/tls/channel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "core/base/clock.hpp"

namespace weir::tls {
namespace {

constexpr std::size_t receive_bytes = 64U << 10;
constexpr std::uint32_t channel_output_bytes =
    4 * (record_plain_bytes_max + record_overhead_bytes) + output_reserve_bytes;

// "localhost:1" -> "localhost", "[::1]:1" -> "::1"
std::string host_of(const std::string& address) {
    std::string host = address.substr(0, address.rfind(':'));
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return host;
}

}  // namespace

Result<std::unique_ptr<ClientChannel>> ClientChannel::open(const std::string& ca_file, const std::string& address) {
    auto context = make_anonymous_client(ca_file, host_of(address));
    if (!context) return context.error();
    std::unique_ptr<ClientChannel> made(new ClientChannel);
    made->state_.side = Side::client;
    made->state_.context = std::move(context.value());
    made->state_.time_floor = build_time();
    made->received_.resize(receive_bytes);
    return made;
}

Status ClientChannel::handshake(int fd, int wait_ms_max) {
    flying_ = {};
    session_ = Session::make(state_, wall_now(), channel_output_bytes);
    if (!session_) return Error{ENOMEM, "TLS: no memory for a session"};
    const MonotonicNs until = monotonic_now().plus_ns(static_cast<std::uint64_t>(wait_ms_max) * ns_per_ms);
    for (;;) {
        const Outcome outcome = session_->handshake();
        flush(fd);
        if (outcome == Outcome::done) return Done{};
        if (outcome == Outcome::failed) return Error{EPROTO, "TLS: " + session_->fault()};
        const MonotonicNs now = monotonic_now();
        if (now >= until) return Error{ETIMEDOUT, "TLS: the handshake took too long"};
        pollfd watched{fd, static_cast<short>(POLLIN | (has_unsent() ? POLLOUT : 0)), 0};
        static_cast<void>(::poll(&watched, 1, static_cast<int>(until.since(now) / ns_per_ms) + 1));
        if (session_->unread().empty() && take_input(fd) == 0) return Error{ECONNRESET, "TLS: the peer left"};
    }
}

// 0: the peer's end. -1: nothing now, or an error (errno).
ssize_t ClientChannel::take_input(int fd) {
    const ssize_t count = ::recv(fd, received_.data(), received_.size(), 0);
    if (count > 0) session_->feed(ConstBytes(received_).first(static_cast<std::size_t>(count)));
    return count;
}

void ClientChannel::flush(int fd) {
    for (;;) {
        if (flying_.empty()) flying_ = session_->take_output();
        if (flying_.empty()) return;
        const ssize_t count = ::send(fd, flying_.data(), flying_.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return;  // full, or broken: the next receive says so
        flying_ = flying_.subspan(static_cast<std::size_t>(count));
        if (flying_.empty()) session_->output_sent();
    }
}

ssize_t ClientChannel::send(int fd, ConstBytes bytes) {
    flush(fd);
    std::size_t taken = 0;
    const Outcome outcome = session_->write(bytes, taken);
    flush(fd);
    if (taken > 0) return static_cast<ssize_t>(taken);
    errno = outcome == Outcome::failed ? EPROTO : EAGAIN;
    return -1;
}

ssize_t ClientChannel::receive(int fd, Bytes room) {
    std::size_t filled = 0;
    for (;;) {
        std::size_t count = 0;
        const Outcome outcome = session_->read(room.subspan(filled), count);
        filled += count;
        flush(fd);
        if (outcome == Outcome::done || (outcome != Outcome::wants_input && filled > 0))
            return static_cast<ssize_t>(filled);
        if (outcome == Outcome::ended) return 0;
        if (outcome != Outcome::wants_input) {
            errno = outcome == Outcome::failed ? EPROTO : EAGAIN;
            return -1;
        }
        const ssize_t received = take_input(fd);
        if (received > 0) continue;
        if (filled > 0) return static_cast<ssize_t>(filled);
        if (received == 0) errno = ECONNRESET;  // without the last word: no clean end
        return -1;
    }
}

}  // namespace weir::tls
