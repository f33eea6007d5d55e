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
#include "edge/hops.hpp"

namespace weir::edge {

inline constexpr std::size_t lanes_max = wire::hello_lanes_max;
inline constexpr std::size_t centrals_max = 16;  // that one edge may be told of

struct ShedCounters {
    Counter unsequenced, sequences;  // of the lineage: shed before they got a sequence, and afterwards (by the spool)
    Counter lane_full, random, critical;  // of `unsequenced` since the start, by reason
};
struct alignas(64) IntakeCounters {            // writer: intake runner
    std::array<ShedCounters, lanes_max> shed;  // index: stream
    Counter offered, accepted, duplicates, rejected;
    Counter reloads, config_digest;  // configurations taken since the start; that of the present one
    Counter edited, enriched, withheld, enrich_skipped, edits_too_large;  // edge/intake/edit.hpp, EditCounts
    Counter residue;  // offered that was not judged, as intake itself sees it between two duty cycles
    std::array<Counter, 64> dead_letters_by_reason;  // index: wire::Reason
    std::array<Counter, 64> rejected_by_reason;
    std::array<Counter, 16> refusals_by_reason;  // connections ended, index: wire::RefusalReason
    Counter connections, connections_total, received_bytes, batches, slots_held, filter_ids, producers, keys;
    std::array<Counter, lanes_max> fill;  // percent of what it may hold, index: stream
    Counter waiting, parked_bytes;        // connections whose lane has no room, and what was received of them
    Counter checkpoints, checkpoint_failures, buffers_free,
        stalls;  // stalls: times that a connection's events were put back, or a vector waited, for want of room
    std::array<Counter, 2> fuse_state;             // FuseState, index: FusedStage
    std::array<Counter, 2> fuse_blown;             // times, index: FusedStage
    Counter rate_waits;                            // times that a connection had used up what its rate allowed
    Counter disk_window_bytes;                     // what may be closed and not durable
    Counter connections_held;                      // by a fuse
    Counter rung;                                  // wire::Rung, as the edge now stands
    std::array<Counter, 3> rung_changes;           // to each wire::Rung
    std::array<Counter, lanes_max> lane_accepted;  // events, totals of the lineage; index: order of the lanes
    Counter notes_waiting;                         // in the ring from the spool, as intake last saw it
    Counter checkpoint_bytes_written, filter_bytes_written;  // to the disk, since the start
    IntakeHops hops;
};
struct alignas(64) LaneCounters {     // of a stream; writer: spool runner
    Counter spooled, delivered, gap;  // events, totals of the lineage; gap: central has a gap batch in their stead
    Counter shed, expired;            // events given up by the lane's policy, of the lineage
    Counter bytes;                    // of its journal that are not delivered
};
struct alignas(64) SpoolCounters {              // writer: spool runner
    std::array<LaneCounters, lanes_max> lanes;  // index: order of EdgeParts::lanes
    Counter journal_bytes_needed;  // of those held: not those that are only kept for a central that may lose them
    Counter journal_bytes_held, journal_bytes_written, appends, journal_writes, checkpoint_failures, checkpoints;
    Counter is_connected, sessions, sent_batches, resent_batches, acked_batches, refusals, endpoint, poisoned_errno;
    std::array<Counter, centrals_max> breakers;  // BreakerState, index: order of uplink.centrals
    Counter part_changes;                        // of live_first lanes: live to backlog or back
    Counter switch_overs;                        // sessions agreed with another central than the one before
    Counter returns;                             // of them, those to a more preferred one that answered probes
    Counter probes, probes_answered;
    Counter statuses;  // said to central
    Counter credit_bytes_left, unacked_batches;
    Counter catch_up_window_bytes, catch_up_bytes_per_s, live_usual_ns;
    Counter gap_events;                     // sequences that central got a gap batch for, acked
    Counter elsewhere_events;               // of sequences named to a central as delivered to another one, acked
    Counter last_refusal;                   // wire::RefusalReason that ended the last session; 0 once one is agreed
    Counter central_behind, central_ahead;  // sessions in which central had less than acked, or more than is here
    Counter damaged_records, read_back_bytes;
    Counter batches_waiting;           // in the ring from intake, as the spool last saw it
    Counter checkpoint_bytes_written;  // to the disk, since the start
    Histogram append_ns;               // submit to durable
    Histogram delivered_ns;            // batch sent to acked
    SpoolHops hops;
};
struct TableCounters {  // writer: control thread; edge/tables/table_keeper.hpp, TableCounts
    Counter tables, rows, memory_bytes, images, changes, received_bytes, faults, dropped;
};
struct EdgeCounters {
    IntakeCounters intake;
    SpoolCounters spool;
};

}  // namespace weir::edge
