// What the tests of streams share: a stream of numbers, and how a WebSocket is asked for.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/control/admin.hpp"

namespace weir::control {

inline const std::string upgrade =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

// Tells each number that the test has reached, the newest only, and `bytes` behind it.
class Newest final : public AdminStream {
  public:
    Newest(std::atomic<int>& open, const std::atomic<int>& number, std::size_t bytes)
        : open_(open), number_(number), bytes_(bytes) {
        ++open_;
    }
    ~Newest() override { --open_; }
    [[nodiscard]] Text take() override {
        const int now = number_;
        if (now == told_) return nullptr;
        told_ = now;
        return std::make_shared<const std::string>(std::to_string(now) + std::string(bytes_, '.'));
    }

  private:
    std::atomic<int>& open_;
    const std::atomic<int>& number_;
    std::size_t bytes_;
    int told_ = 0;
};

}  // namespace weir::control
