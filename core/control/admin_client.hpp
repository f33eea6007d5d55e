// AdminClient: asks a daemon's admin port, for the tools that look at a running daemon.
//
// Thread    Any; each call makes what it needs and waits.
// Bounds    `ms_max` for connecting with the handshake, for the answer's head, and for a body that does not flow; answer_bytes_max for such a body.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace weir::control {

inline constexpr std::uint64_t answer_bytes_max = 16U << 20;

// How TLS is spoken with an admin port: the server's certificate must be for the host that is asked, from a CA in `ca`.
struct AdminTls {
    std::string ca{};           // PEM; empty: plain HTTP
    std::string certificate{};  // PEM, to show; empty: none
    std::string key{};          // of mode 0600 or stricter
};

struct AdminQuestion {
    // "127.0.0.1:7411", "[::1]:7411" or "localhost:7411"; with TLS also "NAME:7411". "https://" before it asks for TLS.
    std::string address;
    std::string method = "GET";
    std::string target = "/";
    std::string body{};
    std::string token_file{};  // of mode 0600, with the token to show (token_book.hpp); empty: none
    AdminTls tls{};
    std::string content_type{};
    std::uint64_t ms_max = 5'000;
    // Where it is given, the body of a 200 goes there as it comes, for as long as it comes; false: enough.
    std::function<bool(std::string_view piece)> take{};
};
struct AdminAnswer {
    unsigned status = 0;
    std::string body;  // of what did not go to `take`
};
// An Error where there was no whole answer, with the address in it.
[[nodiscard]] Result<AdminAnswer> ask_admin(const AdminQuestion& question);

}  // namespace weir::control
