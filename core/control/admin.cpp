// The seam of Boost.Beast and Boost.Asio.
#include "core/control/admin.hpp"

#include <arpa/inet.h>
#include <pthread.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "core/control/config_reader.hpp"

namespace weir::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using BoostError = boost::system::error_code;

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);
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

using Response = http::response<http::string_body>;

Response make_response(unsigned status, std::string content_type, std::string body) {
    Response response;
    response.result(status);
    response.version(11);
    response.set(http::field::content_type, content_type);
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy", "default-src 'none'");
    response.body() = std::move(body);
    return response;
}

Response refuse(http::status status, std::string why) {
    return make_response(static_cast<unsigned>(status), "text/plain; charset=utf-8", std::move(why) + '\n');
}

// What a request that could not be read is told; nullopt: there is no one to tell.
std::optional<Response> answer_to(BoostError error) {
    if (error == http::error::end_of_stream || error == beast::error::timeout ||
        error.category() != http::make_error_code(http::error::end_of_stream).category()) {
        return std::nullopt;
    }
    if (error == http::error::partial_message) return std::nullopt;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return refuse(http::status::request_header_fields_too_large, "the request's head is too long");
    }
    if (error == http::error::body_limit)
        return refuse(http::status::payload_too_large, "the request's body is too long");
    return refuse(http::status::bad_request, "not an HTTP/1.1 request");
}

}  // namespace

struct AdminServer::Server {
    // Counts a connection for as long as its coroutine lives.
    struct Slot {
        explicit Slot(std::uint32_t& slot_count) : count(slot_count) { ++count; }
        ~Slot() { --count; }
        Slot(const Slot&) = delete;
        Slot& operator=(const Slot&) = delete;
        std::uint32_t& count;
    };

    Server(std::string listen_address, AdminHandler request_handler, AdminActs post_handler)
        : address(std::move(listen_address)), handler(std::move(request_handler)), acts(std::move(post_handler)) {}

    [[nodiscard]] Status listen();
    [[nodiscard]] asio::awaitable<void> accept();
    [[nodiscard]] asio::awaitable<void> serve(tcp::socket socket);
    [[nodiscard]] Response respond(const http::request<http::string_body>& request) const;
    [[nodiscard]] bool is_own_host(std::string_view host) const;

    std::string address;
    AdminHandler handler;
    AdminActs acts;
    std::string bound_address;
    std::string bound_host;
    std::uint32_t connection_count = 0;
    // After connection_count: the coroutines that it destroys count themselves out.
    asio::io_context context{1};
    tcp::acceptor acceptor{context};
    std::thread thread;
};

Status AdminServer::Server::listen() {
    const auto failed = [&](const BoostError& error) {
        return Error{error.value(), "admin " + address + ": " + error.message()};
    };
    const auto parts = split(address);
    if (!parts) return Error{EINVAL, "admin " + address + ": not HOST:PORT"};
    BoostError error;
    const auto host = asio::ip::make_address(parts->host, error);
    if (error) return failed(error);
    if (!host.is_loopback()) return Error{EINVAL, "admin " + address + ": not a loopback address"};
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
        if (connection_count >= connections_max) continue;
        asio::co_spawn(context, serve(std::move(socket)), asio::detached);
    }
}

asio::awaitable<void> AdminServer::Server::serve(tcp::socket socket) {
    const Slot slot(connection_count);
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(head_bytes_max + body_bytes_max);
    for (;;) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(head_bytes_max);
        parser.body_limit(body_bytes_max);
        stream.expires_after(std::chrono::milliseconds(idle_ms_max));
        const auto [error, read_bytes] = co_await http::async_read(stream, buffer, parser, awaited);
        auto response = error ? answer_to(error) : respond(parser.get());
        if (!response) co_return;
        const bool is_last = error || !parser.get().keep_alive();
        response->keep_alive(!is_last);
        response->prepare_payload();
        // HEAD: the head says how long the body would be, and none follows.
        const bool is_head = !error && parser.get().method() == http::verb::head;
        http::response_serializer<http::string_body> serializer(*response);
        stream.expires_after(std::chrono::milliseconds(idle_ms_max));
        const auto [send_error, sent_bytes] = is_head ? co_await http::async_write_header(stream, serializer, awaited)
                                                      : co_await http::async_write(stream, serializer, awaited);
        if (send_error || is_last) break;
    }
    BoostError ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

Response AdminServer::Server::respond(const http::request<http::string_body>& request) const {
    const auto host = request.find(http::field::host);
    if (host == request.end() || !is_own_host({host->value().data(), host->value().size()})) {
        return refuse(http::status::forbidden, "the Host header must name this machine's loopback");
    }
    const bool is_act = request.method() == http::verb::post && acts;
    if (!is_act && request.method() != http::verb::get && request.method() != http::verb::head) {
        Response response =
            refuse(http::status::method_not_allowed, acts ? "GET, HEAD and POST only" : "GET and HEAD only");
        response.set(http::field::allow, acts ? "GET, HEAD, POST" : "GET, HEAD");
        return response;
    }
    // A browser says with every POST whose page sent it; no page is ours.
    if (is_act && request.find(http::field::origin) != request.end()) {
        return refuse(http::status::forbidden, "not from a page in a browser");
    }
    const std::string_view target(request.target().data(), request.target().size());
    if (!target.starts_with('/')) return refuse(http::status::bad_request, "the target must be a path");
    try {
        AdminResponse answer = is_act ? acts(target, request.body()) : handler("GET", target);
        return make_response(answer.status, std::move(answer.content_type), std::move(answer.body));
    } catch (const std::exception& error) {
        return refuse(http::status::internal_server_error, error.what());
    }
}

bool AdminServer::Server::is_own_host(std::string_view host) const {
    const auto colon = host.rfind(':');
    const auto bracket = host.rfind(']');
    const bool has_port = colon != host.npos && (bracket == host.npos || colon > bracket);
    std::string name(has_port ? host.substr(0, colon) : host);
    if (name == bound_host) return true;
    name += ":0";
    return !name.starts_with("unix:") && is_loopback(name);  // a Unix path is no host: "unix" is a name like any other
}

AdminServer::AdminServer(std::string address, AdminHandler handler, AdminActs acts)
    : server_(std::make_unique<Server>(std::move(address), std::move(handler), std::move(acts))) {}

AdminServer::~AdminServer() {
    stop();
}

Status AdminServer::start() {
    WEIR_ASSERT(!server_->thread.joinable());
    if (Status status = server_->listen(); !status) return status;
    asio::co_spawn(server_->context, server_->accept(), asio::detached);
    server_->thread = std::thread([server = server_.get()] {
        pthread_setname_np(pthread_self(), "admin");
        server->context.run();
    });
    return Done{};
}

void AdminServer::stop() noexcept {
    if (!server_->thread.joinable()) return;
    server_->context.stop();
    server_->thread.join();
}

std::string AdminServer::bound_address() const {
    return server_->bound_address;
}

}  // namespace weir::control
