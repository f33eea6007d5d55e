// The seam of Boost.Beast and Boost.Asio.
#include "core/control/admin.hpp"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <exception>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/clock.hpp"
#include "core/control/admin_guard.hpp"
#include "core/control/admin_target.hpp"
#include "core/control/config_reader.hpp"
#include "core/control/log.hpp"
#include "core/tls/digest.hpp"

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
using Request = http::request<http::string_body>;

std::string_view field(const Request& request, http::field name) {
    const auto value = request[name];
    return {value.data(), value.size()};
}
std::string_view field(const Request& request, std::string_view name) {
    const auto value = request[beast::string_view(name.data(), name.size())];
    return {value.data(), value.size()};
}

Response make_response(unsigned status, std::string content_type, std::string body) {
    Response response;
    response.result(status);
    response.version(11);
    response.set(http::field::content_type, content_type);
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy",
                 "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    response.set("X-Frame-Options", "DENY");
    response.set("Referrer-Policy", "no-referrer");
    response.set("Cross-Origin-Resource-Policy", "same-origin");
    response.body() = std::move(body);
    return response;
}

Response refuse(http::status status, std::string why) {
    return make_response(static_cast<unsigned>(status), "text/plain; charset=utf-8", std::move(why) + '\n');
}

struct Answer {
    Response response;
    std::unique_ptr<AdminFlow> flow{};
};

// Nobody will take what is sent: its reader closed the connection, or its side of it.
bool is_left(tcp::socket& socket) {
    char letter = 0;
    const auto count = ::recv(socket.native_handle(), &letter, 1, MSG_PEEK | MSG_DONTWAIT);
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

// What a request that could not be read is told, and what that counts as; nullopt: there is no one to tell.
struct Unread {
    AdminRefusal refusal;
    http::status status;
    const char* why;
};
std::optional<Unread> unread(BoostError error) {
    if (error == http::error::end_of_stream || error == beast::error::timeout ||
        error.category() != http::make_error_code(http::error::end_of_stream).category()) {
        return std::nullopt;
    }
    if (error == http::error::partial_message) return std::nullopt;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return Unread{AdminRefusal::head, http::status::request_header_fields_too_large,
                      "the request's head is too long"};
    }
    if (error == http::error::body_limit) {
        return Unread{AdminRefusal::body, http::status::payload_too_large, "the request's body is too long"};
    }
    return Unread{AdminRefusal::head, http::status::bad_request, "not an HTTP/1.1 request"};
}

// A connection's bytes as they are read. A token may be among them: they are wiped when nobody needs them any more.
class RequestBytes {
  public:
    ~RequestBytes() { tls::wipe(storage_); }
    [[nodiscard]] beast::flat_static_buffer_base& buffer() { return buffer_; }
    // What was read; not what has come of the next request.
    void wipe() {
        if (buffer_.size() == 0) {
            buffer_.clear();
            tls::wipe(storage_);
        }
    }

  private:
    std::vector<std::byte> storage_ = std::vector<std::byte>(AdminServer::head_bytes_max + AdminServer::body_bytes_max);
    beast::flat_static_buffer_base buffer_{storage_.data(), storage_.size()};
};

