// A Redis stream: XADD, pipelined. Its answer is the entry's id; with appendfsync always it comes after the sync.
#include "bench/peers/peer.hpp"

namespace weir::peers {
namespace {

constexpr std::uint64_t window_events = 16'384;

class Redis : public Peer {
  public:
    void begin(std::string& out) override { out += "PING\r\n"; }

    void put(ConstBytes event, std::string& out) override {
        out += "*5\r\n$4\r\nXADD\r\n$6\r\nevents\r\n$1\r\n*\r\n$1\r\ne\r\n$";
        out += std::to_string(event.size());
        out += "\r\n";
        out.append(reinterpret_cast<const char*>(event.data()), event.size());
        out += "\r\n";
    }

    std::size_t take(std::string_view in, std::string&, PeerNews& news) override {
        const auto end = in.find("\r\n");
        if (end == std::string_view::npos) return 0;
        const std::size_t line_bytes = end + 2;
        if (in[0] == '+') {
            news.kind = PeerNews::Kind::ready;
            return line_bytes;
        }
        if (in[0] != '$') {
            news.kind = PeerNews::Kind::fault;
            news.text = in.substr(0, end);
            return line_bytes;
        }
        const std::size_t whole = line_bytes + std::stoul(std::string(in.substr(1, end - 1))) + 2;
        if (in.size() < whole) return 0;
        news.kind = PeerNews::Kind::kept;
        return whole;
    }

    std::uint64_t window() const override { return window_events; }
};

}  // namespace

std::unique_ptr<Peer> make_redis() {
    return std::make_unique<Redis>();
}

}  // namespace weir::peers
