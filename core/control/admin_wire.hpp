// AdminWire: one connection of the admin server or to one, plain TCP or TLS over it: the same stream to HTTP and WebSockets.
//
// Thread    Its io_context's, one. One read and one write may be under way at once.
// Bounds    stream().expires_after() holds for whatever is under way, the handshake too.
// Source    Boost.Asio's requirements of AsyncReadStream and AsyncWriteStream.
#pragma once

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <memory>
#include <utility>

#include "core/control/wire_tls.hpp"

namespace weir::control {

class AdminWire {
  public:
    using Stream = boost::beast::tcp_stream;
    using executor_type = Stream::executor_type;
    using Fault = boost::system::error_code;
    using Signature = void(Fault, std::size_t);

    // What stays where it is when the wire is moved.
    struct Inner {
        explicit Inner(Stream told) : stream(std::move(told)), others(stream.get_executor()) {}
        Stream stream;
        std::unique_ptr<WireTls> tls;      // null: plain
        boost::asio::steady_timer others;  // who waits for the other operation's output waits on it
    };

    explicit AdminWire(boost::asio::ip::tcp::socket socket)
        : inner_(std::make_shared<Inner>(Stream(std::move(socket)))) {}
    explicit AdminWire(const boost::asio::any_io_executor& executor)
        : inner_(std::make_shared<Inner>(Stream(executor))) {}

    [[nodiscard]] executor_type get_executor() { return inner_->stream.get_executor(); }
    [[nodiscard]] Stream& stream() { return inner_->stream; }
    [[nodiscard]] boost::asio::ip::tcp::socket& socket() { return inner_->stream.socket(); }
    // The names by which Beast looks for what lies below.
    using next_layer_type = Stream;
    [[nodiscard]] Stream& next_layer() { return inner_->stream; }
    [[nodiscard]] const Stream& next_layer() const { return inner_->stream; }

    // From here on TLS is spoken; the handshake is made by async_handshake().
    void speak_tls(const tls::TlsState& state, tls::EndpointCounters* counters) {
        inner_->tls = std::make_unique<WireTls>(state, counters);
    }
    [[nodiscard]] bool is_tls() const { return inner_->tls != nullptr; }
    [[nodiscard]] const WireTls& tls() const { return *inner_->tls; }
    [[nodiscard]] const std::shared_ptr<Inner>& inner() const { return inner_; }
    // Nobody will take what is written: the peer closed the connection, or its side of it. Not while a read is under way.
    [[nodiscard]] bool is_left();
    // Says the last word as far as there is room for it now.
    void finish_at_once();

    template <class Token>
    auto async_handshake(Token&& token) {
        return boost::asio::async_initiate<Token, Signature>(Tls{}, token, inner_, WireWork{});
    }
    // Says the last word; nothing may be written afterwards.
    template <class Token>
    auto async_finish(Token&& token) {
        return boost::asio::async_initiate<Token, Signature>(Tls{}, token, inner_,
                                                             WireWork{.kind = WireWork::Kind::finish});
    }
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, Signature>(
            [](auto handler, std::shared_ptr<Inner> inner, const Buffers& into) {
                if (!inner->tls) return inner->stream.async_read_some(into, std::move(handler));
                Tls{}(std::move(handler), std::move(inner),
                      WireWork{.kind = WireWork::Kind::read, .room = first_of(into)});
            },
            token, inner_, buffers);
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, Signature>(
            [](auto handler, std::shared_ptr<Inner> inner, const Buffers& from) {
                if (!inner->tls) return inner->stream.async_write_some(from, std::move(handler));
                Tls{}(std::move(handler), std::move(inner), WireWork{.kind = WireWork::Kind::write}, from);
            },
            token, inner_, buffers);
    }

  private:
    // An operation of TLS: what WireTls asks for, until it is done.
    enum class Step : std::uint8_t { begin, sending, receiving, waiting, ending };
    struct Progress {
        Step step = Step::begin;
        Fault end{};
    };
    template <class Buffers>
    struct Operation {
        std::shared_ptr<Inner> inner;
        WireWork work;
        Buffers from;  // of a write
        Progress progress{};

