// NATS JetStream: a stream on files; each event is published with a subject for its answer. As a consumer: a push consumer of a stream that
// gathers from the leaf's, through JetStream's domains. Its subject is subscribed to as it is written (a server of 2.9 pushes nothing to one that
// only a wildcard covers), and what arrives is told apart by the number of its subscription: an event keeps the subject it was published with.
#include <charconv>

#include "bench/peers/peer.hpp"

namespace weir::peers {
namespace {

// Numbers of subscriptions.
constexpr std::string_view answers = "1";
constexpr std::string_view events = "2";

constexpr std::uint64_t window_events = 4'000;  // PublishAsyncMaxPending of the official clients

constexpr std::string_view leaf_stream =
    R"({"name":"EVENTS","subjects":["events"],"storage":"file","retention":"limits","num_replicas":1,"discard":"old"})";
constexpr std::string_view hub_stream =
    R"({"name":"GATHERED","storage":"file","retention":"limits","num_replicas":1,"sources":[{"name":"EVENTS","external":{"api":"$JS.leaf.API"}}]})";
constexpr std::string_view hub_consumer =
    R"({"stream_name":"GATHERED","config":{"deliver_subject":"_DELIVERED","ack_policy":"none","deliver_policy":"all"}})";

class Nats : public Peer {
  public:
    explicit Nats(PeerRole role) : role_(role) {}

    void begin(std::string& out) override {
        out +=
            "CONNECT "
            "{\"verbose\":false,\"pedantic\":false,\"headers\":false,\"lang\":\"weir-peer\",\"version\":\"1\"}\r\n";
        subscribe(role_ == PeerRole::producer ? "_INBOX.near.*" : "_INBOX.far.*", answers, out);
        if (role_ == PeerRole::producer) {
            publish("$JS.API.STREAM.CREATE.EVENTS", "_INBOX.near.made", leaf_stream, out);
        } else {
            subscribe("_DELIVERED", events, out);
            publish("$JS.API.STREAM.CREATE.GATHERED", "_INBOX.far.stream", hub_stream, out);
        }
    }

    void put(ConstBytes event, std::string& out) override {
        publish("events", "_INBOX.near.a", {reinterpret_cast<const char*>(event.data()), event.size()}, out);
    }

    std::size_t take(std::string_view in, std::string& out, PeerNews& news) override {
        const auto end = in.find("\r\n");
        if (end == std::string_view::npos) return 0;
        const std::string_view line = in.substr(0, end);
        if (!line.starts_with("MSG ")) {
            if (line == "PING") out += "PONG\r\n";
            if (line.starts_with("-ERR")) news = {PeerNews::Kind::fault, 1, line};
            return end + 2;
        }
        // MSG SUBJECT SUBSCRIPTION [REPLY] BYTES
        std::size_t body_bytes = 0;
        const std::string_view last = line.substr(line.rfind(' ') + 1);
        std::from_chars(last.data(), last.data() + last.size(), body_bytes);
        const std::size_t whole = end + 2 + body_bytes + 2;
        if (in.size() < whole) return 0;
        const std::size_t subject_end = line.find(' ', 4);
        const std::string_view body = in.substr(end + 2, body_bytes);
        if (line.substr(subject_end + 1).starts_with(events)) {
            news = {PeerNews::Kind::event, 1, body};
        } else {
            take_answer(line.substr(4, subject_end - 4), body, out, news);
        }
        return whole;
    }

    bool greets_before_tls() const override { return true; }

    std::uint64_t window() const override { return window_events; }

  private:
    static void subscribe(std::string_view subject, std::string_view number, std::string& out) {
        out.append("SUB ").append(subject).append(" ").append(number).append("\r\n");
    }
    static void publish(std::string_view subject, std::string_view reply, std::string_view body, std::string& out) {
        out.append("PUB ").append(subject).append(" ").append(reply).append(" ").append(std::to_string(body.size()));
        out.append("\r\n").append(body).append("\r\n");
    }

    static void take_answer(std::string_view subject, std::string_view body, std::string& out, PeerNews& news) {
        if (body.find("\"error\"") != std::string_view::npos) {
            news = {PeerNews::Kind::fault, 1, body};
        } else if (subject == "_INBOX.near.a") {
            news.kind = PeerNews::Kind::kept;
        } else if (subject == "_INBOX.far.stream") {
            publish("$JS.API.CONSUMER.CREATE.GATHERED", "_INBOX.far.made", hub_consumer, out);
        } else {
            news.kind = PeerNews::Kind::ready;
        }
    }

    PeerRole role_;
};

}  // namespace

std::unique_ptr<Peer> make_nats(PeerRole role) {
    return std::make_unique<Nats>(role);
}

}  // namespace weir::peers
