#include "bench/peers/line.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "core/base/clock.hpp"
#include "core/io/address.hpp"

namespace weir::peers {
namespace {

constexpr std::size_t receive_bytes = 1U << 20;
constexpr int connect_ms_max = 5'000;

}  // namespace

void fail(const std::string& what) {
    std::fprintf(stderr, "weir-peer: %s\n", what.c_str());
    std::exit(1);
}

Line::Line(const std::string& address, std::unique_ptr<Peer> peer, const std::string& ca_file)
    : peer_(std::move(peer)), room_(receive_bytes) {
    connect_to(address);
    if (!ca_file.empty()) begin_tls(address, ca_file);
    peer_->begin(out_);
}

Line::~Line() {
    ::close(fd_);
}

void Line::connect_to(const std::string& address) {
    const auto parsed = io::parse_address(address);
    if (!parsed) fail(parsed.error().what);
    fd_ = ::socket(parsed.value().family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || ::connect(fd_, parsed.value().get(), parsed.value().bytes) != 0)
        fail("connect " + address + ": " + std::strerror(errno));
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
}

// The same channel that weir's own producers have, so that TLS costs every driver the same.
void Line::begin_tls(const std::string& address, const std::string& ca_file) {
    if (peer_->greets_before_tls()) skip_greeting();
    auto opened = tls::ClientChannel::open(ca_file, address);
    if (!opened) fail(opened.error().what);
    channel_ = std::move(opened.value());
    if (const Status agreed = channel_->handshake(fd_, connect_ms_max); !agreed) fail(agreed.error().what);
}

// One line in plain; the product then waits for the handshake, so that nothing of it is read here.
void Line::skip_greeting() {
    std::string line;
    while (!line.ends_with("\r\n")) {
        pollfd watched{fd_, POLLIN, 0};
        if (::poll(&watched, 1, connect_ms_max) != 1) fail("the product does not greet");
        char one = 0;
        if (::recv(fd_, &one, 1, 0) != 1) fail("the product closed the connection");
        line += one;
    }
}

void Line::await_ready() {
    bool is_ready = false;
    const MonotonicNs begun = monotonic_now();
    while (!is_ready) {
        send_some();
        pollfd one = watched();
        ::poll(&one, 1, has_plain() ? 0 : 100);
        receive_some([&](const PeerNews& news) { is_ready |= news.kind == PeerNews::Kind::ready; });
        if (monotonic_now().since(begun) > connect_ms_max * ns_per_ms) fail("the product is not ready");
    }
}

void Line::send_some() {
    if (channel_) channel_->flush(fd_);
    while (sent_ < out_.size()) {
        const auto rest = std::as_bytes(std::span(out_)).subspan(sent_);
        const ssize_t count =
            channel_ ? channel_->send(fd_, rest) : ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (count < 0) fail(std::string("send: ") + std::strerror(errno));
        sent_ += static_cast<std::size_t>(count);
    }
    out_.clear();
    sent_ = 0;
}

bool Line::fill() {
    const auto room = std::as_writable_bytes(std::span(room_)).subspan(held_);
    const ssize_t count = channel_ ? channel_->receive(fd_, room) : ::recv(fd_, room.data(), room.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (count <= 0) fail("the product closed the connection");
    held_ += static_cast<std::size_t>(count);
    return true;
}

void Line::keep(std::string_view rest) {
    std::memmove(room_.data(), rest.data(), rest.size());
    held_ = rest.size();
}

}  // namespace weir::peers