void wipe_token(const Request& request) {
    const std::string_view token = field(request, http::field::authorization);
    tls::wipe({reinterpret_cast<std::byte*>(const_cast<char*>(token.data())),
               token.size()});  // NOLINT: nobody reads it again
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

    Server(std::string listen_address, AdminHandler request_handler, AdminActs post_handler, AdminGuard* admin_guard)
        : address(std::move(listen_address)),
          handler(std::move(request_handler)),
          acts(std::move(post_handler)),
          guard(admin_guard) {}

    [[nodiscard]] Status listen();
    [[nodiscard]] asio::awaitable<void> accept();
    [[nodiscard]] asio::awaitable<void> serve(tcp::socket socket);
    [[nodiscard]] asio::awaitable<void> let_flow(beast::tcp_stream& stream, Answer answer);
    [[nodiscard]] Answer respond(const Request& request, std::string_view from) const;
    [[nodiscard]] Answer let_in(const Request& request, std::string_view from) const;
    [[nodiscard]] AdminResponse act(const AdminCall& call, const AdminVerdict& verdict, std::string_view body) const;
    [[nodiscard]] std::optional<Response> refusal(const Request& request) const;
    [[nodiscard]] bool is_own_host(std::string_view host) const;
    [[nodiscard]] bool is_own_origin(std::string_view origin) const;
    // Answers `why`, and counts it.
    [[nodiscard]] Response refused(AdminRefusal refusal, http::status status, std::string why) const {
        if (guard != nullptr) guard->count(refusal);
        return refuse(status, std::move(why));
    }

    std::string address;
    AdminHandler handler;
    AdminActs acts;
    AdminGuard* guard;
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
        if (connection_count >= connections_max) {
            if (guard != nullptr) guard->count(AdminRefusal::connections);
            continue;
        }
        asio::co_spawn(context, serve(std::move(socket)), asio::detached);
    }
}

