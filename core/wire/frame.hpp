// Frame: the 16-byte header in front of everything on a weir connection, and of every event inside a batch.
//
// The header of an event is the same on the producer's connection and in a batch, so that taking an event in is one copy
// of header and body together (FORMAT.md §1).
//
// Format    core/wire/FORMAT.md. Little-endian, fixed layout; this code runs on little-endian machines only.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/base/types.hpp"

namespace weir::wire {

static_assert(std::endian::native == std::endian::little, "formats are read in place");

inline constexpr std::uint16_t protocol_version = 1;
inline constexpr std::uint32_t frame_body_bytes_max = 1U << 20;  // any frame
inline constexpr std::uint32_t frame_body_bytes_max_before_hello = 16U << 10;
inline constexpr std::uint32_t event_bytes_max = 256U << 10;  // one FlatBuffer
inline constexpr std::uint32_t frame_alignment = 8;

enum class FrameKind : std::uint8_t {
    event = 1,            // producer -> edge, and in batches: body is an Event FlatBuffer
    dead_letter = 2,      // in batches of the dead-letter lane: body is DeadLetterHead + bytes (verdict.hpp)
    producer_hello = 16,  // producer -> edge
    producer_welcome = 17,
    producer_ack = 18,
    refusal = 19,  // either acceptor -> the other side; the connection closes after it
    goodbye = 20,  // either side: nothing follows from me; acks for what I sent are still wanted
    ping = 21,
    pong = 22,
    edge_hello = 32,  // edge -> central
    edge_welcome = 33,
    batch = 34,     // edge -> central: body is a batch (batch.hpp)
    edge_ack = 35,  // central -> edge
    credit = 36,    // central -> edge
    // status.hpp; only on connections whose edge_hello says edge_feature_status
    status_ask = 37,   // central -> edge
    edge_status = 38,  // edge -> central
    // table.hpp; only on connections whose edge_hello says edge_feature_tables
    table_offers = 40,  // central -> edge
    table_pull = 41,    // edge -> central
    table_chunk = 42,   // central -> edge
    // rows.hpp; only where edge_hello says edge_feature_rows and table_offers says offers_feature_rows
    row_ask = 43,        // edge -> central
    row_answer = 44,     // central -> edge
    table_changed = 45,  // central -> edge
};

// Whether `kind` is one of FrameKind: a byte from outside may hold anything.
[[nodiscard]] bool is_known(FrameKind kind) noexcept;
[[nodiscard]] std::string_view text(FrameKind kind) noexcept;

struct FrameHeader {
    std::uint32_t body_bytes = 0;  // of the body without its padding; the body is padded with zeros to 8
    std::uint16_t tag =
        0;  // on connections 0, but for a pong before the hello (FORMAT.md 3.2); in a batch the numbered producer's slot + 1, or 0
    FrameKind kind = FrameKind::event;
    std::uint8_t flags = 0;
    std::uint64_t number = 0;  // event: the producer's number for it (0 = unnumbered). ping/pong: echoed.
};
static_assert(sizeof(FrameHeader) == 16 && std::is_trivially_copyable_v<FrameHeader>);

// Bytes that a frame with this body takes, header and padding included.
[[nodiscard]] constexpr std::uint64_t frame_bytes(std::uint32_t body_bytes) {
    return sizeof(FrameHeader) + round_up(body_bytes, frame_alignment);
}

// Reads a fixed-layout struct from bytes of any alignment. `bytes` must hold at least sizeof(T).
template <class T>
[[nodiscard]] T load(ConstBytes bytes) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}
template <class T>
void store(Bytes bytes, const T& value) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(bytes.data(), &value, sizeof(T));
}

// Whether a whole frame's padding is zeros: it ends in the frame's last word, which is looked at once.
[[nodiscard]] inline bool is_padding_zero(ConstBytes frame, std::uint32_t body_bytes) noexcept {
    static_assert(frame_alignment == sizeof(std::uint64_t));
    const std::uint32_t last_bytes = body_bytes % frame_alignment;  // of the body, in that word
    if (last_bytes == 0) return true;
    return load<std::uint64_t>(frame.last(frame_alignment)) >> (8 * last_bytes) == 0;
}

}  // namespace weir::wire
