// Hops: where an event's time goes in the edge, hop by hop, in the running product.
//
//   received ─▶ judged ─▶ batched ─▶ written ─▶ spooled ─────▶ sent ─▶ delivered
//                                                └─▶ spooled_said        └─▶ delivered_said
//
// A hop is named after its end, and begins where the one before it ended. Its moments:
//
//   received        its last byte lay in a receive slot: the duty cycle in which the slot's completion was taken. Each event's own.
//   judged          its vector was verified, judged, looked up; one reading of the clock for all of the vector. The copy into the batch
//                   is counted behind it.
//   batched         its batch was closed: the reading of the vector that filled it, or of the duty cycle that closed it. From here on a
//                   moment is that of the whole batch.
//   written         the batch was given to its journal; before that it crossed the ring and waited for room there.
//   spooled         it was seen to be durable. What the edge's disk takes is this hop: the write, and waiting for one to share with
//                   others where the disk is busy (core/journal/write_queue.hpp).
//   sent            it was given to the uplink's socket; before that it waited for the uplink's turn and for credit.
//   delivered       central's ack was read: the network there and back, and all that central does (GET /api/v1/latency there).
//   spooled_said    intake had the word and put it into the producer's ack; the ack leaves with the duty cycle. After spooled.
//   delivered_said  the same after delivered.
//
// Each is counted once per event, so that means add up. For events whose producer asked for `spooled`
//     judged + batched + written + spooled + spooled_said == spooled_ack,
// and for those of one that asked for `delivered`
//     judged + batched + written + spooled + sent + delivered + delivered_said == delivered_ack,
// where the two wholes are measured apart from the hops, by intake's ack book. Of a batch the events' own moments are kept in up to
// batch_rows groups (core/metrics/moments.hpp): sums and the longest time are exact, percentiles those of the groups.
//
// What is not counted: duplicates, rejects, and what is shed before it has a sequence have no hop after judged, and none at all here. What
// was read back from the disk was not sent from memory, and has no `sent` and no `delivered`; its delivered_ack counts.
//
// Thread    IntakeHops: intake runner. SpoolHops: spool runner. Anyone reads.
// Cost      One reading of the clock per vector and a few counters per batch; nothing per event but an addition.
#pragma once

#include <cstdint>

#include "core/metrics/histogram.hpp"
#include "core/metrics/moments.hpp"

namespace weir::edge {

// Groups of a batch's events by the moment at which they were judged.
inline constexpr std::size_t batch_rows = 32;

struct IntakeHops {
    Histogram judged, batched, spooled_said, delivered_said;
    Histogram spooled_ack, delivered_ack;  // the wholes
};
struct SpoolHops {
    Histogram written, spooled, sent, delivered;
};

}  // namespace weir::edge
