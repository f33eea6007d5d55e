// A connection of the admin server: requests in, answers out, one after the other.
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <chrono>
#include <tuple>

#include "core/control/admin_server.hpp"
#include "core/tls/digest.hpp"

namespace weir::control {
namespace {

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

void wipe_text(std::string_view text) {
    // NOLINTNEXTLINE: nobody reads it again
    tls::wipe({reinterpret_cast<std::byte*>(const_cast<char*>(text.data())), text.size()});
}

void wipe_tokens(const AdminRequest& request) {
    wipe_text(field(request, http::field::authorization));
    wipe_text(field(request, http::field::sec_websocket_protocol));
}

}  // namespace

asio::awaitable<void> AdminServer::Server::serve(tcp::socket socket) {
    Slot slot(connection_count);
    BoostError unnamed;
    const auto from = socket.remote_endpoint(unnamed);
    AdminPeer peer{.from = unnamed ? "unknown" : from.address().to_string()};
    AdminWire wire(std::move(socket));
    if (options.tls != nullptr && !co_await shake_hands(wire, peer)) co_return;
    co_await answer_all(std::move(wire), std::move(peer), slot);
}

asio::awaitable<void> AdminServer::Server::answer_all(AdminWire wire, AdminPeer peer, Slot& slot) {
    beast::tcp_stream& stream = wire.stream();
    std::optional<RequestBytes> bytes(std::in_place);
    for (bool is_first = true;; is_first = false) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(head_bytes_max);
        parser.body_limit(body_bytes_max);
        stream.expires_after(std::chrono::milliseconds(is_first ? first_ms_max : idle_ms_max));
        const auto [error, read_bytes] = co_await http::async_read(wire, bytes->buffer(), parser, awaited);
        std::optional<AdminReply> reply;
        if (const auto fault = unread(error); error && fault) {
            reply.emplace();
            reply->response = refused(fault->refusal, fault->status, fault->why);
        } else if (!error) {
            // Whoever is at work here is no idle connection, however long an act takes.
            stream.expires_never();
            reply.emplace(co_await respond(parser.get(), peer));
        }
        if (reply && reply->stream) {
            slot.leave();
            bytes.reset();
            stream.expires_never();
            co_await stream_to(std::move(wire), parser.release(), std::move(reply->stream));
            co_return;
        }
        if (!error) wipe_tokens(parser.get());
        bytes->wipe();
        if (!reply) co_return;
        if (reply->flow && parser.get().method() == http::verb::head) reply->flow.reset();
        if (reply->flow) {
            co_await let_flow(wire, std::move(*reply));
            break;
        }
        AdminAnswer& response = reply->response;
        const bool is_last = error || !parser.get().keep_alive();
        response.keep_alive(!is_last);
        // "Not modified" says nothing of a length: the one that it would name is another answer's.
        if (response.result() != http::status::not_modified) response.prepare_payload();
        // HEAD: the head says how long the body would be, and none follows.
        const bool is_head = !error && parser.get().method() == http::verb::head;
        http::response_serializer<http::string_body> serializer(response);
        stream.expires_after(std::chrono::milliseconds(idle_ms_max));
        const auto [send_error, sent_bytes] = is_head ? co_await http::async_write_header(wire, serializer, awaited)
                                                      : co_await http::async_write(wire, serializer, awaited);
        if (send_error || is_last) break;
    }
    if (wire.is_tls()) co_await wire.async_finish(awaited);
    BoostError ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

// In chunks, as nobody knows how much there will be. The connection ends with it.
asio::awaitable<void> AdminServer::Server::let_flow(AdminWire& wire, AdminReply reply) {
    beast::tcp_stream& stream = wire.stream();
    http::response<http::empty_body> head(std::move(reply.response.base()));
    head.chunked(true);
    head.keep_alive(false);
    http::response_serializer<http::empty_body> serializer(head);
    stream.expires_after(std::chrono::milliseconds(flow_ms_max));
    auto [error, sent_bytes] = co_await http::async_write_header(wire, serializer, awaited);
    asio::steady_timer timer(context);
    std::string piece;
    for (bool goes_on = true; goes_on && !error;) {
        piece.clear();
        goes_on = reply.flow->take(piece);
        if (!piece.empty()) {
            stream.expires_after(std::chrono::milliseconds(flow_ms_max));
            std::tie(error, sent_bytes) =
                co_await asio::async_write(wire, http::make_chunk(asio::buffer(piece)), awaited);
        } else if (goes_on) {
            timer.expires_after(std::chrono::milliseconds(flow_look_ms));
            co_await timer.async_wait(awaited);
        }
        if (wire.is_left()) co_return;
    }
    if (!error) std::tie(error, sent_bytes) = co_await asio::async_write(wire, http::make_chunk_last(), awaited);
}

}  // namespace weir::control