asio::awaitable<void> AdminServer::Server::serve(tcp::socket socket) {
    const Slot slot(connection_count);
    BoostError unnamed;
    const auto peer = socket.remote_endpoint(unnamed);
    const std::string from = unnamed ? "unknown" : peer.address().to_string();
    beast::tcp_stream stream(std::move(socket));
    RequestBytes bytes;
    for (bool is_first = true;; is_first = false) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(head_bytes_max);
        parser.body_limit(body_bytes_max);
        stream.expires_after(std::chrono::milliseconds(is_first ? first_ms_max : idle_ms_max));
        const auto [error, read_bytes] = co_await http::async_read(stream, bytes.buffer(), parser, awaited);
        std::optional<Answer> answer;
        if (const auto fault = unread(error); error && fault) {
            answer = Answer{refused(fault->refusal, fault->status, fault->why)};
        } else if (!error) {
            answer = respond(parser.get(), from);
            wipe_token(parser.get());
        }
        bytes.wipe();
        if (!answer) co_return;
        if (answer->flow) {
            co_await let_flow(stream, std::move(*answer));
            break;
        }
        Response* const response = &answer->response;
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

// In chunks, as nobody knows how much there will be. The connection ends with it.
asio::awaitable<void> AdminServer::Server::let_flow(beast::tcp_stream& stream, Answer answer) {
    http::response<http::empty_body> head(std::move(answer.response.base()));
    head.chunked(true);
    head.keep_alive(false);
    http::response_serializer<http::empty_body> serializer(head);
    stream.expires_after(std::chrono::milliseconds(flow_ms_max));
    auto [error, sent_bytes] = co_await http::async_write_header(stream, serializer, awaited);
    asio::steady_timer timer(context);
    std::string piece;
    for (bool goes_on = true; goes_on && !error;) {
        piece.clear();
        goes_on = answer.flow->take(piece);
        if (!piece.empty()) {
            stream.expires_after(std::chrono::milliseconds(flow_ms_max));
            std::tie(error, sent_bytes) =
                co_await asio::async_write(stream, http::make_chunk(asio::buffer(piece)), awaited);
        } else if (goes_on) {
            timer.expires_after(std::chrono::milliseconds(flow_look_ms));
            co_await timer.async_wait(awaited);
        }
        if (is_left(stream.socket())) co_return;
    }
    if (!error) std::tie(error, sent_bytes) = co_await asio::async_write(stream, http::make_chunk_last(), awaited);
}

// Why it is not even given to a handler.
std::optional<Response> AdminServer::Server::refusal(const Request& request) const {
    if (request.count(http::field::host) != 1 || !is_own_host(field(request, http::field::host))) {
        return refused(AdminRefusal::host, http::status::forbidden,
                       "the Host header must name this machine's loopback");
    }
    if (request.count(http::field::authorization) > 1) {
        return refused(AdminRefusal::token, http::status::bad_request, "more than one Authorization");
    }
    const bool is_act = request.method() == http::verb::post && acts;
    if (!is_act && request.method() != http::verb::get && request.method() != http::verb::head) {
        Response response = refused(AdminRefusal::method, http::status::method_not_allowed,
                                    acts ? "GET, HEAD and POST only" : "GET and HEAD only");
        response.set(http::field::allow, acts ? "GET, HEAD, POST" : "GET, HEAD");
        return response;
    }
    // A browser says with every POST, and with what it reads for another origin, whose page sent it. No page of ours acts.
    const bool has_origin = request.find(http::field::origin) != request.end();
    if (has_origin && (is_act || !is_own_origin(field(request, http::field::origin)))) {
        return refused(AdminRefusal::origin, http::status::forbidden, "not from a page in a browser");
    }
    const std::string_view site = field(request, "Sec-Fetch-Site");
    if (site == "cross-site" || site == "same-site" || (is_act && !site.empty())) {
        return refused(AdminRefusal::origin, http::status::forbidden, "not from a page in a browser");
    }
    if (const auto fault = target_fault({request.target().data(), request.target().size()}); !fault.empty()) {
        return refused(AdminRefusal::target, http::status::bad_request, std::string(fault));
    }
    return std::nullopt;
}

Answer AdminServer::Server::respond(const Request& request, std::string_view from) const {
    if (auto response = refusal(request)) return {std::move(*response)};
    try {
        return let_in(request, from);
    } catch (const std::exception& error) {
        log_error("admin_failed", {{"what", error.what()}});
        return {refuse(http::status::internal_server_error, "the handler failed; the log says why")};
    }
}

// If it may.
Answer AdminServer::Server::let_in(const Request& request, std::string_view from) const {
    const bool is_act = request.method() == http::verb::post;
    const AdminCall call{.is_act = is_act,
                         .target = {request.target().data(), request.target().size()},
                         .from = from,
                         .authorization = field(request, http::field::authorization),
                         .reason = field(request, "Weir-Reason")};
    AdminVerdict verdict;
    if (guard != nullptr) verdict = guard->judge(call, monotonic_now());
    if (verdict.status != 0) {
        Response response = refuse(static_cast<http::status>(verdict.status), std::string(verdict.why));
        if (verdict.status == 401) response.set(http::field::www_authenticate, "Bearer realm=\"weir\"");
        if (verdict.retry_s != 0) response.set(http::field::retry_after, std::to_string(verdict.retry_s));
        return {std::move(response)};
    }
    AdminResponse answer = is_act ? act(call, verdict, request.body()) : handler("GET", call.target);
    return {make_response(answer.status, std::move(answer.content_type), std::move(answer.body)),
            std::move(answer.flow)};
}

// With a guard it is written down before it is done, and its outcome before it is answered.
AdminResponse AdminServer::Server::act(const AdminCall& call, const AdminVerdict& verdict,
                                       std::string_view body) const {
    if (guard == nullptr) return acts({.target = call.target, .body = body, .reason = call.reason});
    const auto begun = guard->begin_act(call, verdict);
    if (!begun) return {.status = 503, .body = "not done: the audit trail cannot be written\n"};
    AdminResponse answer;
    try {
        answer = acts(
            {.target = call.target, .body = body, .who = verdict.who, .role = verdict.role, .reason = call.reason});
    } catch (...) {
        static_cast<void>(guard->end_act(begun.value(), call, verdict, 500));
        throw;
    }
    if (guard->end_act(begun.value(), call, verdict, answer.status)) return answer;
    return {
        .status = 500,
        .body = "done, answered " + std::to_string(answer.status) + ", but its outcome could not be written down\n"};
}

// Of a page that this very port gave.
bool AdminServer::Server::is_own_origin(std::string_view origin) const {
    constexpr std::string_view scheme = "http://";
    if (!origin.starts_with(scheme)) return false;
    origin.remove_prefix(scheme.size());
    const auto port = bound_address.substr(bound_address.rfind(':'));
    return origin.ends_with(port) && is_own_host(origin);
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

AdminServer::AdminServer(std::string address, AdminHandler handler, AdminActs acts, AdminGuard* guard)
    : server_(std::make_unique<Server>(std::move(address), std::move(handler), std::move(acts), guard)) {}

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
