// WatchClient: one WebSocket of GET /api/v1/stream, as a browser would have it, that measures how old each message is when it is there.
//
// Thread    One.
// Bounds    A message of message_bytes_max; a client that is stalled reads nothing after its handshake.
// Format    central/api/FORMAT.md; RFC 6455.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/types.hpp"
#include "core/metrics/histogram.hpp"

namespace weir::bench {

struct WatchTotals {
    std::uint64_t states = 0, deltas = 0, beats = 0, bytes = 0;
    std::uint64_t gaps = 0;   // deltas whose base the client had not
    std::uint64_t ended = 0;  // by the server
    Histogram push;           // from when a message was made to when it was there whole
};

class WatchClient {
  public:
    static constexpr std::size_t message_bytes_max = 16U << 20;

    // Connects and asks; blocks until the server has answered.
    [[nodiscard]] static Result<WatchClient> open(const std::string& address, const std::string& token);
    WatchClient(WatchClient&& other) noexcept;
    WatchClient& operator=(WatchClient&&) = delete;
    ~WatchClient();
    [[nodiscard]] int fd() const { return fd_; }
    // What has come. False: the server has ended it, or said what is no message.
    [[nodiscard]] bool take(WatchTotals& totals);

  private:
    explicit WatchClient(int fd) : fd_(fd) {}
    [[nodiscard]] bool take_messages(WatchTotals& totals);
    [[nodiscard]] bool take_text(std::string_view text, WatchTotals& totals);
    int fd_;
    std::string heard_;
    std::uint64_t sequence_ = 0;
};

}  // namespace weir::bench
