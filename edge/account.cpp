#include "edge/account.hpp"

#include <algorithm>

#include "core/base/json_scan.hpp"
#include "core/base/types.hpp"
#include "core/control/disk_room.hpp"
#include "core/control/metrics_text.hpp"
#include "edge/latency.hpp"
#include "edge/tables/cached_metrics.hpp"

namespace weir::edge {
namespace {

void append_field(std::string& out, const char* name, std::uint64_t value) {
    out += out.back() == '{' ? "\"" : ",\"";
    out += name;
    out += "\":";
    out += std::to_string(value);
}

}  // namespace

Ledger ledger_of(const EdgeCounters& counters, const std::vector<LaneName>& lanes) {
    const IntakeCounters& intake = counters.intake;
    Ledger ledger;
    // Read against the flow, so that what moves meanwhile shows as held and never as more delivered than accepted.
    std::uint64_t dead_delivered = 0;
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        const LaneCounters& lane = counters.spool.lanes[index];
        if (lanes[index].id == dead_letter_lane) {
            dead_delivered = lane.delivered.get();
        } else {
            ledger.delivered += lane.delivered.get();
            ledger.gap += lane.gap.get();
            ledger.shed += lane.shed.get();
            ledger.expired += lane.expired.get();
        }
        ledger.shed += intake.shed[index].unsequenced.get();
    }
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        const std::uint64_t spooled = counters.spool.lanes[index].spooled.get();
        if (!lanes[index].in_memory) ledger.spooled += spooled;
        if (lanes[index].id == dead_letter_lane) ledger.dead_lettered = std::max(spooled, dead_delivered);
    }
    ledger.accepted = intake.accepted.get();
    ledger.duplicates = intake.duplicates.get();
    ledger.rejected = intake.rejected.get();
    ledger.offered = intake.offered.get();
    const std::uint64_t gone = ledger.delivered + ledger.dead_lettered + ledger.shed + ledger.expired + ledger.gap;
    ledger.held = ledger.accepted > gone ? ledger.accepted - gone : 0;
    // What has left twice is as much a fault as what came and is nowhere.
    ledger.twice = gone > ledger.accepted ? gone - ledger.accepted : 0;
    ledger.residue = static_cast<std::int64_t>(ledger.offered - ledger.accepted - ledger.duplicates - ledger.rejected -
                                               ledger.twice);
    return ledger;
}

std::string ledger_json(const EdgeCounters& counters, const std::vector<LaneName>& lanes, const std::string& edge_id) {
    const Ledger ledger = ledger_of(counters, lanes);
    std::string out = "{\"edge\":";
    json_quote(edge_id, out);
    append_field(out, "offered", ledger.offered);
    append_field(out, "accepted", ledger.accepted);
    append_field(out, "duplicates", ledger.duplicates);
    append_field(out, "rejected", ledger.rejected);
    append_field(out, "spooled", ledger.spooled);
    append_field(out, "delivered", ledger.delivered);
    append_field(out, "dead_lettered", ledger.dead_lettered);
    append_field(out, "shed", ledger.shed);
    append_field(out, "expired", ledger.expired);
    append_field(out, "gap", ledger.gap);
    append_field(out, "held", ledger.held);
    out += ",\"residue\":" + std::to_string(ledger.residue) + ",\"lanes\":[";
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        if (lanes[index].name.empty()) continue;
        const LaneCounters& lane = counters.spool.lanes[index];
        const std::uint64_t delivered = lane.delivered.get();
        const std::uint64_t gap = lane.gap.get();
        const std::uint64_t given_up = lane.shed.get() + lane.expired.get();
        const std::uint64_t taken = lane.spooled.get();
        if (index > 0) out += ",";
        out += "{\"lane\":";
        json_quote(lanes[index].name, out);
        append_field(out, "id", lanes[index].id);
        out += ",\"part\":\"" + std::string(wire::text(lanes[index].part)) + "\"";
        append_field(out, "spooled", lanes[index].in_memory ? 0 : taken);
        append_field(out, "delivered", delivered);
        append_field(out, "gap", gap);
        append_field(out, "shed", counters.intake.shed[index].unsequenced.get() + lane.shed.get());
        append_field(out, "expired", lane.expired.get());
        const std::uint64_t gone = delivered + gap + given_up;
        append_field(out, "held", taken > gone ? taken - gone : 0);
        if (lanes[index].in_memory) out += ",\"spool\":\"memory\"";
        out += "}";
    }
    out += "]}\n";
    return out;
}

