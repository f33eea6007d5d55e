// RawClient: a plain socket to a server on loopback: what is sent is exactly what the test says.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace weir::control {

class RawClient {
  public:
    explicit RawClient(const std::string& address) {
        handle_ = ::socket(AF_INET, SOCK_STREAM, 0);
        const timeval patience{10, 0};
        ::setsockopt(handle_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
        EXPECT_EQ(::connect(handle_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    }
    ~RawClient() { ::close(handle_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void send(const std::string& text) {
        EXPECT_EQ(::send(handle_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    // Everything up to `end`, or until the server closes.
    [[nodiscard]] std::string receive_until(const std::string& end) {
        std::string text;
        char bytes[4096];
        while (end.empty() || text.find(end) == text.npos) {
            const ssize_t count = ::recv(handle_, bytes, sizeof bytes, 0);
            is_closed_ = count == 0;
            if (count <= 0) break;
            text.append(bytes, static_cast<std::size_t>(count));
        }
        return text;
    }
    [[nodiscard]] std::string receive_all() { return receive_until(""); }

    // True if the last receive ended because the server closed, not because patience ran out.
    [[nodiscard]] bool is_closed() const { return is_closed_; }

  private:
    int handle_ = -1;
    bool is_closed_ = false;
};

}  // namespace weir::control
