// AdminServer: a small HTTP/1.1 server on loopback for health, metrics, read-only API, and the few acts that a daemon lets others do.
//
// Thread    start() makes one control thread, which serves every connection and calls the handlers; the rest from the thread that made
//           it. A handler reads what other threads write, so it reads only atomics and snapshots.
// Bounds    connections_max at once (more are closed at once), head_bytes_max for a request's line and head, body_bytes_max for its
//           body, first_ms_max for the first request to be there whole, idle_ms_max for the next one and for each answer to be taken,
//           flow_ms_max for each piece of one that flows.
// Law       GET and HEAD, and POST where there are acts; a Host that names neither loopback nor the bound address is refused, so that a
//           page in a browser cannot reach it under another name. What a page of another origin sends is refused, and a POST of any
//           page. With a guard no handler is asked by who may not ask, and no act is done that could not be written down.
// Secrets   A request's bytes are wiped when it has been answered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

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

struct AdminResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body{};
    std::unique_ptr<AdminFlow> flow{};  // instead of the body
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
// While it works nobody else is served.
using AdminActs = std::function<AdminResponse(const AdminAct&)>;

class AdminServer {
  public:
    static constexpr std::uint32_t connections_max = 64;
    static constexpr std::uint32_t head_bytes_max = 8U << 10;
    static constexpr std::uint32_t body_bytes_max = 8U << 10;
    static constexpr std::uint64_t first_ms_max = 5'000;
    static constexpr std::uint64_t idle_ms_max = 15'000;
    static constexpr std::uint64_t flow_ms_max = 5'000;
    static constexpr std::uint64_t flow_look_ms = 20;

    // `address`: "127.0.0.1:7411", "[::1]:7411" or "localhost:0" (0 = any free port).
    // Without `acts` a POST is refused. `guard` outlives it; null: everyone may do everything, and nothing is counted or written down.
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

  private:
    struct Server;
    std::unique_ptr<Server> server_;
};

}  // namespace weir::control
