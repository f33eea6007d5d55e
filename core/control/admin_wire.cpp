#include "core/control/admin_wire.hpp"

#include <sys/socket.h>

#include <boost/asio/error.hpp>
#include <cerrno>

namespace weir::control {
namespace {

// So many times is_left() looks whether the peer says anything but its end.
constexpr int looks_max = 8;

bool would_wait() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

bool is_left_plain(int handle) {
    char letter = 0;
    const auto count = ::recv(handle, &letter, 1, MSG_PEEK | MSG_DONTWAIT);
    return count == 0 || (count < 0 && !would_wait());
}

}  // namespace

bool AdminWire::is_left() {
    const int handle = socket().native_handle();
    if (!is_tls()) return is_left_plain(handle);
    // The end may lie behind its last word, and both behind what nobody asked it to say.
    WireTls& tls = *inner_->tls;
    for (int look = 0; look < looks_max; ++look) {
        if (tls.is_hungry()) {
            const Bytes room = tls.input();
            const auto count = ::recv(handle, room.data(), room.size(), MSG_DONTWAIT);
            if (count == 0) return true;
            if (count < 0) return !would_wait();
            tls.received(static_cast<std::size_t>(count));
        }
        std::array<std::byte, 256> ignored{};
        WireWork work{.kind = WireWork::Kind::read, .room = ignored};
        switch (tls.next(work)) {
            case WireTls::Next::again:
            case WireTls::Next::done:
            case WireTls::Next::receive:
                break;
            case WireTls::Next::ended:
            case WireTls::Next::failed:
                return true;
            case WireTls::Next::send: {
                // An answer that TLS itself owes. Small, and nothing else is under way: if there is no room for it, nobody reads.
                const ConstBytes out = tls.output();
                const auto count = ::send(handle, out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (count != static_cast<ssize_t>(out.size())) return true;
                tls.sent();
                break;
            }
            case WireTls::Next::wait:
                return false;
        }
    }
    return false;
}

void AdminWire::finish_at_once() {
    if (!is_tls()) return;
    WireTls& tls = *inner_->tls;
    WireWork work{.kind = WireWork::Kind::finish};
    if (tls.next(work) == WireTls::Next::send) {
        const ConstBytes out = tls.output();
        static_cast<void>(::send(socket().native_handle(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    }
    tls.break_off(false);
}

Bytes AdminWire::scratch() {
    static thread_local std::array<std::byte, WireTls::write_bytes_max> together;
    return together;
}

bool AdminWire::take(Inner& inner, Progress& progress, Fault error, std::size_t count) {
    const bool is_io = progress.step == Step::sending || progress.step == Step::receiving;
    if (!is_io) return true;  // a wait is cancelled: that is how it is woken
    if (error) {
        inner.tls->break_off(error == boost::asio::error::eof);
        inner.others.cancel();
        // TCP's end without TLS's last word is no end.
        progress.end = error == boost::asio::error::eof ? Fault(boost::asio::error::connection_reset) : error;
        return false;
    }
    if (progress.step == Step::receiving) {
        inner.tls->received(count);
    } else {
        inner.tls->sent();
        inner.others.cancel();
    }
    return true;
}

AdminWire::Step AdminWire::step_of(WireTls::Next next) {
    switch (next) {
        case WireTls::Next::send:
            return Step::sending;
        case WireTls::Next::receive:
            return Step::receiving;
        case WireTls::Next::wait:
            return Step::waiting;
        case WireTls::Next::again:
        case WireTls::Next::done:
        case WireTls::Next::ended:
        case WireTls::Next::failed:
            return Step::ending;
    }
    return Step::ending;
}

AdminWire::Fault AdminWire::fault_of(WireTls::Next next) {
    if (next == WireTls::Next::ended) return boost::asio::error::eof;
    if (next == WireTls::Next::failed) return boost::system::errc::make_error_code(boost::system::errc::protocol_error);
    return {};
}

}  // namespace weir::control
