// The edge's account and gauges. Each group has one writer thread; the admin port reads them.
//
// Law       offered = accepted + duplicates + rejected
//           accepted = delivered + dead_lettered + shed + expired + gap + held      (held is what is left: derived, not kept)
#pragma once

#include <array>
#include <cstdint>

#include "core/metrics/counter.hpp"
#include "core/metrics/histogram.hpp"
#include "core/wire/control.hpp"
#include "core/wire/verdict.hpp"

namespace weir::edge {

inline constexpr std::size_t lanes_max = wire::hello_lanes_max;
inline constexpr std::size_t centrals_max = 16;  // that one edge may be told of

struct alignas(64) IntakeCounters {  // writer: intake runner
    Counter offered, accepted, duplicates, rejected;
    Counter reloads, config_digest;  // configurations taken since the start; that of the present one
    Counter residue;                 // offered that was not judged, as intake itself sees it between two duty cycles
    std::array<Counter, 64> dead_letters_by_reason;  // index: wire::Reason
    std::array<Counter, 64> rejected_by_reason;
    std::array<Counter, 16> refusals_by_reason;  // connections ended, index: wire::RefusalReason
    Counter connections, connections_total, received_bytes, batches, slots_held, filter_ids, producers, keys;
    Counter checkpoints, checkpoint_failures, buffers_free,
        stalls;                // stalls: duty cycles that could not take for want of room
    Histogram spooled_ack_ns;  // from the vector's receive to the sending of its spooled ack
};
struct alignas(64) LaneCounters {     // of a stream; writer: spool runner
    Counter spooled, delivered, gap;  // events, totals of the lineage; gap: central has a gap batch in their stead
    Counter shed, expired;            // events given up by the lane's policy, of the lineage
    Counter fill;                     // 0 to 100, of what the lane may hold
    Counter bytes;                    // of its journal that are not delivered
};
struct alignas(64) SpoolCounters {              // writer: spool runner
    std::array<LaneCounters, lanes_max> lanes;  // index: order of EdgeParts::lanes
    Counter journal_bytes_needed;  // of those held: not those that are only kept for a central that may lose them
    Counter journal_bytes_held, journal_bytes_written, appends, checkpoint_failures, checkpoints;
    Counter is_connected, sessions, sent_batches, resent_batches, acked_batches, refusals, endpoint, poisoned_errno;
    std::array<Counter, centrals_max> breakers;  // BreakerState, index: order of uplink.centrals
    Counter part_changes;                        // of live_first lanes: live to backlog or back
    Counter switch_overs;                        // sessions agreed with another central than the one before
    Counter returns;                             // of them, those to a more preferred one that answered probes
    Counter probes, probes_answered;
    Counter credit_bytes_left, unacked_batches;
    Counter gap_events;                     // sequences that central got a gap batch for, acked
    Counter elsewhere_events;               // of sequences named to a central as delivered to another one, acked
    Counter last_refusal;                   // wire::RefusalReason that ended the last session; 0 once one is agreed
    Counter central_behind, central_ahead;  // sessions in which central had less than acked, or more than is here
    Counter damaged_records, read_back_bytes;
    Histogram append_ns;     // submit to durable
    Histogram delivered_ns;  // batch sent to acked
};
struct EdgeCounters {
    IntakeCounters intake;
    SpoolCounters spool;
};

}  // namespace weir::edge