        template <class Self>
        void operator()(Self& self, Fault error = {}, std::size_t count = 0) {
            if (progress.step == Step::ending) return self.complete(progress.end, work.count);
            if (!take(*inner, progress, error, count)) return self.complete(progress.end, 0);
            WireTls::Next next = WireTls::Next::again;
            while (next == WireTls::Next::again) {
                // Gathered anew each time: what it is gathered in serves every wire of the thread.
                if (work.kind == WireWork::Kind::write && !work.is_tried) work.plain = gathered(from);
                next = inner->tls->next(work);
            }
            Inner& held = *inner;
            const Step before = std::exchange(progress.step, step_of(next));
            switch (next) {
                case WireTls::Next::send: {
                    const ConstBytes out = held.tls->output();
                    return boost::asio::async_write(held.stream, boost::asio::buffer(out.data(), out.size()),
                                                    std::move(self));
                }
                case WireTls::Next::receive: {
                    const Bytes in = held.tls->input();
                    return held.stream.async_read_some(boost::asio::buffer(in.data(), in.size()), std::move(self));
                }
                case WireTls::Next::wait:
                    held.others.expires_at(boost::asio::steady_timer::time_point::max());
                    return held.others.async_wait(std::move(self));
                case WireTls::Next::again:
                case WireTls::Next::done:
                case WireTls::Next::ended:
                case WireTls::Next::failed:
                    progress.end = fault_of(next);
                    if (before != Step::begin) return self.complete(progress.end, work.count);
                    // Never inside the call that began it.
                    return boost::asio::post(held.stream.get_executor(), std::move(self));
            }
        }
    };
    struct Tls {
        template <class Handler, class Buffers = boost::asio::const_buffer>
        void operator()(Handler handler, std::shared_ptr<Inner> inner, WireWork work, const Buffers& from = {}) const {
            const auto executor = inner->stream.get_executor();
            boost::asio::async_compose<Handler, Signature>(Operation<Buffers>{std::move(inner), work, from}, handler,
                                                           executor);
        }
    };
    // What has come of the last step. False: that it ends, with `progress.end`.
    [[nodiscard]] static bool take(Inner& inner, Progress& progress, Fault error, std::size_t count);
    [[nodiscard]] static Step step_of(WireTls::Next next);
    [[nodiscard]] static Fault fault_of(WireTls::Next next);
    // write_bytes_max bytes, used up before anything else is written on this thread.
    [[nodiscard]] static Bytes scratch();
    template <class Buffers>
    [[nodiscard]] static Bytes first_of(const Buffers& buffers) {
        for (auto one = boost::asio::buffer_sequence_begin(buffers); one != boost::asio::buffer_sequence_end(buffers);
             ++one) {
            const boost::asio::mutable_buffer room(*one);
            if (room.size() > 0) return {static_cast<std::byte*>(room.data()), room.size()};
        }
        return {};
    }
    // As much as one record holds, together: a head and a body, each in a record of its own, would cost two.
    template <class Buffers>
    [[nodiscard]] static ConstBytes gathered(const Buffers& buffers) {
        const auto begin = boost::asio::buffer_sequence_begin(buffers);
        if (boost::asio::buffer_size(buffers) > 0) {
            const boost::asio::const_buffer first(*begin);
            if (first.size() >= WireTls::write_bytes_max || first.size() == boost::asio::buffer_size(buffers)) {
                return {static_cast<const std::byte*>(first.data()), std::min(first.size(), WireTls::write_bytes_max)};
            }
        }
        const Bytes room = scratch();
        return room.first(boost::asio::buffer_copy(boost::asio::buffer(room.data(), room.size()), buffers));
    }

    std::shared_ptr<Inner> inner_;
};

// How a WebSocket ends what is below it. TCP's end is waited for; the last word of TLS is said if there is room for it.
template <class Handler>
void async_teardown(boost::beast::role_type role, AdminWire& wire, Handler&& handler) {
    wire.finish_at_once();
    boost::beast::websocket::async_teardown(role, wire.socket(), std::forward<Handler>(handler));
}
inline void teardown(boost::beast::role_type role, AdminWire& wire, boost::system::error_code& error) {
    wire.finish_at_once();
    boost::beast::websocket::teardown(role, wire.socket(), error);
}

}  // namespace weir::control
