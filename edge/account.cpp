#include "edge/account.hpp"

#include <algorithm>

#include "core/base/json_scan.hpp"
#include "core/base/types.hpp"
#include "core/control/metrics_text.hpp"

namespace weir::edge {
namespace {

void append_field(std::string& out, const char* name, std::uint64_t value) {
    out += out.back() == '{' ? "\"" : ",\"";
    out += name;
    out += "\":";
    out += std::to_string(value);
}

std::string_view part_text(const LaneName& stream) {
    return stream.part == wire::Part::backlog ? "backlog" : "live";
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
    }
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        const std::uint64_t spooled = counters.spool.lanes[index].spooled.get();
        ledger.spooled += spooled;
        if (lanes[index].id == dead_letter_lane) ledger.dead_lettered = std::max(spooled, dead_delivered);
    }
    ledger.accepted = intake.accepted.get();
    ledger.duplicates = intake.duplicates.get();
    ledger.rejected = intake.rejected.get();
    ledger.offered = intake.offered.get();
    const std::uint64_t gone = ledger.delivered + ledger.dead_lettered + ledger.shed + ledger.expired + ledger.gap;
    ledger.held = ledger.accepted > gone ? ledger.accepted - gone : 0;
    ledger.residue = static_cast<std::int64_t>(ledger.offered - ledger.accepted - ledger.duplicates - ledger.rejected);
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
        const LaneCounters& lane = counters.spool.lanes[index];
        const std::uint64_t delivered = lane.delivered.get();
        const std::uint64_t gap = lane.gap.get();
        const std::uint64_t given_up = lane.shed.get() + lane.expired.get();
        const std::uint64_t spooled = lane.spooled.get();
        if (index > 0) out += ",";
        out += "{\"lane\":";
        json_quote(lanes[index].name, out);
        append_field(out, "id", lanes[index].id);
        out += ",\"part\":\"" + std::string(part_text(lanes[index])) + "\"";
        append_field(out, "spooled", spooled);
        append_field(out, "delivered", delivered);
        append_field(out, "gap", gap);
        append_field(out, "shed", lane.shed.get());
        append_field(out, "expired", lane.expired.get());
        const std::uint64_t gone = delivered + gap + given_up;
        append_field(out, "held", spooled > gone ? spooled - gone : 0);
        out += "}";
    }
    out += "]}\n";
    return out;
}

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
    total("weir_edge_offered_total", "Events that producers sent whole", intake.offered);
    total("weir_edge_accepted_total", "Events taken, dead letters included", intake.accepted);
    total("weir_edge_duplicates_total", "Events recognised as sent before", intake.duplicates);
    total("weir_edge_rejected_total", "Events refused to their producer and not kept", intake.rejected);
    total("weir_edge_received_bytes_total", "Bytes from producers", intake.received_bytes);
    total("weir_edge_batches_total", "Batches closed", intake.batches);
    total("weir_edge_connections_total", "Producer connections since the start", intake.connections_total);
    total("weir_edge_stalls_total", "Duty cycles that had no room to take events", intake.stalls);
    total("weir_edge_intake_checkpoints_total", "Checkpoints of intake stored", intake.checkpoints);
    total("weir_edge_intake_checkpoint_failures_total", "Checkpoints of intake that failed",
          intake.checkpoint_failures);
    for (std::size_t reason = 0; reason < intake.dead_letters_by_reason.size(); ++reason) {
        const std::string name{wire::text(static_cast<wire::Reason>(reason))};
        if (const auto count = intake.dead_letters_by_reason[reason].get()) {
            text.counter("weir_edge_dead_letters_total", "Events set aside, by reason", {{"reason", name}}, count);
        }
        if (const auto count = intake.rejected_by_reason[reason].get()) {
            text.counter("weir_edge_rejected_by_reason_total", "Events refused, by reason", {{"reason", name}}, count);
        }
    }
    for (std::size_t reason = 0; reason < intake.refusals_by_reason.size(); ++reason) {
        if (const auto count = intake.refusals_by_reason[reason].get()) {
            text.counter("weir_edge_producers_refused_total", "Producer connections ended, by reason",
                         {{"reason", wire::text(static_cast<wire::RefusalReason>(reason))}}, count);
        }
    }
    text.gauge("weir_edge_info", "Always 1; the labels say what runs", {{"edge", facts.edge_id}, {"io", facts.io_name}},
               1.0);
    const Ledger ledger = ledger_of(counters, lanes);
    text.gauge("weir_edge_ledger_residue",
               "offered - accepted - duplicates - rejected, taken by intake between two duty cycles; 0 when it closes",
               {}, static_cast<double>(static_cast<std::int64_t>(intake.residue.get())));
    gauge("weir_edge_connections", "Producer connections now", intake.connections.get());
    gauge("weir_edge_slots_held", "Receive slots leased", intake.slots_held.get());
    gauge("weir_edge_buffers_free", "Batch buffers free", intake.buffers_free.get());
    gauge("weir_edge_filter_ids", "Ids in the duplicate filter", intake.filter_ids.get());
    gauge("weir_edge_producers", "Numbered producers known", intake.producers.get());
    gauge("weir_edge_keys", "Keys whose last value is known", intake.keys.get());
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        text.counter("weir_edge_spooled_total", "Events durable in the spool, of the lineage",
                     {{"lane", lanes[index].name}, {"part", part_text(lanes[index])}},
                     spool.lanes[index].spooled.get());
    }
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        text.counter("weir_edge_delivered_total", "Events durable at central, of the lineage",
                     {{"lane", lanes[index].name}, {"part", part_text(lanes[index])}},
                     spool.lanes[index].delivered.get());
    }
    const auto per_stream = [&](const char* name, const char* help, Counter LaneCounters::*value, bool is_total) {
        for (std::size_t index = 0; index < lanes.size(); ++index) {
            const std::uint64_t count = (spool.lanes[index].*value).get();
            const std::string_view part = part_text(lanes[index]);
            if (is_total) {
                text.counter(name, help, {{"lane", lanes[index].name}, {"part", part}}, count);
            } else {
                text.gauge(name, help, {{"lane", lanes[index].name}, {"part", part}}, static_cast<double>(count));
            }
        }
    };
    per_stream("weir_edge_gap_total", "Events that central got a gap for, of the lineage", &LaneCounters::gap, true);
    per_stream("weir_edge_shed_total", "Events given up for room by the lane's policy, of the lineage",
               &LaneCounters::shed, true);
    per_stream("weir_edge_expired_total", "Events given up for their age by the lane's policy, of the lineage",
               &LaneCounters::expired, true);
    per_stream("weir_edge_lane_fill_percent", "Share used of what the lane may hold", &LaneCounters::fill, false);
    per_stream("weir_edge_lane_undelivered_bytes", "Bytes of the stream's journal that are not delivered",
               &LaneCounters::bytes, false);
    total("weir_edge_part_changes_total", "Times that a live_first lane went to its backlog part or back",
          spool.part_changes);
    gauge("weir_edge_held_events", "Events accepted and not settled yet", ledger.held);
    gauge("weir_edge_journal_bytes_held", "Bytes of the spool's journal in use", spool.journal_bytes_held.get());
    total("weir_edge_journal_written_bytes_total", "Bytes written to the spool", spool.journal_bytes_written);
    total("weir_edge_journal_appends_total", "Write groups of the spool", spool.appends);
    total("weir_edge_spool_checkpoints_total", "Checkpoints of the spool stored", spool.checkpoints);
    total("weir_edge_spool_checkpoint_failures_total", "Checkpoints of the spool that failed",
          spool.checkpoint_failures);
    gauge("weir_edge_spool_poisoned_errno", "errno of the write that ended the spool, 0 while it is well",
          spool.poisoned_errno.get());
    gauge("weir_edge_uplink_connected", "1 while a session with a central is agreed", spool.is_connected.get());
    gauge("weir_edge_uplink_endpoint", "Which of the configured centrals, from 0", spool.endpoint.get());
    for (std::size_t index = 0; index < facts.centrals.size(); ++index) {
        text.gauge("weir_edge_uplink_breaker",
                   "0 closed, 1 half open, 2 open: left alone while another one may be tried",
                   {{"central", facts.centrals[index]}}, static_cast<double>(spool.breakers[index].get()));
    }
    total("weir_edge_uplink_switch_overs_total", "Sessions agreed with another central than the one before",
          spool.switch_overs);
    total("weir_edge_uplink_returns_total", "Of them, to a more preferred central that had answered for long enough",
          spool.returns);
    total("weir_edge_uplink_probes_total", "Times that a more preferred central was asked whether it is there",
          spool.probes);
    total("weir_edge_uplink_probes_answered_total", "Of them, with an answer", spool.probes_answered);
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
    total("weir_edge_uplink_central_behind_total", "Sessions in which central had less than it had acked",
          spool.central_behind);
    total("weir_edge_uplink_central_ahead_total", "Sessions in which central had more than is here",
          spool.central_ahead);
    total("weir_edge_spool_damaged_records_total", "Records that could not be read back", spool.damaged_records);
    total("weir_edge_reloads_total", "Configurations taken while running", intake.reloads);
    text.counter("weir_edge_reloads_refused_total", "Mistakes and fixed keys for which a configuration was not taken",
                 {}, facts.reloads_refused);
    total("weir_edge_scrub_rounds_total", "Times that everything kept was read again", facts.scrub.rounds);
    total("weir_edge_scrub_bytes_total", "Bytes read again and found right", facts.scrub.bytes);
    total("weir_edge_scrub_damaged_segments_total", "Segments in which the scrubber found damage",
          facts.scrub.damaged_segments);
    text.counter("weir_edge_quarantined_segments_total", "Damaged segments moved to quarantine/", {},
                 facts.quarantined);
    total("weir_edge_spool_read_back_bytes_total", "Bytes read back to be sent", spool.read_back_bytes);
    gauge("weir_edge_uplink_credit_bytes", "Credit left in this session", spool.credit_bytes_left.get());
    gauge("weir_edge_uplink_unacked_batches", "Batches sent and not acked", spool.unacked_batches.get());
    text.histogram("weir_edge_spooled_ack_seconds", "From receive to the spooled ack", {}, intake.spooled_ack_ns);
    text.histogram("weir_edge_append_seconds", "From submit to durable", {}, spool.append_ns);
    text.histogram("weir_edge_delivered_seconds", "From a batch's sending to its ack", {}, spool.delivered_ns);
    return text.text();
}

}  // namespace weir::edge
