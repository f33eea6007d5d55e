// MQTT 3.1.1 with quality of service 1: each PUBLISH is answered by a PUBACK with its number. As a consumer: one that subscribes; as an absentee
// in a session that outlives its connection: a broker throws away what nobody has asked for.
#include "bench/peers/peer.hpp"

namespace weir::peers {
namespace {

constexpr std::uint64_t window_events = 4'096;  // numbers have 16 bits
constexpr std::string_view topic = "events";

void put_16(std::string& out, std::size_t value) {
    out += static_cast<char>(value >> 8U);
    out += static_cast<char>(value & 0xffU);
}

void put_head(std::string& out, unsigned kind, std::size_t bytes) {
    out += static_cast<char>(kind);
    do {
        const std::size_t digit = bytes % 128;
        bytes /= 128;
        out += static_cast<char>(digit | (bytes > 0 ? 128U : 0U));
    } while (bytes > 0);
}

class Mqtt : public Peer {
  public:
    explicit Mqtt(PeerRole role) : role_(role) {}

    void begin(std::string& out) override {
        const std::string_view name = role_ == PeerRole::producer   ? "producer"
                                      : role_ == PeerRole::consumer ? "consumer"
                                                                    : "absentee";
        put_head(out, 0x10, 10 + 2 + name.size());  // CONNECT
        put_16(out, 4);
        out += "MQTT";
        out += '\x04';                                         // 3.1.1
        out += role_ == PeerRole::absentee ? '\x00' : '\x02';  // whether the session is a clean one
        put_16(out, 0);                                        // no keep-alive
        put_16(out, name.size());
        out += name;
    }

    void put(ConstBytes event, std::string& out) override {
        put_head(out, 0x32, 2 + topic.size() + 2 + event.size());  // PUBLISH, quality of service 1
        put_16(out, topic.size());
        out += topic;
        number_ = number_ % 0xffff + 1;
        put_16(out, number_);
        out.append(reinterpret_cast<const char*>(event.data()), event.size());
    }

    std::size_t take(std::string_view in, std::string& out, PeerNews& news) override {
        std::size_t body_bytes = 0;
        std::size_t at = 1;
        for (unsigned shift = 0;; shift += 7, ++at) {
            if (at >= in.size()) return 0;
            const auto digit = static_cast<unsigned char>(in[at]);
            body_bytes |= static_cast<std::size_t>(digit & 127U) << shift;
            if (digit < 128) break;
        }
        ++at;
        if (in.size() < at + body_bytes) return 0;
        take_packet(static_cast<unsigned char>(in[0]), in.substr(at, body_bytes), out, news);
        return at + body_bytes;
    }

    std::uint64_t window() const override { return window_events; }

  private:
    void take_packet(unsigned kind, std::string_view body, std::string& out, PeerNews& news) {
        switch (kind >> 4U) {
            case 2:  // CONNACK
                if (body.size() < 2 || body[1] != 0) news = {PeerNews::Kind::fault, 1, "CONNACK: refused"};
                if (role_ == PeerRole::producer && body[1] == 0) news.kind = PeerNews::Kind::ready;
                if (role_ != PeerRole::producer) {
                    put_head(out, 0x82, 2 + 2 + topic.size() + 1);  // SUBSCRIBE
                    put_16(out, 1);
                    put_16(out, topic.size());
                    out += topic;
                    out += '\x01';
                }
                return;
            case 3: {  // PUBLISH
                const std::size_t name_bytes =
                    std::size_t{static_cast<unsigned char>(body[0])} * 256 + static_cast<unsigned char>(body[1]);
                const bool is_numbered = (kind & 0x06U) != 0;
                if (is_numbered) {
                    put_head(out, 0x40, 2);  // PUBACK
                    out += body.substr(2 + name_bytes, 2);
                }
                news = {PeerNews::Kind::event, 1, body.substr(2 + name_bytes + (is_numbered ? 2 : 0))};
                return;
            }
            case 4:  // PUBACK
                news.kind = PeerNews::Kind::kept;
                return;
            case 9:  // SUBACK
                news.kind = PeerNews::Kind::ready;
                return;
            default:
                return;
        }
    }

    PeerRole role_;
    std::size_t number_ = 0;
};

}  // namespace

std::unique_ptr<Peer> make_mqtt(PeerRole role) {
    return std::make_unique<Mqtt>(role);
}

}  // namespace weir::peers