namespace {

// How busy each part is, and how full: what `weir-edge top` shows beside the events.
void append_load(control::MetricsText& text, const EdgeCounters& counters, const std::vector<LaneName>& lanes,
                 const DaemonFacts& facts) {
    for (const auto& [name, load] : facts.runners) {
        text.seconds_total("weir_edge_runner_worked_seconds_total",
                           "Time of a runner's duty cycles that found something to do", {{"runner", name}},
                           load.worked_ns);
        text.seconds_total("weir_edge_runner_idle_seconds_total",
                           "Time of a runner's duty cycles that found nothing to do", {{"runner", name}}, load.idle_ns);
        text.counter("weir_edge_runner_cycles_total", "Duty cycles", {{"runner", name}}, load.cycles);
    }
    const auto ring = [&](std::string_view name, std::uint64_t waiting, std::uint64_t capacity) {
        text.gauge("weir_edge_ring_waiting_elements", "Elements in a ring, as its reader last saw it", {{"ring", name}},
                   static_cast<double>(waiting));
        text.gauge("weir_edge_ring_capacity_elements", "Places of a ring", {{"ring", name}},
                   static_cast<double>(capacity));
    };
    ring("to_spool", counters.spool.batches_waiting.get(), facts.limits.to_spool);
    ring("to_intake", counters.intake.notes_waiting.get(), facts.limits.to_intake);
    const auto limit = [&](const char* name, const char* help, std::uint64_t value) {
        text.gauge(name, help, {}, static_cast<double>(value));
    };
    limit("weir_edge_buffers", "Batch buffers there are (spool.batches_max)", facts.limits.batch_buffers);
    limit("weir_edge_slots", "Receive slots of intake (runtime.receive_slots)", facts.limits.receive_slots);
    limit("weir_edge_spool_bytes_max", "What the spool may hold (spool.bytes_max)", facts.limits.spool_bytes);
    limit("weir_edge_journal_needed_bytes",
          "Of the bytes held, those that are not only kept for a central that may lose them",
          counters.spool.journal_bytes_needed.get());
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        if (lanes[index].name.empty()) continue;
        text.counter("weir_edge_lane_accepted_events_total", "Events given a sequence on a lane, of the lineage",
                     {{"lane", lanes[index].name}, {"part", wire::text(lanes[index].part)}},
                     counters.intake.lane_accepted[index].get());
    }
}

// Every reason there is, from the start: who looks at a counter's growth would miss the first event of one that appears with it.
void append_reasons(control::MetricsText& text, const IntakeCounters& intake) {
    const auto is_named = [](std::string_view name) { return name != "none" && name != "unknown"; };
    for (std::size_t reason = 0; reason < intake.dead_letters_by_reason.size(); ++reason) {
        const auto name = wire::text(static_cast<wire::Reason>(reason));
        if (!is_named(name)) continue;
        text.counter("weir_edge_dead_letters_total", "Events set aside since the start, by reason", {{"reason", name}},
                     intake.dead_letters_by_reason[reason].get());
        text.counter("weir_edge_rejected_by_reason_events_total", "Events refused since the start, by reason",
                     {{"reason", name}}, intake.rejected_by_reason[reason].get());
    }
    for (std::size_t reason = 0; reason < intake.refusals_by_reason.size(); ++reason) {
        const auto name = wire::text(static_cast<wire::RefusalReason>(reason));
        if (!is_named(name)) continue;
        text.counter("weir_edge_producers_refused_total", "Producer connections ended, by reason", {{"reason", name}},
                     intake.refusals_by_reason[reason].get());
    }
}

