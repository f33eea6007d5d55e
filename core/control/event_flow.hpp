// EventFlow: the messages of an AdminStream as server-sent events (WHATWG HTML, section 9.2), for clients that speak plain HTTP.
//
//   GET …, Accept: text/event-stream ─▶ "data: MESSAGE\n\n" for each message, in chunks
//
// Pressure  Nothing is taken from the stream before the chunk before it was: what the stream does for a slow WebSocket it does here.
// Bounds    A chunk is at most piece_bytes_max and one message. The connection is one of AdminOptions::connections_max.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/control/admin.hpp"

namespace weir::control {

class EventFlow final : public AdminFlow {
  public:
    static constexpr std::size_t piece_bytes_max = 64U << 10;

    explicit EventFlow(std::unique_ptr<AdminStream> stream) : stream_(std::move(stream)) {}
    [[nodiscard]] bool take(std::string& out) override;

  private:
    std::unique_ptr<AdminStream> stream_;
};

// Whether a value of Accept names text/event-stream.
[[nodiscard]] bool accepts_events(std::string_view accept);

}  // namespace weir::control
