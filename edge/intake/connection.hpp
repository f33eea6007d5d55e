// Connection: one producer's session: what has arrived of it, what it may send, and what must be said to it.
//
// Thread    Intake runner.
// Ownership A connection's place is used again only when its socket is closed, its send has completed and no vector
//           refers to it.
#pragma once

#include <array>
#include <cstdint>

#include "core/io/io.hpp"
#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"
#include "edge/intake/fuse.hpp"
#include "edge/intake/rate_quota.hpp"

namespace weir::edge {

inline constexpr std::uint32_t no_index = UINT32_MAX;
inline constexpr std::uint32_t held_slots_max = 4;  // then a connection is paused
inline constexpr std::size_t send_buffer_bytes = 9 * 1024;
// An ack frame, and every other frame that may wait beside it.
static_assert(send_buffer_bytes >=
              wire::frame_bytes(sizeof(wire::ProducerAckHead) + wire::ack_ranges_max * sizeof(wire::AckRange)) +
                  wire::frame_bytes(sizeof(wire::ProducerWelcome)) + 2 * wire::frame_bytes(0) +
                  wire::frame_bytes(sizeof(wire::Refusal)));

enum class Session : std::uint8_t {
    free,
    hello,   // connected, has not said who it is
    naming,  // its new slot is on its way to the disk; nothing is read meanwhile
    open,
    ending,     // said goodbye: waits for the acks of what it sent
    refused,    // a refusal is being sent
    lingering,  // it was sent: what still comes is thrown away, so that the peer can read it
    closed,
};

struct RoomAsked {
    std::uint8_t lane = 0;
    bool for_central = false;  // and a run that waits for central
};

struct Connection {
    explicit Connection(wire::CarryPool& pool) : splitter(pool) {}

    io::Socket socket;
    Session session = Session::free;
    wire::AckLevel level = wire::AckLevel::spooled;
    std::uint16_t generation = 0;
    std::int32_t producer = -1;    // slot of a numbered one
    std::array<char, 64> label{};  // name or address

    std::uint64_t ordinal = 0;  // of the last event frame taken
    std::uint64_t acked = 0;    // events that acks were sent for
    std::uint64_t credit = 0;   // as last told

    std::uint32_t held_head = no_index;  // slots that hold its bytes, oldest first
    std::uint32_t held_tail = no_index;
    std::uint32_t held_count = 0;
    std::uint32_t held_offset = 0;  // bytes of the first that are used up
    MonotonicNs received_at{};      // of the slot that was looked at last
    bool is_paused = false;
    bool peer_ended = false;
    bool peer_failed = false;  // and will not read either
    bool is_ready = false;     // in the list of those with bytes to read
    bool is_held = false;      // by a fuse, as last looked
    bool has_stopped = false;  // a whole frame was put back
    bool in_vector = false;
    bool wants_close = false;
    bool wants_end = false;  // its last bytes lie in the vector: closed with it, unless some are put back

    // Of the last look that put events into the vector: the slot and the place in it, so that they can be put back.
    std::uint32_t look_slot = no_index;
    std::uint32_t look_offset = 0;
    const std::byte* held_back_frame = nullptr;  // of the event that found its lane full
    bool is_held_back = false;                   // within one vector: there was one, and all behind it is put back too
    bool is_waiting = false;                     // for room in held_back_by; nothing of it is read
    RoomAsked held_back_by;

    std::uint32_t live_at = no_index;  // its place among those that are not free
    bool sending = false;
    bool wants_welcome = false;
    bool wants_pong = false;
    bool wants_goodbye = false;
    bool wants_refusal = false;
    wire::Rung rung_told = wire::Rung::healthy;
    bool closes_after_send = false;
    std::uint64_t pong_number = 0;
    wire::Refusal refusal;
    MonotonicNs sending_since{};
    MonotonicNs deadline = never;  // of hello, of lingering
    MonotonicNs carry_since = never;

    std::array<ConnectionRecord, fused_stages> records;
    LetterQuota::Used letters;  // of an unnumbered producer
    RateQuota::Used rate;
    bool is_at_rate = false;  // its credit is used up, and the rate gives it no more yet

    wire::FrameSplitter splitter;
};

}  // namespace weir::edge
