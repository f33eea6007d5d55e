// Event reader: verifies an event and reads its fields in one pass, where it is laid out as builders lay it out and breaks no limit.
//
// FlatBuffers' verifier knows any schema and walks it field by field, twice over with the reading behind it: it was the dearest thing that
// happened to an event. This one knows the one schema. Whatever is unusual it leaves to the other, which also says why an event is refused.
//
// Law       What it takes, verify_event_by_library() takes too, and reads the same: each view has the same address and length. A test and
//           a fuzz target hold them against each other.
// Source    FlatBuffers' internals ("FlatBuffer Internals", flatbuffers.dev) and the checks of its verifier.h, 2.0.8.
// Cost      About 210 instructions for an event of six fields; by the library 650.
#pragma once

#include "core/wire/event.hpp"

namespace weir::wire {

// Where a vtable says at which byte of the table a field lies: 4, and 2 more for each field before it in schemas/event.fbs.
enum class EventField : std::uint16_t {
    id = 4,
    type = 6,
    source = 8,
    key = 10,
    time_ns = 12,
    priority = 14,
    trace_id = 16,
    content_type = 18,
    payload = 20,
};
inline constexpr std::uint8_t priority_normal = 1;
inline constexpr std::uint8_t priority_max = 3;

// True: `bytes` is an event, with all that verify_event() asks of one, and `view` is it. False: perhaps not, and `view` is anything.
[[nodiscard]] bool read_usual_event(ConstBytes bytes, EventView& view) noexcept;

// What verify_event() says and reads, by FlatBuffers' own verifier: what the reader above is measured by.
[[nodiscard]] Reason verify_event_by_library(ConstBytes bytes, EventView& view) noexcept;

}  // namespace weir::wire