// What lanes give up and how full they are.
void append_lanes(control::MetricsText& text, const IntakeCounters& intake, const std::vector<LaneName>& lanes) {
    const auto spare = std::count_if(lanes.begin(), lanes.end(), [](const LaneName& one) {
        return one.name.empty() && one.part == wire::Part::live;
    });
    text.gauge("weir_edge_spare_lanes", "Lanes that a reload may still add in this life", {},
               static_cast<double>(spare));
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        if (lanes[index].name.empty()) continue;
        if (lanes[index].id == dead_letter_lane) continue;
        const ShedCounters& shed = intake.shed[index];
        const auto part = wire::text(lanes[index].part);
        const auto one = [&](wire::Reason reason, std::uint64_t count) {
            text.counter("weir_edge_shed_events_total",
                         "Events given up by their lane's policy, by reason; shed_oldest: of the lineage",
                         {{"lane", lanes[index].name}, {"part", part}, {"reason", wire::text(reason)}}, count);
        };
        one(wire::Reason::lane_full, shed.lane_full.get());
        one(wire::Reason::shed_random, shed.random.get());
        one(wire::Reason::shed_critical, shed.critical.get());
        one(wire::Reason::shed_oldest, shed.sequences.get());
    }
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        if (lanes[index].name.empty()) continue;
        text.gauge("weir_edge_lane_fill_ratio",
                   "What the lane holds of what it may; at 1 its producers wait, or it sheds",
                   {{"lane", lanes[index].name}, {"part", wire::text(lanes[index].part)}},
                   static_cast<double>(intake.fill[index].get()) / 100);
    }
}

// What goes to the disk, by what it is for; and what of it counts today.
void append_flash(control::MetricsText& text, const EdgeCounters& counters, const DaemonFacts& facts) {
    const auto written = [&](std::string_view kind, std::uint64_t bytes) {
        text.counter("weir_edge_disk_written_bytes_total", "Bytes written to the disk since the start, by kind",
                     {{"kind", kind}}, bytes);
    };
    written("journal", counters.spool.journal_bytes_written.get());
    written("preparation", facts.prepared_bytes);
    written("checkpoints",
            counters.spool.checkpoint_bytes_written.get() + counters.intake.checkpoint_bytes_written.get());
    written("filter", counters.intake.filter_bytes_written.get());
    const FlashCounters& flash = facts.flash;
    const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
        text.gauge(name, help, {}, static_cast<double>(value));
    };
    text.counter(
        "weir_edge_flash_written_bytes_total",
        "Bytes sent to disks since the start, everything counted, by the kernel's account where that can be read", {},
        flash.written_bytes.get());
    gauge("weir_edge_flash_today_bytes", "Of them, those of this day (UTC)", flash.today_bytes.get());
    gauge("weir_edge_flash_projected_bytes", "What this day comes to at the rate of the last hour",
          flash.projected_bytes.get());
    gauge("weir_edge_flash_event_bytes", "This day's bytes for each event taken in it", flash.event_bytes.get());
    gauge("weir_edge_flash_limit_bytes", "What a day may come to (flash.daily_write_limit_bytes); 0: no limit",
          facts.flash_limit_bytes);
    gauge("weir_edge_flash_over_limit", "1 while this day is past its limit, or on course past it",
          flash.is_over.get());
}

}  // namespace

