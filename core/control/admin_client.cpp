// With admin.cpp the seam of Boost.Beast and Boost.Asio.
#include "core/control/admin_client.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <optional>

#include "core/control/token_book.hpp"

namespace weir::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using BoostError = boost::system::error_code;

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);

std::optional<tcp::endpoint> endpoint_of(std::string_view address) {
    const auto colon = address.rfind(':');
    if (colon == address.npos) return std::nullopt;
    std::string host(address.substr(0, colon));
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    const std::string_view written = address.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, wrong] = std::from_chars(written.data(), written.data() + written.size(), port);
    BoostError error;
    const auto ip = asio::ip::make_address(host, error);
    if (error || wrong != std::errc{} || end != written.data() + written.size()) return std::nullopt;
    return tcp::endpoint(ip, port);
}

struct Asking {
    const AdminQuestion& question;
    std::string token{};
    AdminAnswer answer{};
    BoostError error{};

    asio::awaitable<void> run(tcp::endpoint endpoint) {
        beast::tcp_stream stream(co_await asio::this_coro::executor);
        const auto patience = [&] { stream.expires_after(std::chrono::milliseconds(question.ms_max)); };
        patience();
        std::tie(error) = co_await stream.async_connect(endpoint, awaited);
        if (error) co_return;
        http::request<http::string_body> request(http::string_to_verb(question.method), question.target, 11);
        request.set(http::field::host, "localhost");
        if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
        if (!question.content_type.empty()) request.set(http::field::content_type, question.content_type);
        request.keep_alive(false);
        request.body() = question.body;
        request.prepare_payload();
        std::size_t bytes = 0;
        std::tie(error, bytes) = co_await http::async_write(stream, request, awaited);
        if (error) co_return;
        beast::flat_buffer buffer;
        http::response_parser<http::buffer_body> parser;
        parser.body_limit(boost::none);
        std::tie(error, bytes) = co_await http::async_read_header(stream, buffer, parser, awaited);
        if (error) co_return;
        answer.status = parser.get().result_int();
        const bool flows = question.take && answer.status == 200;
        std::array<char, 16'384> piece;
        while (!parser.is_done()) {
            parser.get().body().data = piece.data();
            parser.get().body().size = piece.size();
            if (flows) stream.expires_never();
            std::tie(error, bytes) = co_await http::async_read_some(stream, buffer, parser, awaited);
            if (error == http::error::need_buffer) error = {};
            const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
            if (flows && !got.empty() && !question.take(got)) co_return;
            if (!flows) answer.body += got;
            if (answer.body.size() > answer_bytes_max) error = http::error::body_limit;
            if (error) co_return;
        }
    }
};

}  // namespace

Result<AdminAnswer> ask_admin(const AdminQuestion& question) {
    const auto endpoint = endpoint_of(question.address);
    if (!endpoint) return Error{EINVAL, question.address + ": not HOST:PORT"};
    asio::io_context context{1};
    Asking asking{question};
    if (!question.token_file.empty()) {
        auto token = read_token_file(question.token_file);
        if (!token) return token.error();
        asking.token = std::move(token.value());
    }
    asio::co_spawn(context, asking.run(*endpoint), asio::detached);
    context.run();
    if (asking.error) return Error{asking.error.value(), question.address + ": " + asking.error.message()};
    return std::move(asking.answer);
}

}  // namespace weir::control
