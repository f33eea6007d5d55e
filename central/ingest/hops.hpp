// CentralHops: where a batch's time goes in central, hop by hop, in the running product: what an edge sees whole as its hop `delivered`.
//
//   received ─▶ appended ─▶ written ─▶ durable ─▶ acked
//
// A hop is named after its end, and begins where the one before it ended. Its moments are those of the batch:
//
//   received   its last byte lay in a receive slot: the duty cycle in which the slot's completion was taken.
//   appended   it was checked, its events verified, and copied into a write group; before that it waited for one.
//   written    the group's write was begun: when it was full or no other was under way.
//   durable    the write was seen to be durable.
//   acked      its ack was given to the edge's socket.
//
// Each counts once per event, and `ack` is the whole: appended + written + durable + acked == ack, as long as the sessions that batches came
// by live to be told. Duplicates, gaps and ticks are not counted.
//
// Thread    The ingest runner; anyone reads.
// Cost      One reading of the clock per batch and one per ack frame.
#pragma once

#include "core/metrics/histogram.hpp"
#include "core/metrics/moments.hpp"

namespace weir::central {

struct CentralHops {
    Histogram appended, written, durable, acked;
    Histogram ack;  // the whole
};

}  // namespace weir::central
