// AdminServer's inside: its connections, what is judged of each request, and the WebSockets it was asked for. Included by its own files only.
//
// Thread    All but the constructor, listen() and wake(): the server's.
#pragma once

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/control/admin.hpp"
#include "core/control/admin_guard.hpp"
#include "core/control/admin_wire.hpp"

// gcc 12 takes a coroutine's frame, which Asio allocates and frees in pairs of its own, for a mismatch once one of the two is inlined.
// To the end of whoever includes this: it is said at the end of each coroutine.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace weir::control {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using BoostError = boost::system::error_code;

inline constexpr auto awaited = asio::as_tuple(asio::use_awaitable);

using AdminRequest = http::request<http::string_body>;
using AdminAnswer = http::response<http::string_body>;

[[nodiscard]] inline std::string_view field(const AdminRequest& request, http::field name) {
    const auto value = request[name];
    return {value.data(), value.size()};
}
[[nodiscard]] inline std::string_view field(const AdminRequest& request, std::string_view name) {
    const auto value = request[beast::string_view(name.data(), name.size())];
    return {value.data(), value.size()};
}

// Who asks: an address, and NAME where the certificate spiffe://DOMAIN/operator/NAME was shown.
struct AdminPeer {
    std::string from;
    std::string certificate{};
};

// An answer, and what comes behind its head instead of a body.
struct AdminReply {
    AdminAnswer response;
    std::unique_ptr<AdminFlow> flow{};
    std::unique_ptr<AdminStream> stream{};
};
// With the fields that every answer has, and those of `answer` in their place.
[[nodiscard]] AdminReply make_reply(AdminResponse answer);
// A problem (RFC 9457).
[[nodiscard]] AdminResponse problem_of(http::status status, std::string_view why);
[[nodiscard]] AdminAnswer make_problem(http::status status, std::string_view why);

// Counts a connection for as long as its coroutine lives, or until it is a WebSocket.
class Slot {
  public:
    explicit Slot(std::uint32_t& count) : count_(&count) { ++*count_; }
    ~Slot() { leave(); }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    void leave() {
        if (count_ != nullptr) --*count_;
        count_ = nullptr;
    }

  private:
    std::uint32_t* count_;
};

struct AdminServer::Server {
    struct Socket;  // a WebSocket: admin_websocket.cpp

    explicit Server(AdminOptions told) : options(std::move(told)) {}

    // admin.cpp
    [[nodiscard]] Status listen();
    [[nodiscard]] asio::awaitable<void> accept();
    // admin_connection.cpp
    [[nodiscard]] asio::awaitable<void> serve(tcp::socket socket);
    [[nodiscard]] asio::awaitable<void> answer_all(AdminWire wire, AdminPeer peer, Slot& slot);
    [[nodiscard]] asio::awaitable<void> let_flow(AdminWire& wire, AdminReply reply);
    // admin_tls.cpp. Closes the connection that is longest at its handshake, if there is one: it makes room for one that comes.
    [[nodiscard]] bool push_out_stranger();
    // False: it is not let in.
    [[nodiscard]] asio::awaitable<bool> shake_hands(AdminWire& wire, AdminPeer& peer);
    [[nodiscard]] asio::awaitable<void> look_at_guests();
    void end_unwelcome(MonotonicNs now, bool has_new_list);
    // admin_judge.cpp: what a request is answered; never throws.
    [[nodiscard]] asio::awaitable<AdminReply> respond(const AdminRequest& request, const AdminPeer& peer);
    [[nodiscard]] asio::awaitable<AdminReply> let_in(const AdminRequest& request, const AdminPeer& peer);
    [[nodiscard]] asio::awaitable<AdminResponse> act(const AdminCall& call, const AdminVerdict& verdict,
                                                     std::string_view body);
    [[nodiscard]] asio::awaitable<AdminResponse> do_act(const AdminAct& asked);
    [[nodiscard]] std::optional<AdminAnswer> refusal(const AdminRequest& request) const;
    [[nodiscard]] std::string_view fault_of_page(const AdminRequest& request, bool is_act) const;
    [[nodiscard]] bool is_own_host(std::string_view host) const;
    [[nodiscard]] bool is_named(const std::string& host) const;  // by the server's certificate: admin_tls.cpp
    [[nodiscard]] std::string_view scheme() const;
    [[nodiscard]] bool is_own_origin(std::string_view origin) const;
    // Answers `why`, and counts it.
    [[nodiscard]] AdminAnswer refused(AdminRefusal refusal, http::status status, std::string_view why) const {
        if (options.guard != nullptr) options.guard->count(refusal);
        return make_problem(status, why);
    }
    // admin_websocket.cpp. Until it ends; the socket's bytes that were read ahead are none: a client waits for the upgrade's answer.
    [[nodiscard]] asio::awaitable<void> stream_to(AdminWire wire, AdminRequest request,
                                                  std::unique_ptr<AdminStream> stream);
    [[nodiscard]] asio::awaitable<void> wake_all();
    void wake(std::uint32_t group);
    void let_stalled_go();

    AdminOptions options;
    std::string bound_address;
    std::string bound_host;
    std::uint32_t connection_count = 0;
    std::atomic<std::uint32_t> stream_count{0};
    Counter stalled_count;
    std::atomic<std::uint32_t> groups_posted{0};  // a bit for each group to be woken
    std::uint32_t groups_waiting = 0;
    bool is_waking = false;
    std::vector<Socket*> sockets;
    std::vector<std::weak_ptr<AdminWire::Inner>> strangers;  // at their handshake, the oldest first
    std::vector<std::weak_ptr<AdminWire::Inner>> guests;     // whose handshake is done
    // After all that its coroutines use when it destroys them.
    asio::io_context context{1};
    tcp::acceptor acceptor{context};
    std::optional<asio::thread_pool> acts_apart;
    std::thread thread;
};

}  // namespace weir::control
