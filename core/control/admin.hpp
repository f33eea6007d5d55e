// AdminServer: a small HTTP/1.1 server on loopback for health, metrics and read-only API.
//
// Thread    start() makes one control thread, which serves every connection and calls the handler; the rest from the
// thread that
//           made it. The handler reads what other threads write, so it reads only atomics and snapshots.
// Bounds    connections_max at once (more are closed at once), head_bytes_max for a request's line and head,
// body_bytes_max for its
//           body (which nothing reads), idle_ms_max for the next request and for each answer to be taken.
// Law       GET and HEAD, and POST where there are acts; a Host that names neither loopback nor the bound address is refused, so
//           that a page in a browser cannot reach it under another name. A POST that such a page sends is refused.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace weir::control {

struct AdminResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};
// `method` is "GET" (for HEAD too: the body is left out on the way). `target` as sent: path and query.
using AdminHandler = std::function<AdminResponse(std::string_view method, std::string_view target)>;
// What a POST does. None: there is nothing to do here, and every POST is refused.
using AdminActs = std::function<AdminResponse(std::string_view target, std::string_view body)>;

class AdminServer {
  public:
    static constexpr std::uint32_t connections_max = 64;
    static constexpr std::uint32_t head_bytes_max = 8U << 10;
    static constexpr std::uint32_t body_bytes_max = 1U << 10;
    static constexpr std::uint64_t idle_ms_max = 15'000;

    // `address`: "127.0.0.1:7411", "[::1]:7411" or "localhost:0" (0 = any free port).
    AdminServer(std::string address, AdminHandler handler, AdminActs acts = {});
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
