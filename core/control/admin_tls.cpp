// TLS of the admin server: handshakes, who has shown which certificate, and that nobody stays whose certificate is no longer good.
#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "core/base/clock.hpp"
#include "core/control/admin_server.hpp"
#include "core/tls/endpoint.hpp"

namespace weir::control {
namespace {

// Who is refused is given so long to hear why, and so many bytes to say that nobody reads: closed at once, TCP would take the alert away.
constexpr std::chrono::milliseconds linger{500};
constexpr std::size_t linger_reads_max = 8;

// A handshake's hold on the credentials it began with.
class Use {
  public:
    explicit Use(tls::Endpoint& endpoint) : endpoint_(endpoint), state_(&endpoint.begin_use()) {}
    ~Use() { end(); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    [[nodiscard]] const tls::TlsState& state() const { return *state_; }
    void end() {
        if (state_ != nullptr) endpoint_.end_use(*std::exchange(state_, nullptr));
    }

  private:
    tls::Endpoint& endpoint_;
    const tls::TlsState* state_;
};

void tell(tls::Endpoint& endpoint, tls::NoteKind kind, const AdminPeer& peer, std::string_view identity,
          std::string_view what) {
    tls::Note note;
    note.kind = kind;
    tls::put_text(note.address, peer.from);
    tls::put_text(note.identity, identity);
    tls::put_text(note.what, what);
    endpoint.note(note);
}

asio::awaitable<void> let_go(AdminWire& wire) {
    wire.stream().expires_after(linger);
    BoostError ignored;
    wire.socket().shutdown(tcp::socket::shutdown_send, ignored);
    std::array<std::byte, 2048> unheard;
    for (std::size_t reads = 0; reads < linger_reads_max; ++reads) {
        const auto [error, bytes] =
            co_await wire.stream().async_read_some(asio::buffer(unheard.data(), unheard.size()), awaited);
        if (error) break;
    }
}

}  // namespace

asio::awaitable<bool> AdminServer::Server::shake_hands(AdminWire& wire, AdminPeer& peer) {
    tls::Endpoint& endpoint = *options.tls;
    tls::EndpointCounters& counters = endpoint.counters;
    // A handshake costs more than most requests: who may not ask now may not begin one either.
    if (options.guard != nullptr && !options.guard->may_come(peer.from, monotonic_now())) co_return false;
    counters.handshakes.add(1);
    if (endpoint.refresh()) end_unwelcome(monotonic_now(), true);
    Use use(endpoint);
    wire.speak_tls(use.state(), &counters);
    wire.stream().expires_after(std::chrono::milliseconds(options.handshake_ms_max));
    strangers.push_back(wire.inner());
    const auto [error, none] = co_await wire.async_handshake(awaited);
    std::erase_if(strangers, [&](const auto& one) { return one.lock() == wire.inner(); });
    std::string why = wire.tls().fault();
    use.end();
    // The list may have come while the handshake was under way.
    if (!error && endpoint.current().denied.contains(wire.tls().peer())) why = "the deny list names it";
    if (!error && why.empty()) {
        counters.sessions.add(1);
        const std::string_view identity = wire.tls().identity();
        peer.certificate = identity.substr(std::min(identity.find('/') + 1, identity.size()));
        guests.push_back(wire.inner());
        co_return true;
    }
    const bool is_late = error == beast::error::timeout;
    if (!is_late && !wire.socket().is_open()) {  // pushed out
        if (options.guard != nullptr) options.guard->count(AdminRefusal::connections);
        co_return false;
    }
    if (is_late) why = "the handshake took too long";
    if (why.empty()) why = error.message();
    (is_late ? counters.handshakes_late : counters.handshakes_failed).add(1);
    if (options.guard != nullptr) options.guard->count(AdminRefusal::handshake);
    tell(endpoint, tls::NoteKind::handshake_failed, peer, wire.tls().identity(), why);
    if (!is_late) co_await let_go(wire);
    co_return false;
}

bool AdminServer::Server::push_out_stranger() {
    while (!strangers.empty()) {
        const auto oldest = strangers.front().lock();
        strangers.erase(strangers.begin());
        if (!oldest) continue;
        options.tls->counters.handshakes_pushed_out.add(1);
        BoostError ignored;
        oldest->stream.socket().close(ignored);
        return true;
    }
    return false;
}

// New credentials are for the next handshakes; a new deny list is for everybody.
asio::awaitable<void> AdminServer::Server::look_at_guests() {
    asio::steady_timer timer(context);
    for (;;) {
        timer.expires_after(std::chrono::milliseconds(look_ms_max));
        const auto [error] = co_await timer.async_wait(awaited);
        if (error) co_return;
        end_unwelcome(monotonic_now(), options.tls->refresh());
    }
}

void AdminServer::Server::end_unwelcome(MonotonicNs now, bool has_new_list) {
    tls::Endpoint& endpoint = *options.tls;
    std::erase_if(guests, [&](const std::weak_ptr<AdminWire::Inner>& guest) {
        const auto wire = guest.lock();
        if (!wire) return true;
        const bool is_denied = has_new_list && endpoint.current().denied.contains(wire->tls->peer());
        const bool is_over = now >= wire->tls->peer_until();
        if (!is_denied && !is_over) return false;
        (is_denied ? endpoint.counters.sessions_denied : endpoint.counters.sessions_expired).add(1);
        tell(endpoint, is_denied ? tls::NoteKind::session_denied : tls::NoteKind::session_expired, {.from = ""},
             wire->tls->identity(), is_denied ? "the deny list names it" : "its certificate ran out");
        // What is under way on it ends with an error, and its coroutine with that.
        BoostError ignored;
        wire->stream.socket().close(ignored);
        return true;
    });
}

bool AdminServer::Server::is_named(const std::string& host) const {
    const bool has_brackets = host.starts_with('[') && host.ends_with(']');
    return tls::serves_host(options.tls->current(), has_brackets ? host.substr(1, host.size() - 2) : host);
}

}  // namespace weir::control
