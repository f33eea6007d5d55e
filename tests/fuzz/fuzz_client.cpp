// What an edge may say to a producer: the real client on a Unix socket. Whatever comes, it acks no event that it did not send, each
// at most once, and what it sends are its events, one after the other.
//
// Input     1 byte: events offered first · then pieces: 2 bytes length, bytes as the edge says them; two events are offered after each.
#include <poll.h>
#include <sys/socket.h>

#include "core/base/clock.hpp"
#include "core/client/producer_client.hpp"
#include "core/io/address.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

constexpr std::size_t pieces_max = 16;
constexpr std::size_t event_bytes = 1200;

class Listener {
  public:
    Listener() : address_("unix:" + directory_.path() + "/edge"), handle_(io::open_listener(address_).value()) {}
    [[nodiscard]] const std::string& address() const { return address_; }
    // -1 if nobody has connected.
    [[nodiscard]] int accept() const { return ::accept4(handle_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }

  private:
    fuzz::ScratchDirectory directory_;
    std::string address_;
    int handle_;
};

// As the edge reads them: the hello, then events of rising number.
void must_be_events(ConstBytes heard) {
    std::uint64_t number = 0;
    bool is_hello = true;
    while (heard.size() >= sizeof(wire::FrameHeader)) {
        const auto header = wire::load<wire::FrameHeader>(heard);
        WEIR_ASSERT(header.kind == (is_hello ? wire::FrameKind::producer_hello : wire::FrameKind::event));
        WEIR_ASSERT(is_hello || (header.number == ++number && header.body_bytes == event_bytes));
        is_hello = false;
        heard = heard.subspan(std::min<std::size_t>(heard.size(), wire::frame_bytes(header.body_bytes)));
    }
}

void look_at(const client::ProducerClient& client) {
    const client::ClientTotals& totals = client.totals();
    WEIR_ASSERT(totals.acked <= totals.offered);
    WEIR_ASSERT(totals.acked == totals.accepted + totals.duplicates + totals.rejected);
    WEIR_ASSERT(client.unacked_count() >= totals.offered - totals.acked);
    if (!client.is_connected()) WEIR_ASSERT(client.unacked_count() <= totals.offered);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const Listener listener;
    fuzz::Input input(data, bytes);
    client::ClientOptions options;
    options.to = listener.address();
    options.arena_bytes = 1U << 15;  // fewer events than events_max
    options.events_max = 32;
    options.reconnect_ms_min = options.reconnect_ms_max = 1;
    client::ProducerClient client(options);
    std::uint64_t number = 0;
    const std::vector<std::byte> event(event_bytes, std::byte{'e'});
    const auto offer = [&] {
        if (client.offer(event, number + 1, monotonic_now(), true)) ++number;
    };
    for (std::uint8_t count = input.take<std::uint8_t>() % 64; count > 0; --count) offer();
    WEIR_ASSERT(client.pump(0).ok());
    const int edge = listener.accept();
    WEIR_ASSERT(edge >= 0);
    std::vector<std::byte> heard;
    bool is_good = true;
    for (std::size_t pieces = 0; is_good && pieces < pieces_max && !input.is_empty(); ++pieces) {
        const ConstBytes piece = input.take_part();
        if (!piece.empty() && ::send(edge, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
        is_good = client.pump(0).ok();
        look_at(client);
        std::array<std::byte, 16384> some;
        for (ssize_t count; (count = ::recv(edge, some.data(), some.size(), 0)) > 0;) {
            heard.insert(heard.end(), some.begin(), some.begin() + count);
        }
        for (int i = 0; is_good && i < 2; ++i) offer();
    }
    ::close(edge);
    must_be_events(heard);
    for (int again; (again = listener.accept()) >= 0;) ::close(again);
    return 0;
}
