// The seam of Boost.Beast's WebSocket: a client that is sent messages and says nothing.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <utility>

#include "core/base/clock.hpp"
#include "core/control/admin_server.hpp"
#include "core/tls/digest.hpp"

namespace weir::control {
namespace {

namespace websocket = beast::websocket;

constexpr std::string_view protocol = "weir.v1";
// So many clients are woken before the server looks whether anybody asks something.
constexpr std::size_t wake_slice = 16;

bool offers(const AdminRequest& request, std::string_view wanted) {
    std::string_view rest = field(request, http::field::sec_websocket_protocol);
    while (!rest.empty()) {
        std::string_view one = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (one == wanted) return true;
    }
    return false;
}

void wipe_field(const AdminRequest& request, http::field name) {
    const std::string_view text = field(request, name);
    // NOLINTNEXTLINE: nobody reads it again
    tls::wipe({reinterpret_cast<std::byte*>(const_cast<char*>(text.data())), text.size()});
}

}  // namespace

struct AdminServer::Server::Socket : std::enable_shared_from_this<AdminServer::Server::Socket> {
    Socket(Server& owner, AdminWire wire, std::unique_ptr<AdminStream> told)
        : server(owner), stream(std::move(told)), web(std::move(wire)), timer(owner.context) {
        index = server.sockets.size();
        server.sockets.push_back(this);
        server.stream_count.store(static_cast<std::uint32_t>(server.sockets.size()), std::memory_order_relaxed);
    }
    ~Socket() {
        server.sockets[index] = server.sockets.back();
        server.sockets[index]->index = index;
        server.sockets.pop_back();
        server.stream_count.store(static_cast<std::uint32_t>(server.sockets.size()), std::memory_order_relaxed);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    // Says nothing to it any more; both coroutines end.
    void close() {
        is_closed = true;
        BoostError ignored;
        web.next_layer().socket().close(ignored);
        timer.cancel();
    }
    // What it sends is thrown away; pings are answered and its close is, inside.
    static asio::awaitable<void> listen(std::shared_ptr<Socket> self) {
        beast::flat_buffer heard(client_bytes_max);
        for (;;) {
            const auto [error, heard_bytes] = co_await self->web.async_read(heard, awaited);
            if (error) break;
            heard.consume(heard.size());
        }
        self->close();
    }
    static asio::awaitable<void> speak(std::shared_ptr<Socket> self) {
        while (!self->is_closed) {
            const AdminStream::Text text = self->stream->take();
            if (!text) {
                self->timer.expires_at(std::chrono::steady_clock::time_point::max());
                co_await self->timer.async_wait(awaited);
                continue;
            }
            self->speaks_since = monotonic_now();
            self->is_speaking = true;
            const auto [error, sent_bytes] = co_await self->web.async_write(asio::buffer(*text), awaited);
            self->is_speaking = false;
            if (error) break;
        }
        self->close();
    }

    Server& server;
    std::unique_ptr<AdminStream> stream;
    websocket::stream<AdminWire, false> web;
    asio::steady_timer timer;  // what speak() waits on
    std::size_t index = 0;     // in server.sockets
    MonotonicNs speaks_since{};
    MonotonicNs open_at = monotonic_now();  // when it was last seen open
    bool is_speaking = false;
    bool is_closed = false;
};

asio::awaitable<void> AdminServer::Server::stream_to(AdminWire wire, AdminRequest request,
                                                     std::unique_ptr<AdminStream> stream) {
    BoostError ignored;
    // The bound of what a client that takes nothing holds of the kernel's memory.
    wire.socket().set_option(asio::socket_base::send_buffer_size(stream_send_bytes), ignored);
    wire.socket().set_option(tcp::no_delay(true), ignored);
    const auto client = std::make_shared<Socket>(*this, std::move(wire), std::move(stream));
    auto& web = client->web;
    web.read_message_max(client_bytes_max);
    web.auto_fragment(false);  // a message is one write
    web.text(true);
    if (offers(request, protocol)) {
        web.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
            response.set(http::field::sec_websocket_protocol, beast::string_view(protocol.data(), protocol.size()));
        }));
    }
    const auto [error] = co_await web.async_accept(request, awaited);
    wipe_field(request, http::field::authorization);
    wipe_field(request, http::field::sec_websocket_protocol);
    if (error) co_return;
    asio::co_spawn(context, Socket::listen(client), asio::detached);
    asio::co_spawn(context, Socket::speak(client), asio::detached);
}

void AdminServer::Server::wake(std::uint32_t group) {
    WEIR_ASSERT(group < AdminStream::groups_max);
    // Who finds none posted posts; what others add until it runs goes with it.
    if (groups_posted.fetch_or(1U << group, std::memory_order_acq_rel) != 0) return;
    asio::post(context, [this] {
        groups_waiting |= groups_posted.exchange(0, std::memory_order_acq_rel);
        if (!is_waking) asio::co_spawn(context, wake_all(), asio::detached);
    });
}

asio::awaitable<void> AdminServer::Server::wake_all() {
    is_waking = true;
    while (groups_waiting != 0) {
        const std::uint32_t groups = std::exchange(groups_waiting, 0);
        let_stalled_go();
        // Downwards: who leaves meanwhile is replaced by one that has been woken.
        std::size_t woken = 0;
        for (std::size_t left = sockets.size(); left > 0; --left) {
            if (left > sockets.size() || (groups >> sockets[left - 1]->stream->group() & 1) == 0) continue;
            sockets[left - 1]->timer.cancel();
            if (++woken % wake_slice == 0) co_await asio::post(context, asio::use_awaitable);
        }
    }
    is_waking = false;
}

void AdminServer::Server::let_stalled_go() {
    const MonotonicNs now = monotonic_now();
    for (std::size_t left = sockets.size(); left > 0; --left) {
        Socket& socket = *sockets[left - 1];
        // Who has been told goodbye, and stays, does not keep its place either: Beast waits for its end without a bound.
        const bool is_leaving = !socket.web.is_open();
        if (!is_leaving) socket.open_at = now;
        const bool is_late = is_leaving && now.since(socket.open_at) >= options.stalled_ms_max * ns_per_ms;
        const bool is_stalled =
            socket.is_speaking && now.since(socket.speaks_since) >= options.stalled_ms_max * ns_per_ms;
        if (!is_late && !is_stalled) continue;
        stalled_count.add(1);
        socket.close();
    }
}

}  // namespace weir::control
