#include "central/daemon/metrics.hpp"

#include <map>
#include <string>
#include <string_view>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "core/control/disk_room.hpp"
#include "core/control/metrics_text.hpp"

namespace weir::central {
namespace {

void stream_metrics(const ApiSources& sources, control::MetricsText& out) {
    const auto& counters = sources.stream->counters();
    out.gauge("weir_central_stream_clients", "WebSockets of the state now", {},
              static_cast<double>(sources.stream->client_count()));
    out.counter("weir_central_stream_states_total", "States that differ from the one before", {},
                counters.published.get());
    const auto messages = [&](std::string_view type, const Counter& value) {
        out.counter("weir_central_stream_messages_total", "Messages given to clients of the state", {{"type", type}},
                    value.get());
    };
    messages("state", counters.states);
    messages("delta", counters.deltas);
    messages("beat", counters.beats);
    out.counter("weir_central_stream_bytes_total", "Bytes of messages given to clients of the state", {},
                counters.bytes.get());
    if (sources.admin != nullptr) {
        out.counter("weir_central_stream_stalled_clients_total", "WebSockets let go because they took nothing", {},
                    sources.admin->stalled_count());
    }
    if (sources.live == nullptr) return;
    out.gauge("weir_central_live_clients", "WebSockets of live events now", {},
              static_cast<double>(sources.live->client_count()));
    out.counter("weir_central_live_events_total", "Live events put into clients' queues", {}, sources.live->told());
    out.counter("weir_central_live_dropped_events_total", "Live events that did not fit into a client's queue", {},
                sources.live->dropped());
}

// Of each edge's present lineage, once it has said so.
void held_metrics(const PositionTable& positions, control::MetricsText& out) {
    const auto held = held_facts(positions);
    for (const auto& [name, place] : present_lineages(positions)) {
        if (place >= held.size() || !held[place].held) continue;
        const auto edge = wire::name_of(name);
        const auto gauge = [&](std::string_view metric, std::string_view help, std::uint64_t value) {
            out.gauge(metric, help, {{"edge", edge}}, static_cast<double>(value));
        };
        gauge("weir_central_edge_held_events",
              "Events in the edge's spool that are not here, as far as it has said; with its dead letters",
              *held[place].held);
        gauge("weir_central_edge_backlog_events", "Of the events held, those in backlog parts", *held[place].backlog);
        if (!held[place].bytes) continue;
        gauge("weir_central_edge_held_bytes", "Bytes of the edge's spool that were not acked at its last status",
              *held[place].bytes);
        out.gauge("weir_central_edge_status_timestamp_seconds", "When its last status came", {{"edge", edge}},
                  static_cast<double>(positions.edge(place).status_wall_ns.get()) / static_cast<double>(ns_per_second));
    }
}

// An edge by its name, whatever its lineages: one row each.
void edge_metrics(const PositionTable& positions, control::MetricsText& out) {
    struct Seen {
        bool is_connected = false;
        std::uint64_t last_ns = 0;
    };
    std::map<std::string_view, Seen> edges;
    for (std::uint32_t i = 0; i < positions.edge_count(); ++i) {
        const EdgeRow& row = positions.edge(i);
        Seen& seen = edges[wire::name_of(row.key.edge)];
        seen.is_connected = seen.is_connected || row.connected.get() != 0;
        seen.last_ns = std::max(seen.last_ns, row.last_seen_wall_ns.get());
    }
    for (const auto& [name, seen] : edges) {
        out.gauge("weir_central_edge_connected", "1 while the edge has a session", {{"edge", name}},
                  seen.is_connected ? 1.0 : 0.0);
        out.gauge("weir_central_edge_last_seen_timestamp_seconds", "When it was last heard of; 0: not since the start",
                  {{"edge", name}}, static_cast<double>(seen.last_ns) / static_cast<double>(ns_per_second));
    }
    held_metrics(positions, out);
}

void analytics_metrics(const FollowerCounters& counters, control::MetricsText& out) {
    const auto gauge = [&](std::string_view name, std::string_view help, const Counter& value, double unit = 1) {
        out.gauge(name, help, {}, static_cast<double>(value.get()) / unit);
    };
    gauge("weir_central_analytics_running", "1 while the operators follow the journal; 0 where none are defined",
          counters.is_running);
    gauge("weir_central_analytics_position_bytes", "Up to where the operators are, in the journal", counters.position);
    gauge("weir_central_analytics_watermark_timestamp_seconds", "Event time that is complete", counters.watermark,
          ns_per_second);
    gauge("weir_central_analytics_state_bytes", "Size of the operators' last checkpoint", counters.state_bytes);
    gauge("weir_central_analytics_checkpoint_seconds", "How long the operators' last checkpoint took from the records",
          counters.checkpoint_us, ns_per_second / ns_per_us);
    gauge("weir_central_analytics_rows_position_bytes", "Up to where results are stored, in the journal",
          counters.rows.position);
    gauge("weir_central_analytics_waiting_rows", "Results that wait to be stored", counters.rows.waiting);
    gauge("weir_central_analytics_firing_alerts", "Alerts that fire now", counters.firing);
    const auto results = [&](std::string_view kind, const Counter& value) {
        out.counter("weir_central_analytics_results_total", "Results since the start, corrections among them",
                    {{"kind", kind}}, value.get());
    };
    results("windows", counters.windows);
    results("patterns", counters.patterns);
    results("anomalies", counters.anomalies);
    results("alerts", counters.notices);
    out.counter("weir_central_analytics_commits_total", "Transactions of results stored", {},
                counters.rows.commits.get());
    out.counter("weir_central_analytics_checkpoints_total", "Checkpoints of the operators stored", {},
                counters.checkpoints.get());
    out.counter("weir_central_analytics_failures_total", "Times that results could not be stored", {},
                counters.failures.get());
    out.counter("weir_central_analytics_unreadable_events_total", "Events that the operators could not read", {},
                counters.unreadable.get());
}

void sink_metrics(const AlertTeller& teller, control::MetricsText& out) {
    const TellerCounters& counters = teller.counters();
    const auto count = [&](std::string_view name, std::string_view help, const Counter& value) {
        out.counter(name, help, {{"sink", teller.name()}}, value.get());
    };
    count("weir_central_sink_told_alerts_total", "Alerts that the sink has taken", counters.told);
    count("weir_central_sink_failures_total", "Attempts that failed", counters.failures);
    count("weir_central_sink_refused_alerts_total", "Alerts that the sink will not take", counters.refused);
    count("weir_central_sink_stale_alerts_total", "Alerts that were too old to be told", counters.stale);
    count("weir_central_sink_missed_alerts_total", "Alerts pruned before they were told", counters.missed);
    count("weir_central_sink_silenced_alerts_total", "Alerts that were not told because of a silence",
          counters.silenced);
}

}  // namespace

std::array<control::Hop, 5> hops_of(const CentralHops& hops) {
    return {{{"appended", "received", hops.appended},
             {"written", "appended", hops.written},
             {"durable", "written", hops.durable},
             {"acked", "durable", hops.acked},
             {"ack", "received", hops.ack, true}}};
}

std::vector<HopTimes> hop_times(const CentralHops& hops) {
    std::vector<HopTimes> all;
    for (const control::Hop& hop : hops_of(hops)) {
        all.push_back({.hop = std::string(hop.name),
                       .p50_us = hop.times.percentile(0.5) / ns_per_us,
                       .p99_us = hop.times.percentile(0.99) / ns_per_us,
                       .max_us = hop.times.max() / ns_per_us,
                       .count = hop.times.count()});
    }
    return all;
}

control::AdminResponse metrics(const ApiSources& sources) {
    const IngestShared& shared = sources.shared;
    control::MetricsText out;
    for (std::uint32_t i = 0; i < shared.positions.row_count(); ++i) {
        const PositionRow& row = shared.positions.row(i);
        const Account account(row);
        const std::string lineage = hex_text(row.key.lineage);
        const auto count = [&](std::string_view name, std::string_view help, std::uint64_t value) {
            out.counter(name, help,
                        {{"edge", wire::name_of(row.key.edge)},
                         {"lineage", lineage},
                         {"lane", wire::name_of(row.lane_name)},
                         {"part", part_text(row.key.part)}},
                        value);
        };
        count("weir_central_received_events_total", "Events received", account.received);
        count("weir_central_appended_events_total", "Events put into the journal", account.appended);
        count("weir_central_duplicate_events_total", "Events known before", account.duplicates);
        count("weir_central_rejected_events_total", "Events refused", account.rejected);
        count("weir_central_dead_lettered_events_total",
              "Events put into the journal as dead letters: edges' own, and those that ingest could not verify",
              account.dead_lettered);
        count("weir_central_gap_events_total", "Sequences that the edge declared lost", account.gap);
        count("weir_central_elsewhere_events_total", "Sequences that the edge declared delivered to another central",
              account.elsewhere);
    }
    if (sources.runner != nullptr) {
        const Runner::Load load = sources.runner->load();
        out.seconds_total("weir_central_runner_worked_seconds_total",
                          "Time of a runner's duty cycles that found something to do", {{"runner", "ingest"}},
                          load.worked_ns);
        out.seconds_total("weir_central_runner_idle_seconds_total", "The rest of a runner's time",
                          {{"runner", "ingest"}}, load.idle_ns);
        out.counter("weir_central_runner_cycles_total", "Duty cycles", {{"runner", "ingest"}}, load.cycles);
    }
    edge_metrics(shared.positions, out);
    control::append_disk_room(out, "weir_central_", sources.config.data_dir);
    out.gauge("weir_central_info", "Always 1; the label says what runs", {{"io", sources.io_name}}, 1.0);
    const Account totals = totals_of(shared);
    out.gauge("weir_central_ledger_residue_events",
              "received - appended - duplicates - rejected; 0 when the account closes", {},
              static_cast<double>(totals.residue()));
    for (std::uint8_t reason = 1; reason <= static_cast<std::uint8_t>(wire::RefusalReason::storage); ++reason) {
        out.counter("weir_central_refusals_total", "Connections refused, by reason",
                    {{"reason", wire::text(static_cast<wire::RefusalReason>(reason))}}, shared.refusals[reason].get());
    }
    out.counter("weir_central_dead_letters_expired_total", "Dead letters released by age or size, of those kept", {},
                shared.letters_expired.get());
    out.gauge("weir_central_dead_letters_bytes", "Segments of dead letters on the disk", {},
              static_cast<double>(shared.letters_bytes.get()));
    out.counter("weir_central_dead_letters_retention_failures_total", "Looks of the retention that failed", {},
                shared.letters_failures.get());
    out.gauge("weir_central_open_connections", "Connections now", {}, static_cast<double>(shared.connections.get()));
    out.counter("weir_central_connections_total", "Connections accepted", {}, shared.accepted.get());
    out.counter("weir_central_batches_total", "Batches kept", {}, shared.batches.get());
    out.counter("weir_central_batch_bytes_total", "Bytes of batches kept", {}, shared.batch_bytes.get());
    out.counter("weir_central_edge_statuses_total", "Statuses of edges taken", {}, shared.statuses.get());
    out.counter("weir_central_row_asks_total", "Times that edges which cache tables asked for rows", {},
                shared.table_counters.row_asks.get());
    out.counter("weir_central_dropped_row_asks_total",
                "Of them, left unanswered for want of a buffer: the edge asks again", {},
                shared.table_counters.row_asks_dropped.get());
    out.counter("weir_central_answered_rows_total", "Rows answered", {}, shared.table_counters.rows.get());
    out.counter("weir_central_absent_rows_total", "Keys answered with: there is no such row", {},
                shared.table_counters.absent_rows.get());
    out.counter("weir_central_table_changes_total",
                "Times that an edge was told what has changed of a table that it caches", {},
                shared.table_counters.changes.get());
    out.counter("weir_central_groups_total", "Write groups", {}, shared.groups.get());
    out.counter("weir_central_written_bytes_total", "Bytes written to both journals", {}, shared.written_bytes.get());
    out.counter("weir_central_receive_pauses_total", "Times that receiving paused for want of a write group", {},
                shared.paused.get());
    out.counter("weir_central_carry_waits_total", "Times that a frame waited for one of limits.carries_max buffers", {},
                shared.carry_waits.get());
    out.counter("weir_central_turns_total", "Turns of an edge that ended at limits.turn_bytes", {}, shared.turns.get());
    out.gauge("weir_central_credit_bytes", "Batch bytes that all edges together may have unacked now, at most", {},
              static_cast<double>(shared.credit_on_the_way_max.get()));
    out.counter("weir_central_batches_set_aside_total",
                "Batches not taken because their journal is full or cannot be written", {}, shared.set_aside.get());
    for (std::uint32_t i = 0; i < shared.quota.row_count(); ++i) {
        const EdgeQuota::Row& row = shared.quota.row(i);
        const auto edge = wire::name_of(row.edge);
        const auto both = [&](std::string_view of, const Counter& stored_bytes, const Counter& is_over) {
            out.counter("weir_central_edge_stored_bytes_total", "Bytes of an edge's batches ever stored",
                        {{"edge", edge}, {"of", of}}, stored_bytes.get());
            out.gauge("weir_central_edge_over_quota", "1: the edge has used up its quota and is granted nothing more",
                      {{"edge", edge}, {"of", of}}, static_cast<double>(is_over.get()));
        };
        both("journal", row.journal_bytes, row.is_over_journal);
        both("dead_letters", row.letters_bytes, row.is_over_letters);
    }
    for (const auto& lane : shared.holds.held()) {
        out.gauge("weir_central_lane_held", "1: an operator holds the lane", {{"lane", lane}}, 1.0);
    }
    out.counter("weir_central_ticks_total", "TICK records", {}, shared.ticks.get());
    out.counter("weir_central_checkpoints_total", "Checkpoints stored", {}, shared.checkpoints.get());
    out.counter("weir_central_checkpoints_skipped_total", "Checkpoints too large to store", {},
                shared.checkpoints_skipped.get());
    out.gauge("weir_central_checkpoint_errno", "errno of the last checkpoint; 0 when it went well", {},
              static_cast<double>(shared.checkpoint_errno.get()));
    out.counter("weir_central_scrub_rounds_total", "Times that both journals were read again", {},
                sources.scrub.rounds.get());
    out.counter("weir_central_scrub_bytes_total", "Bytes read again and found right", {}, sources.scrub.bytes.get());
    out.counter("weir_central_scrub_damaged_segments_total", "Segments in which the scrubber found damage", {},
                sources.scrub.damaged_segments.get());
    out.gauge("weir_central_dead_letters_poisoned", "1 when dead letters cannot be written", {},
              shared.letters_errno.get() != 0 ? 1.0 : 0.0);
    out.gauge("weir_central_journal_poisoned", "1 when the journal cannot be written", {},
              shared.poison_errno.get() != 0 ? 1.0 : 0.0);
    out.gauge("weir_central_journal_position_bytes", "Up to where the journal is durable", {},
              static_cast<double>(shared.durable_position.load(std::memory_order_relaxed)));
    out.gauge("weir_central_reader_position_bytes", "Up to where the read model is, in the journal", {},
              static_cast<double>(sources.reader.position()));
    out.counter("weir_central_reader_read_bytes_total",
                "What the read model's reader read of the journal, by where from", {{"from", "memory"}},
                sources.reader.bytes_from_memory());
    out.counter("weir_central_reader_read_bytes_total", "", {{"from", "disk"}}, sources.reader.bytes_from_disk());
    control::append_hops(out, "weir_central_hop_seconds", hops_of(shared.hops));
    out.histogram("weir_central_ack_seconds", "From the receiving of a batch to its ack, once per event", {},
                  shared.hops.ack);
    if (sources.stream != nullptr) stream_metrics(sources, out);
    if (sources.analytics != nullptr) analytics_metrics(*sources.analytics, out);
    if (sources.tellers != nullptr) {
        for (const auto& teller : *sources.tellers) sink_metrics(*teller, out);
    }
    return {200, std::string(control::metrics_content_type),
            out.text() + (sources.tls != nullptr ? sources.tls->metrics() : std::string()) +
                (sources.admin_tls != nullptr ? sources.admin_tls->metrics() : std::string()) +
                (sources.guard != nullptr ? sources.guard->metrics() : std::string())};
}

}  // namespace weir::central
