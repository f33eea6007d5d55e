// Verdict: what was decided about an event, at which stage, for which reason. The vocabulary of dead letters, rejects,
// metrics and acks; numbers are part of the format and never reused.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/wire/frame.hpp"

namespace weir::wire {

enum class StageId : std::uint8_t {
    ingress = 1,
    decode = 2,
    validate = 3,
    cache = 4,
    route = 5,
    batch = 6,
    ingest = 7
};

enum class Reason : std::uint8_t {
    none = 0,
    // decode
    not_flatbuffer = 1,    // the verifier refused it
    wrong_identifier = 2,  // a FlatBuffer, but no "WEVT"
    too_deep = 3,          // depth or table count above the caps
    logical_bytes = 4,     // shared offsets: logical size above event_bytes_max
    too_large = 5,
    empty = 6,
    text_length = 7,  // id, type, source, key, content type or trace id outside its length
    // validate
    field_missing = 16,
    out_of_range = 17,
    type_not_allowed = 18,
    time_skew = 19,
    payload_not_json = 20,
    rule_failed = 21,      // a rule's expression does not hold
    schema_mismatch = 22,  // a FlatBuffers payload is not what its schema says
    schema_newer = 23,  // it holds a union member that its schema does not know: may be replayed under a newer schema
    // batch, ingress
    no_lane = 32,
    number_gap = 33,
    protocol = 34,
    replay_holes = 35,  // a dead letter offered again, and too many not offered lie between those that were
    // Why a best_effort lane shed it.
    lane_full = 36,      // it held all that it may
    shed_random = 37,    // by chance: it was filling up
    shed_critical = 38,  // the edge does only what durable lanes need
    shed_oldest = 39,    // it waited in the spool until newer ones needed its room
    memory_lost = 41,    // it came before, to a lane in memory; a stop of the edge took what central had not
    letter_quota =
        40,  // rejected where it would have been a dead letter: its producer made too many of them in this minute
    // decode
    poison = 48,  // set aside unread: the process died several times while it judged this very event
};
[[nodiscard]] std::string_view text(StageId stage) noexcept;
[[nodiscard]] std::string_view text(Reason reason) noexcept;

// Body of a dead_letter frame: this head, then `original_bytes` bytes just as they came.
struct DeadLetterHead {
    Reason reason = Reason::none;
    StageId stage = StageId::decode;
    std::uint16_t rule = 0;  // 1-based number of the rule that failed; 0 = none
    std::uint32_t original_bytes = 0;
    std::uint64_t received_wall_ns = 0;
    std::array<char, 64> producer{};  // name, or the peer's address for an unnumbered one
};
static_assert(sizeof(DeadLetterHead) == 80);

}  // namespace weir::wire