std::string metrics_text(const EdgeCounters& counters, const std::vector<LaneName>& lanes, const DaemonFacts& facts) {
    control::MetricsText text;
    const IntakeCounters& intake = counters.intake;
    const SpoolCounters& spool = counters.spool;
    const auto total = [&](const char* name, const char* help, const Counter& value) {
        text.counter(name, help, {}, value.get());
    };
    const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
        text.gauge(name, help, {}, static_cast<double>(value));
    };
    total("weir_edge_offered_events_total", "Events that producers sent whole", intake.offered);
    total("weir_edge_accepted_events_total", "Events taken, dead letters included", intake.accepted);
    total("weir_edge_duplicate_events_total", "Events recognised as sent before", intake.duplicates);
    total("weir_edge_rejected_events_total", "Events refused to their producer and not kept", intake.rejected);
    total("weir_edge_received_bytes_total", "Bytes from producers", intake.received_bytes);
    total("weir_edge_batches_total", "Batches closed", intake.batches);
    total("weir_edge_connections_total", "Producer connections since the start", intake.connections_total);
    total("weir_edge_rate_waits_total",
          "Times that a connection had used up what listen.rate_events_max allowed by then", intake.rate_waits);
    gauge("weir_edge_disk_window_bytes",
          "What may be closed and not durable, so that the queue for the disk stays short",
          intake.disk_window_bytes.get());
    total("weir_edge_stalls_total", "Times that events were put back, or a vector waited, for want of room",
          intake.stalls);
    total("weir_edge_intake_checkpoints_total", "Checkpoints of intake stored", intake.checkpoints);
    total("weir_edge_intake_checkpoint_failures_total", "Checkpoints of intake that failed",
          intake.checkpoint_failures);
    append_reasons(text, intake);
    text.gauge("weir_edge_info", "Always 1; the labels say what runs", {{"edge", facts.edge_id}, {"io", facts.io_name}},
               1.0);
    const Ledger ledger = ledger_of(counters, lanes);
    text.gauge("weir_edge_ledger_residue_events",
               "offered - accepted - duplicates - rejected, taken by intake between two duty cycles, less what left "
               "twice; 0 when it closes",
               {}, static_cast<double>(static_cast<std::int64_t>(intake.residue.get() - ledger.twice)));
    gauge("weir_edge_low_latency_idle", "1 while the machine's cores are kept from sleeping deeply",
          facts.is_kept_awake ? 1 : 0);
    gauge("weir_edge_open_connections", "Producer connections now", intake.connections.get());
    gauge("weir_edge_slots_held", "Receive slots leased", intake.slots_held.get());
    gauge("weir_edge_buffers_free", "Batch buffers free", intake.buffers_free.get());
    gauge("weir_edge_filter_ids", "Ids in the duplicate filter", intake.filter_ids.get());
    gauge("weir_edge_producers", "Numbered producers known", intake.producers.get());
    gauge("weir_edge_keys", "Keys whose last value is known", intake.keys.get());
    constexpr std::array stages{"decode", "validate"};
    for (std::size_t stage = 0; stage < stages.size(); ++stage) {
        text.gauge("weir_edge_fuse_state",
                   "0 closed, 1 blown, 2 half open: some events of held connections are on trial",
                   {{"stage", stages[stage]}}, static_cast<double>(intake.fuse_state[stage].get()));
    }
    for (std::size_t stage = 0; stage < stages.size(); ++stage) {
        text.counter("weir_edge_fuse_blows_total", "Times that a stage's fuse blew, trials that failed among them",
                     {{"stage", stages[stage]}}, intake.fuse_blown[stage].get());
    }
    gauge("weir_edge_connections_held", "Producer connections that a fuse keeps from being read",
          intake.connections_held.get());
    gauge("weir_edge_poison_events", "Events that are set aside unread, for the process died of them", facts.poisons);
    gauge("weir_edge_rung", "What the edge leaves out: 0 healthy, 1 degraded, 2 critical", intake.rung.get());
    for (std::size_t rung = 0; rung < intake.rung_changes.size(); ++rung) {
        text.counter("weir_edge_rung_changes_total", "Times that the edge came to this rung",
                     {{"to", wire::text(static_cast<wire::Rung>(rung))}}, intake.rung_changes[rung].get());
    }
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        if (lanes[index].name.empty()) continue;
        text.counter("weir_edge_spooled_events_total", "Events durable in the spool, of the lineage",
                     {{"lane", lanes[index].name}, {"part", wire::text(lanes[index].part)}},
                     lanes[index].in_memory ? 0 : spool.lanes[index].spooled.get());
    }
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        if (lanes[index].name.empty()) continue;
        text.counter("weir_edge_delivered_events_total", "Events durable at central, of the lineage",
                     {{"lane", lanes[index].name}, {"part", wire::text(lanes[index].part)}},
                     spool.lanes[index].delivered.get());
    }
    append_lanes(text, intake, lanes);
    gauge("weir_edge_waiting_connections", "Producer connections whose lane has no room", intake.waiting.get());
    gauge("weir_edge_waiting_bytes", "What was received of them and waits", intake.parked_bytes.get());
    const auto per_stream = [&](const char* name, const char* help, Counter LaneCounters::*value, bool is_total) {
        for (std::size_t index = 0; index < lanes.size(); ++index) {
            if (lanes[index].name.empty()) continue;
            const std::uint64_t count = (spool.lanes[index].*value).get();
            const std::string_view part = wire::text(lanes[index].part);
            if (is_total) {
                text.counter(name, help, {{"lane", lanes[index].name}, {"part", part}}, count);
            } else {
                text.gauge(name, help, {{"lane", lanes[index].name}, {"part", part}}, static_cast<double>(count));
            }
        }
    };
    per_stream("weir_edge_gap_events_total", "Events that central got a gap for, of the lineage", &LaneCounters::gap,
               true);
    per_stream("weir_edge_expired_events_total", "Events given up for their age by the lane's policy, of the lineage",
               &LaneCounters::expired, true);
    per_stream("weir_edge_lane_undelivered_bytes", "Bytes of the stream's journal that are not delivered",
               &LaneCounters::bytes, false);
    for (const LaneName& lane : lanes) {
        if (lane.name.empty()) continue;
        text.gauge("weir_edge_lane_memory_bytes_max", "What a lane in memory may hold, 0 for one on the disk",
                   {{"lane", lane.name}, {"part", wire::text(lane.part)}}, static_cast<double>(lane.memory_bytes_max));
    }
    total("weir_edge_part_changes_total", "Times that a live_first lane went to its backlog part or back",
          spool.part_changes);
    gauge("weir_edge_held_events", "Events accepted and not settled yet", ledger.held);
    gauge("weir_edge_journal_held_bytes", "Bytes of the spool's journal in use", spool.journal_bytes_held.get());
    total("weir_edge_journal_written_bytes_total", "Bytes written to the spool", spool.journal_bytes_written);
    total("weir_edge_journal_appends_total", "Write groups of the spool", spool.appends);
    total("weir_edge_journal_writes_total", "Writes in which these went to the disk: fewer where it is behind",
          spool.journal_writes);
    total("weir_edge_spool_checkpoints_total", "Checkpoints of the spool stored", spool.checkpoints);
    total("weir_edge_spool_checkpoint_failures_total", "Checkpoints of the spool that failed",
          spool.checkpoint_failures);
    gauge("weir_edge_spool_poisoned_errno", "errno of the write that ended the spool, 0 while it is well",
          spool.poisoned_errno.get());
    gauge("weir_edge_uplink_connected", "1 while a session with a central is agreed", spool.is_connected.get());
    gauge("weir_edge_uplink_endpoint", "Which of the configured centrals, from 0", spool.endpoint.get());
    for (std::size_t index = 0; index < facts.centrals.size(); ++index) {
        text.gauge("weir_edge_uplink_breaker_state",
                   "0 closed, 1 half open, 2 open: left alone while another one may be tried",
                   {{"central", facts.centrals[index]}}, static_cast<double>(spool.breakers[index].get()));
    }
    total("weir_edge_uplink_switch_overs_total", "Sessions agreed with another central than the one before",
          spool.switch_overs);
    total("weir_edge_uplink_returns_total",
          "Sessions agreed with a more preferred central that had answered for long enough", spool.returns);
    total("weir_edge_uplink_probes_total", "Times that a more preferred central was asked whether it is there",
          spool.probes);
    total("weir_edge_uplink_probes_answered_total", "Times that a more preferred central answered",
          spool.probes_answered);
    total("weir_edge_uplink_statuses_total", "Statuses that central has asked for and was sent", spool.statuses);
    gauge("weir_edge_uplink_last_refusal", "Reason that ended the last session, 0 while one is agreed",
          spool.last_refusal.get());
    total("weir_edge_uplink_sessions_total", "Sessions agreed", spool.sessions);
    total("weir_edge_uplink_refusals_total", "Sessions that central refused or broke", spool.refusals);
    total("weir_edge_uplink_batches_sent_total", "Batches sent", spool.sent_batches);
    total("weir_edge_uplink_batches_read_back_total", "Batches sent from disk", spool.resent_batches);
    total("weir_edge_uplink_batches_acked_total", "Batches acked", spool.acked_batches);
    total("weir_edge_uplink_gap_events_total", "Sequences that central got a gap for", spool.gap_events);
    total("weir_edge_uplink_elsewhere_events_total", "Sequences named to a central as delivered to another one",
          spool.elsewhere_events);
    total("weir_edge_uplink_central_behind_sessions_total", "Sessions in which central had less than it had acked",
          spool.central_behind);
    total("weir_edge_uplink_central_ahead_sessions_total", "Sessions in which central had more than is here",
          spool.central_ahead);
    total("weir_edge_spool_damaged_records_total", "Records that could not be read back", spool.damaged_records);
    total("weir_edge_reloads_total", "Configurations taken while running", intake.reloads);
    text.counter("weir_edge_reloads_refused_total", "Mistakes and fixed keys for which a configuration was not taken",
                 {}, facts.reloads_refused);
    total("weir_edge_events_edited_total", "Events of which something was removed or set before they were stored",
          intake.edited);
    total("weir_edge_events_enriched_total", "Events in which something was set before they were stored",
          intake.enriched);
    total("weir_edge_enrich_skipped_events_total",
          "Events in which nothing could be set: their payload is no JSON object", intake.enrich_skipped);
    total("weir_edge_edit_too_large_events_total", "Events that an edit would have made too large: dead letters",
          intake.edits_too_large);
    total("weir_edge_dead_letters_withheld_total",
          "Dead letters whose bytes were not kept: something personal may be in them", intake.withheld);
    if (facts.tables != nullptr) {
        const TableCounters& tables = *facts.tables;
        gauge("weir_edge_tables", "Tables of reference data in use", tables.tables.get());
        gauge("weir_edge_table_rows", "Rows of the tables in use", tables.rows.get());
        gauge("weir_edge_table_memory_bytes", "Memory of the tables in use", tables.memory_bytes.get());
        total("weir_edge_table_images_total", "Tables taken whole from central", tables.images);
        total("weir_edge_table_changes_total", "Tables taken from central as changes to what was here", tables.changes);
        total("weir_edge_table_received_bytes_total", "Bytes of tables from central", tables.received_bytes);
        total("weir_edge_table_faults_total", "Tables damaged, too large or not what was offered", tables.faults);
        total("weir_edge_table_frames_dropped_total", "Frames of tables that found no buffer; asked for again",
              tables.dropped);
    }
    if (facts.cached_tables != nullptr) append_cached_tables(text, *facts.cached_tables, *facts.row_asks);
    total("weir_edge_scrub_rounds_total", "Times that everything kept was read again", facts.scrub.rounds);
    total("weir_edge_scrub_bytes_total", "Bytes read again and found right", facts.scrub.bytes);
    total("weir_edge_scrub_damaged_segments_total", "Segments in which the scrubber found damage",
          facts.scrub.damaged_segments);
    text.counter("weir_edge_quarantined_segments_total", "Damaged segments moved to quarantine/", {},
                 facts.quarantined);
    total("weir_edge_spool_read_back_bytes_total", "Bytes read back to be sent", spool.read_back_bytes);
    gauge("weir_edge_uplink_credit_bytes", "Credit left in this session", spool.credit_bytes_left.get());
    gauge("weir_edge_catch_up_window_bytes",
          "What is read back and may be on its way at once (uplink.catch_up_queue_us)",
          spool.catch_up_window_bytes.get());
    gauge("weir_edge_catch_up_bytes_per_second_max", "How fast what is read back may go beside live batches",
          spool.catch_up_bytes_per_s.get());
    text.gauge("weir_edge_live_usual_seconds",
               "The 99th percentile of live batches' time from when they were to be closed to central's ack, while "
               "nothing is read back",
               {}, static_cast<double>(spool.live_usual_ns.get()) / static_cast<double>(ns_per_second));
    gauge("weir_edge_uplink_unacked_batches", "Batches sent and not acked", spool.unacked_batches.get());
    append_load(text, counters, lanes, facts);
    append_flash(text, counters, facts);
    control::append_disk_room(text, "weir_edge_", facts.data_dir);
    append_latency(text, counters);
    text.histogram("weir_edge_append_seconds", "From submit to durable", {}, spool.append_ns);
    text.histogram("weir_edge_delivered_seconds", "From a batch's sending to its ack", {}, spool.delivered_ns);
    return text.text();
}

}  // namespace weir::edge
