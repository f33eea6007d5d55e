// Unverified events: those of a kept batch that verify_event() refuses. An edge may be stolen, or broken.
//
// Such an event stops neither its batch nor its lane: the batch is kept unchanged, with its bytes, and the event is set aside in it,
// as a dead letter of stage `ingest`. Nothing marks it but its bytes: whoever reads a body verifies each event and passes over
// what is none (FORMAT.md §2.3), so that all readers of all times agree.
//
// Cost      What verify_event() costs, for each event.
#pragma once

#include <cstdint>

#include "core/wire/batch.hpp"
#include "core/wire/event.hpp"

namespace weir::wire {

// Calls visit(index, const FrameView&, Reason) for each of them in a body that check_batch accepted. Dead letters are not asked: what
// they hold need not be an event. Precondition: the body can be read in place (no codec, no key).
template <class Visit>
void for_each_unverified(const BatchHeader& header, ConstBytes body, Visit&& visit) {
    if (header.kind != BatchKind::events || header.lane == dead_letter_lane) return;
    for_each_frame(body, [&](const FrameView& frame, std::uint32_t index) {
        EventView event;
        const Reason reason =
            frame.header.kind == FrameKind::event ? verify_event(frame.body, event) : Reason::protocol;
        if (reason != Reason::none) visit(index, frame, reason);
    });
}

[[nodiscard]] inline std::uint32_t count_unverified(const BatchHeader& header, ConstBytes body) {
    std::uint32_t count = 0;
    for_each_unverified(header, body, [&count](std::uint32_t, const FrameView&, Reason) { ++count; });
    return count;
}

}  // namespace weir::wire
