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

#include "core/control/admin_wire.hpp"
#include "core/control/token_book.hpp"
#include "core/tls/credentials.hpp"

namespace weir::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using BoostError = boost::system::error_code;

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);

constexpr std::string_view https = "https://";

struct Place {
    std::string host;  // without brackets
    std::uint16_t port = 0;
};

std::optional<Place> place_of(std::string_view address) {
    if (address.starts_with(https)) address.remove_prefix(https.size());
    if (address.ends_with('/')) address.remove_suffix(1);
    const auto colon = address.rfind(':');
    if (colon == address.npos || colon == 0) return std::nullopt;
    Place place{std::string(address.substr(0, colon))};
    std::string& host = place.host;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    const std::string_view written = address.substr(colon + 1);
    const auto [end, wrong] = std::from_chars(written.data(), written.data() + written.size(), place.port);
    if (wrong != std::errc{} || end != written.data() + written.size()) return std::nullopt;
    return place;
}

std::optional<asio::ip::address> ip_of(const std::string& host) {
    BoostError error;
    const auto ip = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    return error ? std::nullopt : std::optional(ip);
}

struct Asking {
    const AdminQuestion& question;
    Place place{};
    const tls::TlsState* tls = nullptr;
    std::string token{};
    AdminAnswer answer{};
    BoostError error{};
    std::string fault{};  // of TLS

    asio::awaitable<void> run() {
        AdminWire wire(co_await asio::this_coro::executor);
        co_await ask(wire);
        if (error && tls != nullptr && wire.is_tls()) fault = wire.tls().fault();
    }

  private:
    asio::awaitable<void> ask(AdminWire& wire) {
        beast::tcp_stream& stream = wire.stream();
        const auto patience = [&] { stream.expires_after(std::chrono::milliseconds(question.ms_max)); };
        patience();
        co_await connect(stream);
        if (error) co_return;
        std::size_t bytes = 0;
        if (tls != nullptr) {
            wire.speak_tls(*tls, nullptr);
            std::tie(error, bytes) = co_await wire.async_handshake(awaited);
            if (error) co_return;
        }
        http::request<http::string_body> request(http::string_to_verb(question.method), question.target, 11);
        request.set(http::field::host, tls == nullptr ? "localhost" : host_header());
        if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
        if (!question.content_type.empty()) request.set(http::field::content_type, question.content_type);
        request.keep_alive(false);
        request.body() = question.body;
        request.prepare_payload();
        std::tie(error, bytes) = co_await http::async_write(wire, request, awaited);
        if (!error) co_await take_answer(wire);
        if (!error && tls != nullptr) co_await wire.async_finish(awaited);
    }

    asio::awaitable<void> connect(beast::tcp_stream& stream) {
        if (const auto ip = ip_of(place.host)) {
            std::tie(error) = co_await stream.async_connect(tcp::endpoint(*ip, place.port), awaited);
            co_return;
        }
        tcp::resolver resolver(stream.get_executor());
        auto [unknown, found] = co_await resolver.async_resolve(place.host, std::to_string(place.port), awaited);
        error = unknown;
        if (!error) {
            const auto [refused, taken] = co_await stream.async_connect(found, awaited);
            error = refused;
        }
    }

    [[nodiscard]] std::string host_header() const {
        const bool is_v6 = place.host.find(':') != std::string::npos;
        return (is_v6 ? '[' + place.host + ']' : place.host) + ':' + std::to_string(place.port);
    }

    asio::awaitable<void> take_answer(AdminWire& wire) {
        beast::flat_buffer buffer;
        http::response_parser<http::buffer_body> parser;
        parser.body_limit(boost::none);
        std::size_t bytes = 0;
        std::tie(error, bytes) = co_await http::async_read_header(wire, buffer, parser, awaited);
        if (error) co_return;
        answer.status = parser.get().result_int();
        const bool flows = question.take && answer.status == 200;
        std::array<char, 16'384> piece;
        while (!parser.is_done()) {
            parser.get().body().data = piece.data();
            parser.get().body().size = piece.size();
            if (flows) wire.stream().expires_never();
            std::tie(error, bytes) = co_await http::async_read_some(wire, buffer, parser, awaited);
            if (error == http::error::need_buffer) error = {};
            const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
            if (flows && !got.empty() && !question.take(got)) co_return;
            if (!flows) answer.body += got;
            if (answer.body.size() > answer_bytes_max) error = http::error::body_limit;
            if (error) co_return;
        }
    }
};

// Null: plain HTTP.
Result<std::unique_ptr<tls::TlsState>> state_for(const AdminQuestion& question, const Place& place) {
    std::unique_ptr<tls::TlsState> state;
    if (question.tls.ca.empty()) {
        if (!question.address.starts_with(https)) return state;
        return Error{EINVAL, question.address + ": https needs the CA that its certificate comes from (--ca)"};
    }
    tls::TlsFiles files;
    files.certificate = question.tls.certificate;
    files.key = question.tls.key;
    files.ca = question.tls.ca;
    auto context = tls::make_host_client(files, place.host);
    if (!context) return context.error();
    state = std::make_unique<tls::TlsState>();
    state->side = tls::Side::client;
    state->context = std::move(context.value());
    state->time_floor = tls::build_time();
    return state;
}

}  // namespace

Result<AdminAnswer> ask_admin(const AdminQuestion& question) {
    auto place = place_of(question.address);
    if (!place) return Error{EINVAL, question.address + ": not HOST:PORT"};
    auto state = state_for(question, *place);
    if (!state) return state.error();
    // Without TLS nobody vouches for a name.
    if (!state.value() && !ip_of(place->host)) return Error{EINVAL, question.address + ": not HOST:PORT"};
    asio::io_context context{1};
    Asking asking{.question = question, .place = std::move(*place), .tls = state.value().get()};
    if (!question.token_file.empty()) {
        auto token = read_token_file(question.token_file);
        if (!token) return token.error();
        asking.token = std::move(token.value());
    }
    asio::co_spawn(context, asking.run(), asio::detached);
    context.run();
    if (asking.error) {
        const std::string what = asking.fault.empty() ? asking.error.message() : "TLS: " + asking.fault;
        return Error{asking.error.value(), question.address + ": " + what};
    }
    return std::move(asking.answer);
}

}  // namespace weir::control
