// Peer: one connection to another product, in its own protocol, spoken by hand so that every driver costs as little as weir's.
//
// Thread    One.
// Format    RESP2 (Redis), the NATS client protocol with JetStream's subjects, MQTT 3.1.1.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/types.hpp"

namespace weir::peers {

enum class PeerRole : std::uint8_t {
    producer,  // publishes, and is told that each event is kept
    consumer,  // is given every event, at the last hop
    absentee,  // asks for every event and goes: a product that keeps only what somebody asked for keeps them for it
};

struct PeerNews {
    enum class Kind : std::uint8_t { nothing, ready, kept, event, fault };
    Kind kind = Kind::nothing;
    std::uint64_t count = 1;  // of `kept`: so many more; peers say so in the order of publishing
    std::string_view text;    // the event, or what is wrong
};

class Peer {
  public:
    virtual ~Peer() = default;
    // What is said first on a new connection. `ready` comes when events may go.
    virtual void begin(std::string& out) = 0;
    virtual void put(ConstBytes event, std::string& out) = 0;
    // The product says a line in plain before it begins TLS.
    [[nodiscard]] virtual bool greets_before_tls() const { return false; }
    // Takes one whole frame from the front of `in`, and may say something to it; returns its bytes, 0: not whole yet.
    [[nodiscard]] virtual std::size_t take(std::string_view in, std::string& out, PeerNews& news) = 0;
    // Events that may be without an answer at once, as the product's own clients have it, or the protocol.
    [[nodiscard]] virtual std::uint64_t window() const = 0;
};
[[nodiscard]] std::unique_ptr<Peer> make_redis();
[[nodiscard]] std::unique_ptr<Peer> make_nats(PeerRole role);
[[nodiscard]] std::unique_ptr<Peer> make_mqtt(PeerRole role);

}  // namespace weir::peers
