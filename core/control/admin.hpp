// AdminServer: a small HTTP/1.1 server, on loopback or with TLS, for health, metrics, read-only API, and the few acts that a daemon lets others do.
//
// Thread    start() makes one control thread, which serves every connection and calls the handlers; the rest from the thread that made
//           it. A handler reads what other threads write, so it reads only atomics and snapshots.
// Bounds    connections_max at once (more are closed at once; with TLS the one longest at its handshake makes room), head_bytes_max for a request's line and head, body_bytes_max for its
//           body, first_ms_max for the first request to be there whole, idle_ms_max for the next one and for each answer to be taken,
//           flow_ms_max for each piece of one that flows; a handshake has
//           handshake_ms_max of its own. streams_max WebSockets beside them, each with at most one message on its way,
//           stream_send_bytes of it in the kernel, and client_bytes_max for what one of their messages may be; who does not take one
//           within stalled_ms_max is let go.
// Law       Beyond loopback it listens only with TLS and a guard that asks who it is. A certificate that is denied or runs out ends its
//           connections within look_ms_max.
//           GET and HEAD, and POST where there are acts; a Host that names neither loopback, nor the bound address, nor what the
//           server's certificate is for, is refused, so that a page in a browser cannot reach it under another name. What a page of another origin sends is refused; a POST of a page of
//           this one needs the header "X-Weir: 1", which no form and no other origin can send. With a guard no handler is asked by who
//           may not ask, and no act is done that could not be written down.
// Secrets   A request's bytes are wiped when it has been answered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace weir::tls {
class Endpoint;
}

namespace weir::control {

class AdminGuard;

// An answer that comes piece by piece for as long as its reader wants it. It ends, and is destroyed, when take() says so, when its
// reader has gone, and when a piece was not taken in time.
class AdminFlow {
  public:
    AdminFlow() = default;
    virtual ~AdminFlow() = default;
    AdminFlow(const AdminFlow&) = delete;
    AdminFlow& operator=(const AdminFlow&) = delete;
    // Appends what there is; nothing: it is asked again flow_look_ms later. False: that was the last.
    [[nodiscard]] virtual bool take(std::string& out) = 0;
};

// What goes to one WebSocket, or to one who takes server-sent events (event_flow.hpp). It is destroyed when its client has gone.
class AdminStream {
  public:
    // Any number of clients may hold the same one.
    using Text = std::shared_ptr<const std::string>;
    AdminStream() = default;
    virtual ~AdminStream() = default;
    AdminStream(const AdminStream&) = delete;
    AdminStream& operator=(const AdminStream&) = delete;
    // The next message; null: nothing now. Asked whenever the client has taken the one before, and after each wake().
    [[nodiscard]] virtual Text take() = 0;
    // Below groups_max: who is woken together.
    static constexpr std::uint32_t groups_max = 32;
    [[nodiscard]] virtual std::uint32_t group() const { return 0; }
};

struct AdminHeader {
    std::string name;
    std::string value;
};
struct AdminResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body{};
    std::unique_ptr<AdminFlow> flow{};  // instead of the body
    std::unique_ptr<AdminStream>
        stream{};        // instead of both; who asked for no WebSocket gets an EventFlow of it, or 426
    std::string etag{};  // without quotes; who says in If-None-Match that it has it is told 304. Empty: none
    std::vector<AdminHeader> headers{};  // in place of those that every answer has
};
// `method` is "GET" (for HEAD too: the body is left out on the way). `target` as sent: path and query.
using AdminHandler = std::function<AdminResponse(std::string_view method, std::string_view target)>;
// A POST that was let in, and by whom and why: the guard's words; "anyone" without one.
struct AdminAct {
    std::string_view target{};
    std::string_view body{};
    std::string_view who = "anyone";
    std::string_view role = "";
    std::string_view reason = "";
};
// While it works nobody else is served, but for AdminOptions::has_acts_apart.
using AdminActs = std::function<AdminResponse(const AdminAct&)>;

struct AdminOptions {
    // "127.0.0.1:7411", "[::1]:7411" or "localhost:0" (0 = any free port).
    // Beyond loopback: an address of this machine, or "0.0.0.0:7411".
    std::string address{};
    AdminHandler handler{};
    AdminActs acts{};  // without them a POST is refused
    AdminGuard* guard =
        nullptr;  // outlives the server; null: everyone may do everything, and nothing is counted or written down
    // Whose credentials its handshakes use, and whom it asks for certificates; outlives the server. Null: plain HTTP.
    tls::Endpoint* tls = nullptr;
    std::uint32_t connections_max = 64;
    std::uint32_t streams_max = 0;
    std::uint64_t stalled_ms_max = 30'000;
    std::uint64_t handshake_ms_max = 5'000;  // as the first request has
    bool has_acts_apart = false;             // acts run on a thread of their own, one after the other
};

class AdminServer {
  public:
    static constexpr std::uint32_t connections_max = 64;  // where nothing else is told
    static constexpr std::uint32_t head_bytes_max = 8U << 10;
    static constexpr std::uint32_t body_bytes_max = 8U << 10;
    static constexpr std::uint64_t first_ms_max = 5'000;
    static constexpr std::uint64_t idle_ms_max = 15'000;
    static constexpr std::uint64_t look_ms_max = 1'000;
    static constexpr std::uint64_t flow_ms_max = 5'000;
    static constexpr std::uint64_t flow_look_ms = 20;
    static constexpr int stream_send_bytes = 64 << 10;
    static constexpr std::size_t client_bytes_max = 4096;

    explicit AdminServer(AdminOptions options);
    AdminServer(std::string address, AdminHandler handler, AdminActs acts = {}, AdminGuard* guard = nullptr);
    ~AdminServer();  // stops
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    // Listens and serves. The error names the address: "admin 127.0.0.1:7411: Address already in use".
    [[nodiscard]] Status start();
    // Ends every connection and the thread.
    void stop() noexcept;
    // With the real port; empty before start().
    [[nodiscard]] std::string bound_address() const;
    // The streams of all WebSockets of that group are asked again. Any thread.
    void wake(std::uint32_t group = 0);
    // Any thread.
    [[nodiscard]] std::uint32_t stream_count() const;
    [[nodiscard]] std::uint64_t stalled_count() const;  // WebSockets let go because they took nothing

  private:
    struct Server;
    std::unique_ptr<Server> server_;
};

}  // namespace weir::control
