// Addresses of sockets: text to sockaddr and back. Shared by the Io implementations.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/io/io.hpp"

namespace weir::io {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t bytes = 0;
    [[nodiscard]] int family() const { return storage.ss_family; }
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// "127.0.0.1:80", "[::1]:80", "localhost:80", "unix:/path".
[[nodiscard]] Result<SocketAddress> parse_address(std::string_view text);
[[nodiscard]] std::string format_address(const SocketAddress& address);
[[nodiscard]] std::string local_address_of(int fd);
[[nodiscard]] std::string peer_address_of(int fd);
[[nodiscard]] std::optional<PeerCredentials> peer_credentials_of(int fd);
// A bound, listening, non-blocking socket. A Unix path at which nobody listens any more is replaced; `unix_mode` is a Unix socket's. Blocks for up to
// a second while the address is in use, for a predecessor to be gone.
[[nodiscard]] Result<int> open_listener(std::string_view address, std::uint32_t unix_mode = 0600);
// A non-blocking socket of the address's family, TCP_NODELAY set where it applies.
[[nodiscard]] Result<int> open_socket(const SocketAddress& address);
void tune_connection(int fd) noexcept;

}  // namespace weir::io
