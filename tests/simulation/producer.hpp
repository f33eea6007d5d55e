// Producer: a client that sends its events until each is answered, through connections that break, and remembers every answer.
//
// It is the oracle's witness: what it was told is what must hold.
//
// Thread    One.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/control.hpp"
#include "core/wire/event.hpp"
#include "tests/simulation/sim_io.hpp"

namespace weir::sim {

struct Sent {
    enum class Fate : std::uint8_t { open, accepted, dead_lettered, rejected, shed };
    bool is_valid = true;  // else it is no event, and must become a dead letter
    std::string_view type = "reading";
    bool was_sent = false;
    bool was_taken = false;  // answered as accepted, not as the duplicate of one that may have been shed
    Fate fate = Fate::open;
};

struct ProducerOptions {
    int machine = 0;
    std::string name;  // also the events' source
    bool is_numbered = true;
    wire::AckLevel level = wire::AckLevel::spooled;
    std::string to;
    std::uint32_t events = 100;
    std::uint32_t payload_bytes_max = 600;
    std::uint32_t invalid_per_mille = 20;
    std::uint64_t gap_ns_max = 20 * ns_per_ms;   // between two events
    std::uint32_t window = 32;                   // events on the way
    std::uint32_t bulk_per_mille = 0;            // of those that are no alarms
    std::vector<std::string_view> shed_types{};  // whose lane may shed what comes
};

class SimProducer {
  public:
    SimProducer(Clock& clock, Network& network, Random random, ProducerOptions options);
    [[nodiscard]] std::uint64_t next_ns() const;
    std::uint64_t step();
    [[nodiscard]] bool is_done() const { return settled_ == events.size(); }
    [[nodiscard]] const ProducerOptions& options() const { return options_; }
    // The bytes that an invalid event is.
    [[nodiscard]] std::vector<std::byte> junk_of(std::uint64_t number) const;
    // For a report of what hangs.
    [[nodiscard]] std::string state_text() const;
    [[nodiscard]] std::size_t settled() const { return settled_; }

    std::vector<Sent> events;  // number - 1
    std::string complaint;     // an answer that must not be

  private:
    enum class State : std::uint8_t { away, connecting, greeting, live };
    void go_away(std::uint64_t pause_ns);
    void take(const io::Completion& one);
    void take_frame(const wire::FrameHeader& header, ConstBytes body);
    void go_on_after(std::uint64_t last_number);
    void take_ack(ConstBytes body);
    [[nodiscard]] bool may_be_shed(const Sent& event) const;
    void fill();
    void append_event(std::uint64_t number);
    void send_next();

    Clock& clock_;
    Random random_;
    ProducerOptions options_;
    Machine machine_;
    SimIo io_;
    wire::EventBuilder builder_;
    State state_ = State::away;
    io::Socket socket_{};
    std::uint16_t generation_ = 0;
    std::uint64_t retry_at_ns_ = 0;
    std::uint64_t heard_ns_ = 0;
    std::uint64_t next_event_at_ns_ = 0;
    std::uint64_t released_ = 0;  // events that exist by now
    std::size_t settled_ = 0;
    std::vector<std::uint64_t> todo_;  // numbers to send on this connection, in order
    std::size_t todo_next_ = 0;
    std::vector<std::uint64_t> ordinals_;  // ordinal - 1 -> number
    std::uint64_t answered_ = 0;           // ordinals answered on this connection
    std::uint64_t credit_ = 0;
    std::vector<std::byte> out_;       // being sent
    std::vector<std::byte> out_next_;  // to be sent after it
    bool is_sending_ = false;
    std::vector<std::byte> in_;
};

}  // namespace weir::sim
