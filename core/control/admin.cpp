#include "core/control/admin.hpp"

#include <pthread.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <chrono>
#include <utility>

#include "core/control/admin_server.hpp"

namespace weir::control {
namespace {

constexpr std::chrono::milliseconds accept_retry{100};

struct HostPort {
    std::string host;  // without brackets
    std::uint16_t port = 0;
};

std::optional<HostPort> split(std::string_view address) {
    const auto colon = address.rfind(':');
    if (colon == address.npos) return std::nullopt;
    HostPort parts{std::string(address.substr(0, colon)), 0};
    const std::string_view port = address.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parts.port);
    if (error != std::errc{} || end != port.data() + port.size()) return std::nullopt;
    if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']') {
        parts.host = parts.host.substr(1, parts.host.size() - 2);
    }
    if (parts.host == "localhost") parts.host = "127.0.0.1";
    return parts;
}

std::string text_of(const tcp::endpoint& endpoint) {
    const std::string host = endpoint.address().to_string();
    return (endpoint.address().is_v6() ? '[' + host + ']' : host) + ':' + std::to_string(endpoint.port());
}

}  // namespace

Status AdminServer::Server::listen() {
    const std::string& address = options.address;
    const auto failed = [&](const BoostError& error) {
        return Error{error.value(), "admin " + address + ": " + error.message()};
    };
    const auto parts = split(address);
    if (!parts) return Error{EINVAL, "admin " + address + ": not HOST:PORT"};
    BoostError error;
    const auto host = asio::ip::make_address(parts->host, error);
    if (error) return failed(error);
    const bool may_leave = options.tls != nullptr && options.guard != nullptr && options.guard->asks_for_tokens();
    if (!host.is_loopback() && !may_leave) return Error{EINVAL, "admin " + address + ": not a loopback address"};
    const tcp::endpoint endpoint(host, parts->port);
    if (acceptor.open(endpoint.protocol(), error)) return failed(error);
    if (acceptor.set_option(tcp::acceptor::reuse_address(true), error)) return failed(error);
    if (acceptor.bind(endpoint, error)) return failed(error);
    if (acceptor.listen(asio::socket_base::max_listen_connections, error)) return failed(error);
    bound_address = text_of(acceptor.local_endpoint());
    bound_host = acceptor.local_endpoint().address().to_string();
    return Done{};
}

asio::awaitable<void> AdminServer::Server::accept() {
    for (;;) {
        auto [error, socket] = co_await acceptor.async_accept(awaited);
        if (error == asio::error::operation_aborted) co_return;
        if (error) {
            // Out of descriptors, say: without a pause this would spin until one is free.
            asio::steady_timer timer(context, accept_retry);
            co_await timer.async_wait(awaited);
            continue;
        }
        if (connection_count >= options.connections_max && !push_out_stranger()) {
            if (options.guard != nullptr) options.guard->count(AdminRefusal::connections);
            continue;
        }
        asio::co_spawn(context, serve(std::move(socket)), asio::detached);
    }
}

AdminServer::AdminServer(AdminOptions options) : server_(std::make_unique<Server>(std::move(options))) {}

AdminServer::AdminServer(std::string address, AdminHandler handler, AdminActs acts, AdminGuard* guard)
    : AdminServer(AdminOptions{
          .address = std::move(address), .handler = std::move(handler), .acts = std::move(acts), .guard = guard}) {}

AdminServer::~AdminServer() {
    stop();
}

Status AdminServer::start() {
    WEIR_ASSERT(!server_->thread.joinable());
    if (Status status = server_->listen(); !status) return status;
    if (server_->options.has_acts_apart) server_->acts_apart.emplace(1);
    asio::co_spawn(server_->context, server_->accept(), asio::detached);
    if (server_->options.tls != nullptr) asio::co_spawn(server_->context, server_->look_at_guests(), asio::detached);
    server_->thread = std::thread([server = server_.get()] {
        pthread_setname_np(pthread_self(), "admin");
        server->context.run();
    });
    return Done{};
}

void AdminServer::stop() noexcept {
    if (!server_->thread.joinable()) return;
    // An act that has begun is done first: it uses what its request holds.
    if (server_->acts_apart) server_->acts_apart->join();
    server_->context.stop();
    server_->thread.join();
}

std::string AdminServer::bound_address() const {
    return server_->bound_address;
}

void AdminServer::wake(std::uint32_t group) {
    server_->wake(group);
}

std::uint32_t AdminServer::stream_count() const {
    return server_->stream_count.load(std::memory_order_relaxed);
}

std::uint64_t AdminServer::stalled_count() const {
    return server_->stalled_count.get();
}

}  // namespace weir::control
