// ProducerClient: a producer's side of the protocol: keeps every event until it is acked, and sends again what is not after each
// reconnect. Non-blocking; its owner gives it time by pump().
//
//   offer() ─▶ arena (frames, back to back) ─▶ one send() per 64 KiB or more ─▶ edge ─▶ acks by ordinal ─▶ latency, room
//
// Thread    One.
// Ownership Frames lie in a circular arena until acked; entries are numbered by their ordinal on the present connection.
// Pressure  offer() says false when the arena, the entries or the credit that the edge granted are used up.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"
#include "core/metrics/histogram.hpp"
#include "core/wire/control.hpp"
#include "core/wire/verdict.hpp"

namespace weir::tls {
class ClientChannel;
}

namespace weir::client {

struct ClientOptions {
    std::string to;
    wire::AckLevel level = wire::AckLevel::spooled;
    std::string producer;                   // empty: unnumbered
    std::size_t arena_bytes = 64ULL << 20;  // a power of two
    std::size_t events_max = 1ULL << 17;    // unacked; a power of two
    std::size_t receive_bytes =
        1ULL << 20;  // at least what the largest ack takes; smaller for many clients in one process
    std::uint64_t reconnect_ms_min = 20;
    std::uint64_t reconnect_ms_max = 1000;
    std::string ca_file{};  // TLS, with a server whose certificate comes from these CAs; empty: plain
    // Told of each event's answer, once, from within pump(): its number, what became of it, and why where it was not taken.
    std::function<void(std::uint64_t number, wire::AckStatus status, wire::Reason reason)> on_answer = {};
    // Told of each counted event's times, instead of latency(): when it was due, and when its answer came.
    std::function<void(MonotonicNs intended, MonotonicNs answered)> on_latency = {};
};

// Memory that is not touched before it is used: many clients in one process are mostly idle.
class RawBytes {
  public:
    explicit RawBytes(std::size_t bytes) : memory_(std::make_unique_for_overwrite<std::byte[]>(bytes)), bytes_(bytes) {}
    [[nodiscard]] std::byte* data() const { return memory_.get(); }
    [[nodiscard]] std::size_t size() const { return bytes_; }
    [[nodiscard]] Bytes span() const { return {memory_.get(), bytes_}; }

  private:
    std::unique_ptr<std::byte[]> memory_;
    std::size_t bytes_;
};

struct ClientTotals {
    std::uint64_t offered = 0;
    std::uint64_t accepted = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t rejected = 0;  // rejected or dead-lettered: the edge will not take them, for a reason
    std::uint64_t shed = 0;      // taken, and given up by the policy of their lane
    std::uint64_t acked = 0;     // all of the above that were answered
    std::uint64_t reconnects = 0;
    std::map<std::string, std::uint64_t> reasons;       // of `rejected`
    std::map<std::string, std::uint64_t> shed_reasons;  // of `shed`
};

class ProducerClient {
  public:
    explicit ProducerClient(ClientOptions options);
    ~ProducerClient();
    ProducerClient(const ProducerClient&) = delete;
    ProducerClient& operator=(const ProducerClient&) = delete;

    // Takes an event to be sent. `intended` is when it should have gone out: its latency counts from there, unless `is_counted`
    // is false. `number` is 0 for an unnumbered producer.
    [[nodiscard]] bool offer(ConstBytes event, std::uint64_t number, MonotonicNs intended, bool is_counted);
    // Sends, receives and reconnects; waits at most `wait_ns` for something to happen.
    // An error is final: the edge refused for good.
    [[nodiscard]] Status pump(std::uint64_t wait_ns);

    // Whether an offer() of an event of ordinary size would be taken now.
    [[nodiscard]] bool has_room() const {
        return arena_end_ - arena_begin_ + wire::event_bytes_max < arena_.size() && end_ - begin_ < entries_.size() &&
               (!is_welcome_ || end_ < credit_events_);
    }
    [[nodiscard]] std::uint64_t unacked_count() const { return end_ - begin_; }
    [[nodiscard]] bool is_connected() const { return is_welcome_; }
    // For one that waits for many clients at once: the socket (-1: none now), and whether bytes wait until it can be written.
    [[nodiscard]] int socket() const { return fd_; }
    [[nodiscard]] bool has_unsent() const { return arena_sent_ < arena_end_ && is_welcome_; }
    // The last number the edge knew of this producer when it was last connected.
    [[nodiscard]] std::uint64_t last_number() const { return last_number_; }
    [[nodiscard]] const ClientTotals& totals() const { return totals_; }
    // How much of its work the edge last said to do.
    [[nodiscard]] wire::Rung rung() const { return rung_; }
    // What the edge, or the way to it, said last against us; empty: nothing.
    [[nodiscard]] const std::string& last_fault() const { return last_fault_; }
    [[nodiscard]] const Histogram& latency() const { return latency_; }
    [[nodiscard]] MonotonicNs last_ack() const { return last_ack_; }

  private:
    struct Entry {
        std::uint64_t at = 0;  // in the arena's endless numbering
        std::uint32_t bytes = 0;
        bool is_acked = false;
        bool is_counted = true;
        std::uint64_t number = 0;
        MonotonicNs intended{};
    };
    [[nodiscard]] Entry& entry(std::uint64_t index) { return entries_[index & (entries_.size() - 1)]; }
    [[nodiscard]] Status try_connect(MonotonicNs now);
    [[nodiscard]] Status begin_tls();
    [[nodiscard]] ssize_t send_bytes(ConstBytes bytes);
    [[nodiscard]] ssize_t receive_bytes(Bytes room);
    [[nodiscard]] Status send_some();
    [[nodiscard]] Status receive_some();
    [[nodiscard]] Status take_frame(const wire::FrameHeader& header, ConstBytes body, MonotonicNs now);
    [[nodiscard]] Status take_ack(ConstBytes body, MonotonicNs now);
    [[nodiscard]] bool is_sent(const wire::AckRange& range);
    void settle(const wire::AckRange& range, MonotonicNs now);
    void disconnect();
    void rewind();
    void put(ConstBytes bytes);

    ClientOptions options_;
    int fd_ = -1;
    std::unique_ptr<tls::ClientChannel> channel_;  // null: plain
    bool is_welcome_ = false;
    RawBytes arena_;
    std::uint64_t arena_begin_ = 0;
    std::uint64_t arena_end_ = 0;
    std::uint64_t arena_sent_ = 0;
    std::vector<Entry> entries_;
    std::uint64_t begin_ = 0;  // entry of ordinal index + 1
    std::uint64_t end_ = 0;
    std::uint64_t credit_events_ = 0;
    std::uint64_t last_number_ = 0;
    wire::Rung rung_ = wire::Rung::healthy;
    RawBytes received_;
    std::size_t received_bytes_ = 0;
    std::uint64_t backoff_ms_ = 0;
    MonotonicNs next_try_{};
    MonotonicNs last_ack_{};
    std::string last_fault_;
    ClientTotals totals_;
    Histogram latency_;
};

}  // namespace weir::client
