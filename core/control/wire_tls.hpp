// WireTls: the TLS of one AdminWire: what is to be done next so that something can be read or written. No socket.
//
// Thread    One.
// Pressure  A write takes what one record holds, and is done when that has been sent.
// Bounds    input_bytes of ciphertext, and one record each way (core/tls/session.hpp); 16 KiB before the handshake is done.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/types.hpp"

namespace weir::tls {
class Session;
struct CertificateFacts;
struct EndpointCounters;
struct TlsState;
enum class Outcome : std::uint8_t;
}  // namespace weir::tls

namespace weir::control {

// One operation on the way to its end.
struct WireWork {
    enum class Kind : std::uint8_t { handshake, read, write, finish };
    Kind kind = Kind::handshake;
    Bytes room{};           // read: where it goes
    ConstBytes plain{};     // write: what is sent
    std::size_t count = 0;  // so much was read or written
    bool is_tried = false;
    tls::Outcome outcome{};
};

class WireTls {
  public:
    static constexpr std::size_t input_bytes = 4096;
    static constexpr std::size_t write_bytes_max = 16U << 10;  // what one record holds
    enum class Next : std::uint8_t {
        done,
        send,     // output(), then sent()
        receive,  // into input(), then received()
        wait,     // until the other operation's output has been sent
        again,    // with the same work: there is room now
        ended,    // the peer has said that it will send no more
        failed,   // fault() says why
    };

    // `state` outlives the handshake. `counters`: of a server's endpoint; null: nothing is counted.
    WireTls(const tls::TlsState& state, tls::EndpointCounters* counters);
    ~WireTls();
    WireTls(const WireTls&) = delete;
    WireTls& operator=(const WireTls&) = delete;

    [[nodiscard]] Next next(WireWork& work);
    [[nodiscard]] ConstBytes output() const { return output_; }
    void sent();
    [[nodiscard]] Bytes input() { return input_; }
    void received(std::size_t bytes);
    // The socket has failed, or the peer has left without a last word: nothing more can be done.
    void break_off(bool is_by_peer);
    // Nothing of the last receive is left: input() may be filled.
    [[nodiscard]] bool is_hungry() const;

    [[nodiscard]] const std::string& fault() const { return fault_; }
    // After the handshake: "operator/alice", and what is remembered of the certificate; empty where none was shown.
    [[nodiscard]] std::string_view identity() const;
    [[nodiscard]] const tls::CertificateFacts& peer() const;
    // When the peer's certificate runs out, in running time; never without one.
    [[nodiscard]] MonotonicNs peer_until() const { return peer_until_; }

  private:
    [[nodiscard]] tls::Outcome try_once(WireWork& work);
    [[nodiscard]] tls::Outcome shake_hands();
    void note_expiry();

    std::unique_ptr<tls::Session> session_;
    tls::EndpointCounters* counters_;
    std::uint64_t time_floor_ns_;
    ConstBytes output_{};
    std::string fault_;
    MonotonicNs peer_until_;
    bool is_open_ = false;
    bool is_broken_ = false;
    std::array<std::byte, input_bytes> input_;
};

}  // namespace weir::control
