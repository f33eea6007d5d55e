// ClientChannel: TLS over a socket that its owner polls itself: for the producer's client, which has no Io.
//
// Thread    One.
// Bounds    handshake() waits as long as it is told; send() and receive() never wait.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/tls/session.hpp"

namespace weir::tls {

class ClientChannel {
  public:
    // `address`: of the server, "127.0.0.1:7401": its certificate must have that host's name, from a CA in `ca_file`.
    [[nodiscard]] static Result<std::unique_ptr<ClientChannel>> open(const std::string& ca_file,
                                                                     const std::string& address);

    // On a new, connected, non-blocking socket. The error is the peer's fault, or ETIMEDOUT.
    [[nodiscard]] Status handshake(int fd, int wait_ms_max);
    // As ::send and ::recv on a non-blocking socket: a count, 0 (the peer has finished), or -1 and errno.
    [[nodiscard]] ssize_t send(int fd, ConstBytes bytes);
    [[nodiscard]] ssize_t receive(int fd, Bytes room);
    // Something that was taken by send() has not left yet: send() of anything, or flush(), moves it.
    [[nodiscard]] bool has_unsent() const { return !flying_.empty(); }
    void flush(int fd);
    // receive() would give something although the socket may be silent.
    [[nodiscard]] bool has_plain() const { return session_ && (session_->has_plain() || !session_->unread().empty()); }

  private:
    ClientChannel() = default;
    [[nodiscard]] ssize_t take_input(int fd);

    TlsState state_;
    std::unique_ptr<Session> session_;
    std::vector<std::byte> received_;
    ConstBytes flying_;
};

}  // namespace weir::tls
