// CentralProbe: asks a central whether it is there, on a connection of its own: connect, one ping before any hello, its pong, close.
//
// A stopped process still accepts connections, or rather its kernel does: only the pong is an answer. Central keeps nothing of it but
// a count; the session in use is another connection and feels nothing.
//
// Thread    Spool runner.
// Law       One at a time. Each begin() has one outcome, unless it is cancelled; no later than patience_ns after it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/io/io.hpp"
#include "core/wire/frame.hpp"

namespace weir::edge {

class CentralProbe {
  public:
    // Its completions carry these kinds, and `index` where others of the same owner have another.
    struct Tokens {
        std::uint8_t owner = 0;
        std::uint8_t connect = 0;
        std::uint8_t receive = 0;
        std::uint8_t send = 0;
        std::uint32_t index = 0;
    };
    CentralProbe(io::Io& io, Tokens tokens, std::uint64_t patience_ns)
        : io_(io), tokens_(tokens), patience_ns_(patience_ns) {}

    // Nothing of an earlier one is under way.
    [[nodiscard]] bool is_idle() const { return state_ == State::idle && !is_sending_ && !outcome_; }
    // Precondition: is_idle().
    void begin(const std::string& address, MonotonicNs now);
    struct Outcome {
        std::optional<std::uint16_t> life;  // of the process that answered; none: no answer
    };
    // Once for each begin().
    [[nodiscard]] std::optional<Outcome> take_outcome(MonotonicNs now);
    void cancel();
    // Precondition: the completion carries its index and one of its kinds.
    void on_completion(const io::Completion& completion);
    [[nodiscard]] MonotonicNs next_deadline() const;

  private:
    enum class State : std::uint8_t { idle, connecting, asking };
    void ask();
    void take_bytes(ConstBytes bytes);
    void end(std::optional<std::uint16_t> life);
    [[nodiscard]] io::Token token(std::uint8_t kind) const {
        return {.owner = tokens_.owner, .kind = kind, .generation = generation_, .index = tokens_.index};
    }

    io::Io& io_;
    Tokens tokens_;
    std::uint64_t patience_ns_;
    State state_ = State::idle;
    bool is_sending_ = false;
    std::uint16_t generation_ = 0;
    io::Socket socket_{};
    MonotonicNs until_{};
    std::optional<Outcome> outcome_;
    std::array<std::byte, sizeof(wire::FrameHeader)> ping_{};
    std::array<std::byte, sizeof(wire::FrameHeader)> answer_{};
    std::size_t answer_bytes_ = 0;
};

}  // namespace weir::edge
