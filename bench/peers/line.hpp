// Line: one connection to a product, on which a Peer speaks; plain or TLS 1.3.
//
// Thread    One.
// Pressure  Nothing here waits after the constructor: send_some() sends what the socket takes, receive_some() what it has.
// Law       What goes wrong ends the process with a line on stderr: a driver that goes on would measure something else.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/peers/peer.hpp"
#include "core/tls/channel.hpp"

namespace weir::peers {

[[noreturn]] void fail(const std::string& what);

class Line {
  public:
    // Connects, and says what the peer says first. `ca_file`: of the product's certificate; empty: plain.
    Line(const std::string& address, std::unique_ptr<Peer> peer, const std::string& ca_file);
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    // Until the peer says that it is ready; at most connect_ms_max.
    void await_ready();
    [[nodiscard]] Peer& peer() { return *peer_; }
    [[nodiscard]] std::string& out() { return out_; }
    [[nodiscard]] std::size_t unsent_bytes() const { return out_.size() - sent_; }
    [[nodiscard]] bool has_unsent() const { return sent_ < out_.size() || (channel_ && channel_->has_unsent()); }
    // TLS holds something that the socket does not show.
    [[nodiscard]] bool has_plain() const { return channel_ && channel_->has_plain(); }
    [[nodiscard]] pollfd watched() const { return {fd_, static_cast<short>(POLLIN | (has_unsent() ? POLLOUT : 0)), 0}; }

    void send_some();
    // Calls `tell` for each piece of news.
    template <class Tell>
    void receive_some(const Tell& tell) {
        if (!fill()) return;
        std::string_view rest(room_.data(), held_);
        while (!rest.empty()) {
            PeerNews news;
            const std::size_t bytes = peer_->take(rest, out_, news);
            if (bytes == 0) break;
            if (news.kind == PeerNews::Kind::fault) fail("the product said: " + std::string(news.text));
            if (news.kind != PeerNews::Kind::nothing) tell(news);
            rest.remove_prefix(bytes);
        }
        keep(rest);
    }

  private:
    void connect_to(const std::string& address);
    void begin_tls(const std::string& address, const std::string& ca_file);
    void skip_greeting();
    [[nodiscard]] bool fill();
    void keep(std::string_view rest);

    std::unique_ptr<Peer> peer_;
    std::unique_ptr<tls::ClientChannel> channel_;  // null: plain
    int fd_ = -1;
    std::string out_;
    std::size_t sent_ = 0;
    std::vector<char> room_;
    std::size_t held_ = 0;
};

}  // namespace weir::peers
