// Session: one TLS connection as a state machine: ciphertext in from where it was received, plaintext out to where it is wanted,
// plaintext in from its owner, ciphertext out through one bounded buffer. No socket, no clock.
//
//   receive slot ──feed()──▶ OpenSSL ──read()──▶ caller's slot        caller's bytes ──write()──▶ OpenSSL ──▶ output ──take_output()──▶ send
//
// Thread    One.
// Ownership feed()'s bytes stay the caller's and must not change until unread() is empty. Output that was taken is the session's own
//           memory and stays until output_sent().
// Pressure  read() stops when the room is full; write() takes what the output has room for. Nothing is held beyond one record.
// Bounds    handshake_bytes_max bytes are read before the handshake is done; output_bytes of output.
// Cost      OpenSSL copies once into its record buffer and once out of it, each way, and decrypts and encrypts in place there. It
//           allocates at make() and during the handshake, and README.md says what else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"
#include "core/tls/credentials.hpp"

namespace weir::tls {

inline constexpr std::uint32_t handshake_bytes_max = 16U << 10;
inline constexpr std::uint32_t record_plain_bytes_max = 16U << 10;
inline constexpr std::uint32_t record_overhead_bytes = 64;      // header, content type, tag: 22; rounded up
inline constexpr std::uint32_t output_reserve_bytes = 1024;     // kept from write() for alerts and key updates
inline constexpr std::uint64_t records_per_key_max = 1U << 22;  // RFC 8446 5.5 allows 2^24.5 with AES-GCM
inline constexpr std::uint32_t output_bytes_min = record_plain_bytes_max + record_overhead_bytes + output_reserve_bytes;

enum class Outcome : std::uint8_t {
    done,         // what was asked for
    wants_input,  // all that was fed is used up
    wants_room,   // the output is full: again after output_sent()
    ended,        // the peer has said that it will send no more
    failed,       // fault() says why; an alert may lie in the output
};

class Session {
  public:
    // `state` outlives the handshake. Null: OpenSSL had no memory. `wall`: now, as certificates are judged.
    [[nodiscard]] static std::unique_ptr<Session> make(const TlsState& state, WallNs wall, std::uint32_t output_bytes);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // What has been read is wiped from OpenSSL's own memory at once: where tokens come in.
    void wipe_what_was_read();

    // Precondition: unread() is empty.
    void feed(ConstBytes ciphertext);
    [[nodiscard]] ConstBytes unread() const { return input_; }

    [[nodiscard]] Outcome handshake();
    // After the handshake. `count` bytes were put into `room`, whatever the outcome; done: it is full.
    [[nodiscard]] Outcome read(Bytes room, std::size_t& count);
    // After the handshake. `count`: how many of `plain`, from its front, have been taken. done: all.
    [[nodiscard]] Outcome write(ConstBytes plain, std::size_t& count);
    // Plaintext waits for read() although nothing is unread.
    [[nodiscard]] bool has_plain() const;
    // Tells the peer that no more will be sent. Nothing may be written afterwards.
    void finish();

    // What is to be sent next, and is not under way; empty: nothing, or the last is still under way.
    [[nodiscard]] ConstBytes take_output();
    void output_sent();
    [[nodiscard]] bool is_output_under_way() const { return flying_end_ > flying_begin_; }

    [[nodiscard]] bool has_failed() const { return has_failed_; }
    [[nodiscard]] const std::string& fault() const { return fault_; }
    // After the handshake: "edge/north"; empty where the peer has shown no certificate.
    [[nodiscard]] std::string_view identity() const { return identity_; }
    [[nodiscard]] const CertificateFacts& peer() const { return peer_; }

    // OpenSSL's question about each certificate of the peer's chain.
    [[nodiscard]] static int on_verify(int is_good, X509_STORE_CTX* chain);
    // OpenSSL's reading and writing.
    [[nodiscard]] int take_input(char* into, int bytes_max);
    [[nodiscard]] int put_output(const char* from, int bytes);

  private:
    explicit Session(std::uint32_t output_bytes) : output_(output_bytes) {}
    [[nodiscard]] Outcome outcome_of(int result);
    [[nodiscard]] Outcome fail(std::string_view otherwise);
    void remember_peer();

    SslPtr ssl_;
    const TlsState* state_ = nullptr;  // until the handshake is done
    ConstBytes input_;
    std::uint32_t handshake_bytes_ = 0;
    bool is_open_ = false;
    bool has_failed_ = false;
    bool is_too_long_ = false;
    bool is_finished_ = false;
    std::uint64_t records_ = 0;  // written with the present key
    std::vector<std::byte> output_;
    std::size_t filled_ = 0;
    std::size_t flying_begin_ = 0;
    std::size_t flying_end_ = 0;
    std::string fault_;
    std::string identity_;
    CertificateFacts peer_;
};

}  // namespace weir::tls
