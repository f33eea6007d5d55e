// Control frames: the fixed-layout bodies of hello, welcome, ack, credit and refusal (FORMAT.md §3).
//
// All are idempotent: credit is an absolute total, acks are cumulative (edge) or name closed ranges (producer).
#pragma once

#include <array>
#include <cstdint>

#include "core/wire/batch.hpp"

namespace weir::wire {

inline constexpr std::uint32_t hello_magic = 0x52494557;  // "WEIR"
inline constexpr std::size_t producer_name_bytes_max = 64;

enum class AckLevel : std::uint8_t { received = 1, spooled = 2, delivered = 3 };

[[nodiscard]] std::string_view text(AckLevel level) noexcept;

// First frame of a producer. An empty name = unnumbered: events carry number 0.
struct ProducerHello {
    std::uint32_t magic = hello_magic;
    std::uint16_t version = protocol_version;
    AckLevel level = AckLevel::spooled;
    std::uint8_t reserved = 0;
    std::array<char, producer_name_bytes_max> name{};  // [a-z0-9-]{1,64}, padded with zeros
};
static_assert(sizeof(ProducerHello) == 72);

struct ProducerWelcome {
    std::uint64_t last_number = 0;  // numbered: every event up to here is known; go on from last_number + 1 (or repeat)
    std::uint64_t credit_events = 0;  // absolute: events that may have been sent on this connection in all
    std::uint32_t event_bytes_max = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(ProducerWelcome) == 24);

// What became of a range of events. Reasons are verdict reasons (core/wire/verdict.hpp).
enum class AckStatus : std::uint8_t {
    accepted = 1,       // reached the level asked for
    duplicate = 2,      // its original has
    dead_lettered = 3,  // kept with a reason as a dead letter, durable: final, do not send again
    rejected = 4,       // not kept, with a reason: final, do not send again
    shed = 5,           // accepted and given up by its lane's policy, counted, with a reason: final, do not send again
};

[[nodiscard]] std::string_view text(AckStatus status) noexcept;

// Events are named by their ordinal on this connection: 1 for the first event frame, and so on. Ranges are closed.
struct AckRange {
    std::uint64_t first_ordinal = 0;
    std::uint32_t count = 0;
    AckStatus status = AckStatus::accepted;
    std::uint8_t reason = 0;
    std::uint16_t reserved = 0;
};
static_assert(sizeof(AckRange) == 16);

// How much of its work the edge does at present: what a rung leaves out is in edge/intake/ladder.hpp.
enum class Rung : std::uint8_t { healthy = 0, degraded = 1, critical = 2 };

[[nodiscard]] std::string_view text(Rung rung) noexcept;

// Body of producer_ack: this head, then `ranges` AckRange.
struct ProducerAckHead {
    std::uint64_t credit_events = 0;  // absolute, as in the welcome; never shrinks
    std::uint32_t ranges = 0;
    Rung rung = Rung::healthy;  // the edge's, when this was sent
    std::array<std::uint8_t, 3> reserved{};
};
static_assert(sizeof(ProducerAckHead) == 16);
inline constexpr std::uint32_t ack_ranges_max = 512;  // per frame

enum class RefusalReason : std::uint8_t {
    protocol = 1,  // not a frame of this protocol, or out of turn
    version = 2,
    too_large = 3,   // a frame above its limit
    name = 4,        // edge or producer name not allowed
    number_gap = 5,  // a numbered producer left one out
    fenced = 6,      // a newer epoch of this edge is known
    diverged = 7,    // sequence or chain contradicts what is stored
    checksum = 8,
    limit = 9,          // connections or names are used up
    draining = 10,      // going down: come back later
    sequence_gap = 11,  // a batch is missing before this one: connect again and go on from the welcome
    busy = 12,          // the name is in use on another connection
    storage = 13,       // cannot store now: come back later
};
[[nodiscard]] std::string_view text(RefusalReason reason) noexcept;

struct Refusal {
    RefusalReason reason = RefusalReason::protocol;
    std::uint8_t reserved = 0;
    std::uint16_t after_ms = 0;  // where many come at once: when it is this one's turn; 0: nothing is said of that
    std::array<std::uint8_t, 4> reserved_after{};
    std::array<char, 120> detail{};  // for people, padded with zeros
};
static_assert(sizeof(Refusal) == 128);

inline constexpr std::uint32_t hello_lanes_max = 64;  // dead-letter lane included

struct EdgeHello {
    std::uint32_t magic = hello_magic;
    std::uint16_t version = protocol_version;
    std::uint16_t lanes = 0;  // LaneOffer records that follow
    std::array<char, edge_id_bytes_max> edge_id{};
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    std::uint64_t config_digest = 0;
    // Bits: what this edge understands beyond version 1 (edge_feature_tables, _status, _rows); unknown ones say nothing.
    std::uint64_t features = 0;
};
static_assert(sizeof(EdgeHello) == 72);
struct LaneOffer {
    LaneId lane = 0;
    Part part = Part::live;
    std::array<std::uint8_t, 5> reserved{};
    std::array<char, lane_name_bytes_max> lane_name{};
    Sequence oldest_sequence = 0;  // the first the edge can still send; last_sequence + 1 if none
    Sequence last_sequence = 0;    // durable at the edge
};
static_assert(sizeof(LaneOffer) == 40);

struct EdgeWelcome {
    std::uint64_t credit_bytes = 0;  // absolute: batch frame bytes that may have been sent on this connection in all
    std::uint32_t lanes = 0;         // LanePosition records that follow: one for each lane offered
    std::uint32_t identity = 0;      // central_identity of its journal; 0 = unknown
};
static_assert(sizeof(EdgeWelcome) == 16);
// Tells independent centrals apart; a central restored from a backup keeps its own. Never 0.
[[nodiscard]] constexpr std::uint32_t central_identity(std::uint64_t journal_id) noexcept {
    const auto folded = static_cast<std::uint32_t>(journal_id ^ journal_id >> 32U);
    return folded == 0 ? 1 : folded;
}
// In LanePosition::flags: central has taken more of it, which waits for its disk. No last word: it may turn out to be there.
inline constexpr std::uint8_t position_unsettled = 1;
struct LanePosition {
    LaneId lane = 0;
    Part part = Part::live;
    std::uint8_t flags = 0;
    std::array<std::uint8_t, 4> reserved{};
    Sequence last_sequence = 0;  // durable at central: send from here + 1
};
static_assert(sizeof(LanePosition) == 16);

// Durable at central up to here. Names a batch boundary.
struct EdgeAck {
    LaneId lane = 0;
    Part part = Part::live;
    std::array<std::uint8_t, 5> reserved{};
    Sequence last_sequence = 0;
};
static_assert(sizeof(EdgeAck) == 16);

inline constexpr LaneId connection_credit = 0xfffe;  // no lane has this number
struct Credit {
    LaneId lane = connection_credit;  // or one lane, both its parts together
    std::array<std::uint8_t, 6> reserved{};
    std::uint64_t credit_bytes = 0;  // absolute; never shrinks within a connection
};
static_assert(sizeof(Credit) == 16);

}  // namespace weir::wire
