// Bytes that a peer sends before and after a TLS handshake. Before: nobody gets in, and no more than the limit is read. After: bytes
// that are not the peer's end the session; what the peer did write comes out as it went in, however it is cut.
#include "core/tls/session.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/tls/test_ca.hpp"

namespace {
using namespace weir;
using tls::Outcome;
using tls::Session;

struct Ends {
    tls::TestCa ca;
    std::unique_ptr<tls::TlsState> server = make_state(tls::Side::server, ca.central("main"), ca.pem(), "edge");
    std::unique_ptr<tls::TlsState> client = make_state(tls::Side::client, ca.edge("north"), ca.pem(), "central");
};

// Moves what one end has to say behind what the other has not read yet.
void carry(Session& from, std::vector<std::byte>& into) {
    const ConstBytes bytes = from.take_output();
    into.insert(into.end(), bytes.begin(), bytes.end());
    if (!bytes.empty()) from.output_sent();
}

void before(const tls::TlsState& state, fuzz::Input& input) {
    const auto session = Session::make(state, wall_now(), tls::output_bytes_min);
    std::size_t read = 0;
    while (!input.is_empty()) {
        const auto part = fuzz::copy_of(input.take_bytes(1 + input.take<std::uint16_t>() % 2000));
        session->feed(part);
        const Outcome outcome = session->handshake();
        WEIR_ASSERT(outcome != Outcome::done);
        read += part.size() - session->unread().size();
        WEIR_ASSERT(read <= tls::handshake_bytes_max);
        if (outcome == Outcome::failed) {
            WEIR_ASSERT(!session->fault().empty() && session->identity().empty());
            WEIR_ASSERT(session->handshake() == Outcome::failed);
            return;
        }
        static_cast<void>(session->take_output());
        session->output_sent();
        if (!session->unread().empty()) return;
    }
}

void after(Ends& ends, fuzz::Input& input) {
    const auto server = Session::make(*ends.server, wall_now(), tls::output_bytes_min);
    const auto client = Session::make(*ends.client, wall_now(), tls::output_bytes_min);
    std::vector<std::byte> up, down;
    bool is_up = false, is_down = false;
    for (int i = 0; i < 4; ++i) {
        if (!is_up) is_up = client->handshake() == Outcome::done;
        carry(*client, up);
        server->feed(up);
        if (!is_down) is_down = server->handshake() == Outcome::done;
        WEIR_ASSERT(server->unread().empty());
        up.clear();
        carry(*server, down);
        client->feed(down);
        if (!is_up) is_up = client->handshake() == Outcome::done;
        down.clear();
    }
    WEIR_ASSERT(is_up && is_down && server->identity() == "edge/north");

    const bool is_foreign = input.take<std::uint8_t>() % 2 == 0;
    const auto plain = fuzz::copy_of(input.rest());
    std::size_t written = 0;
    static_cast<void>(client->write(plain, written));
    carry(*client, up);
    if (is_foreign && !up.empty()) {
        // One bit is changed on the way.
        up[plain.size() * 7919 % up.size()] ^= std::byte{1};
    }
    std::vector<std::byte> heard;
    const std::size_t cut = plain.empty() ? 1 : 1 + std::to_integer<std::size_t>(plain[0]) * 20;
    Outcome outcome = Outcome::wants_input;
    for (std::size_t at = 0; at < up.size() && outcome == Outcome::wants_input; at += cut) {
        const auto part = fuzz::copy_of(ConstBytes(up).subspan(at, std::min(cut, up.size() - at)));
        server->feed(part);
        do {
            std::array<std::byte, 5000> room{};
            std::size_t count = 0;
            outcome = server->read(room, count);
            heard.insert(heard.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(count));
        } while (outcome == Outcome::done);
        if (outcome == Outcome::failed) break;
        WEIR_ASSERT(server->unread().empty());
    }
    // What came out is a beginning of what went in; all of it, if nothing was changed.
    WEIR_ASSERT(heard.size() <= written && std::equal(heard.begin(), heard.end(), plain.begin()));
    WEIR_ASSERT(is_foreign || heard.size() == written);
    WEIR_ASSERT(!is_foreign || written == 0 || heard.size() < written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static Ends ends;
    fuzz::Input input(data, bytes);
    switch (input.take<std::uint8_t>() % 3) {
        case 0:
            before(*ends.server, input);
            break;
        case 1:
            before(*ends.client, input);
            break;
        default:
            after(ends, input);
    }
    return 0;
}
