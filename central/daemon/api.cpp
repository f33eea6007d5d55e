#include "central/daemon/api.hpp"

#include <string>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/page.hpp"
#include "central/api/problem.hpp"
#include "core/control/metrics_text.hpp"

namespace weir::central {
namespace {

using control::AdminResponse;

AdminResponse ready(const ApiSources& sources) {
    ListText reasons;
    const auto all = unready_reasons(sources);
    for (const auto& why : all) reasons.add_text(why);
    return json_answer(ObjectText().truth("ready", all.empty()).raw("reasons", reasons.end()).end(),
                       all.empty() ? 200 : 503);
}

void analytics_metrics(const FollowerCounters& counters, control::MetricsText& out) {
    const auto gauge = [&](std::string_view name, std::string_view help, const Counter& value) {
        out.gauge(name, help, {}, static_cast<double>(value.get()));
    };
    gauge("weir_central_analytics_position", "Of the operators, bytes of the journal", counters.position);
    gauge("weir_central_analytics_watermark_ns", "Event time that is complete", counters.watermark);
    gauge("weir_central_analytics_state_bytes", "Of the operators' last checkpoint", counters.state_bytes);
    gauge("weir_central_analytics_checkpoint_us", "How long the last one took, in which no record is taken",
          counters.checkpoint_us);
    out.counter("weir_central_analytics_commits_total", "Transactions of results", {}, counters.commits.get());
    out.counter("weir_central_analytics_checkpoints_total", "States stored", {}, counters.checkpoints.get());
    out.counter("weir_central_analytics_failures_total", "Times that results could not be stored", {},
                counters.failures.get());
    out.counter("weir_central_analytics_unreadable_total", "Events that the operators could not read", {},
                counters.unreadable.get());
}

void sink_metrics(const AlertTeller& teller, control::MetricsText& out) {
    const TellerCounters& counters = teller.counters();
    const auto count = [&](std::string_view name, std::string_view help, const Counter& value) {
        out.counter(name, help, {{"sink", teller.name()}}, value.get());
    };
    count("weir_central_sink_told_total", "Alerts that the sink has taken", counters.told);
    count("weir_central_sink_failures_total", "Attempts that failed", counters.failures);
    count("weir_central_sink_refused_total", "Alerts that the sink will not take", counters.refused);
    count("weir_central_sink_stale_total", "Alerts that were too old to be told", counters.stale);
    count("weir_central_sink_missed_total", "Alerts pruned before they were told", counters.missed);
    count("weir_central_sink_silenced_total", "Alerts that were not told because of a silence", counters.silenced);
}

void stream_metrics(const ApiSources& sources, control::MetricsText& out) {
    const auto& counters = sources.stream->counters();
    out.gauge("weir_central_stream_clients", "WebSockets of the state now", {},
              static_cast<double>(sources.stream->client_count()));
    out.counter("weir_central_stream_published_total", "States that differ from the one before", {},
                counters.published.get());
    constexpr std::string_view messages = "Messages given to clients";
    out.counter("weir_central_stream_messages_total", messages, {{"type", "state"}}, counters.states.get());
    out.counter("weir_central_stream_messages_total", messages, {{"type", "delta"}}, counters.deltas.get());
    out.counter("weir_central_stream_messages_total", messages, {{"type", "beat"}}, counters.beats.get());
    out.counter("weir_central_stream_bytes_total", "Of those messages", {}, counters.bytes.get());
    if (sources.admin != nullptr) {
        out.counter("weir_central_stream_stalled_total", "WebSockets let go because they took nothing", {},
                    sources.admin->stalled_count());
    }
    if (sources.live == nullptr) return;
    out.gauge("weir_central_live_clients", "WebSockets of live events now", {},
              static_cast<double>(sources.live->client_count()));
    out.counter("weir_central_live_events_total", "Live events put into clients' queues", {}, sources.live->told());
    out.counter("weir_central_live_dropped_total", "Live events that did not fit them", {}, sources.live->dropped());
}

AdminResponse metrics(const ApiSources& sources) {
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
        count("weir_central_received_total", "Events received", account.received);
        count("weir_central_appended_total", "Events put into the journal", account.appended);
        count("weir_central_duplicates_total", "Events known before", account.duplicates);
        count("weir_central_rejected_total", "Events refused", account.rejected);
        count("weir_central_dead_lettered_total",
              "Of those put into it: edges' dead letters, and events that ingest could not verify",
              account.dead_lettered);
        count("weir_central_gap_total", "Sequences that the edge declared lost", account.gap);
        count("weir_central_elsewhere_total", "Sequences that the edge declared delivered to another central",
              account.elsewhere);
    }
    out.gauge("weir_central_info", "Always 1; the label says what runs", {{"io", sources.io_name}}, 1.0);
    const Account totals = totals_of(shared);
    out.gauge("weir_central_residue", "received - appended - duplicates - rejected; 0 when the account closes", {},
              static_cast<double>(totals.residue()));
    for (std::uint8_t reason = 1; reason <= static_cast<std::uint8_t>(wire::RefusalReason::storage); ++reason) {
        out.counter("weir_central_refusals_total", "Connections refused",
                    {{"reason", wire::text(static_cast<wire::RefusalReason>(reason))}}, shared.refusals[reason].get());
    }
    out.counter("weir_central_dead_letters_expired_total", "Dead letters released by age or size, of those kept", {},
                shared.letters_expired.get());
    out.gauge("weir_central_dead_letters_bytes", "Segments of dead letters on the disk", {},
              static_cast<double>(shared.letters_bytes.get()));
    out.counter("weir_central_dead_letters_retention_failures_total", "Looks of the retention that failed", {},
                shared.letters_failures.get());
    out.gauge("weir_central_connections", "Connections now", {}, static_cast<double>(shared.connections.get()));
    out.counter("weir_central_accepted_total", "Connections accepted", {}, shared.accepted.get());
    out.counter("weir_central_batches_total", "Batches kept", {}, shared.batches.get());
    out.counter("weir_central_batch_bytes_total", "Bytes of batches kept", {}, shared.batch_bytes.get());
    out.counter("weir_central_groups_total", "Write groups", {}, shared.groups.get());
    out.counter("weir_central_written_bytes_total", "Bytes written to both journals", {}, shared.written_bytes.get());
    out.counter("weir_central_paused_total", "Times that receiving paused for want of a write group", {},
                shared.paused.get());
    out.counter("weir_central_carry_waits_total", "Times that a frame waited for one of limits.carries_max buffers", {},
                shared.carry_waits.get());
    out.counter("weir_central_turns_total", "Turns of an edge that ended at limits.turn_bytes", {}, shared.turns.get());
    out.gauge("weir_central_credit_bytes", "Batch bytes that all edges together may have unacked now, at most", {},
              static_cast<double>(shared.credit_on_the_way_max.get()));
    out.counter("weir_central_set_aside_total", "Batches not taken because their journal is full or cannot be written",
                {}, shared.set_aside.get());
    for (std::uint32_t i = 0; i < shared.quota.row_count(); ++i) {
        const EdgeQuota::Row& row = shared.quota.row(i);
        const auto edge = wire::name_of(row.edge);
        const auto gauge = [&](std::string_view name, std::string_view help, std::string_view of,
                               const Counter& value) {
            out.gauge(name, help, {{"edge", edge}, {"of", of}}, static_cast<double>(value.get()));
        };
        constexpr std::string_view stored = "Bytes of an edge's batches ever stored";
        constexpr std::string_view over = "1: the edge has used up its quota and is granted nothing more";
        gauge("weir_central_edge_stored_bytes", stored, "journal", row.journal_bytes);
        gauge("weir_central_edge_stored_bytes", stored, "dead_letters", row.letters_bytes);
        gauge("weir_central_edge_over_quota", over, "journal", row.is_over_journal);
        gauge("weir_central_edge_over_quota", over, "dead_letters", row.is_over_letters);
    }
    for (const auto& lane : shared.holds.held()) {
        out.gauge("weir_central_lane_held", "1: an operator holds the lane", {{"lane", lane}}, 1.0);
    }
    out.counter("weir_central_ticks_total", "TICK records", {}, shared.ticks.get());
    out.counter("weir_central_checkpoints_total", "Checkpoints stored", {}, shared.checkpoints.get());
    out.counter("weir_central_checkpoints_skipped_total", "Checkpoints too large to store", {},
                shared.checkpoints_skipped.get());
    out.gauge("weir_central_checkpoint_errno", "Of the last checkpoint; 0 when it went well", {},
              static_cast<double>(shared.checkpoint_errno.get()));
    out.counter("weir_central_scrub_rounds_total", "Times that both journals were read again", {},
                sources.scrub.rounds.get());
    out.counter("weir_central_scrub_bytes_total", "Bytes read again and found right", {}, sources.scrub.bytes.get());
    out.counter("weir_central_scrub_damaged_segments_total", "Segments in which the scrubber found damage", {},
                sources.scrub.damaged_segments.get());
    out.gauge("weir_central_letters_poisoned", "1 when dead letters cannot be written", {},
              shared.letters_errno.get() != 0 ? 1.0 : 0.0);
    out.gauge("weir_central_poisoned", "1 when the journal cannot be written", {},
              shared.poison_errno.get() != 0 ? 1.0 : 0.0);
    out.gauge("weir_central_durable_position", "Of the journal, bytes", {},
              static_cast<double>(shared.durable_position.load(std::memory_order_relaxed)));
    out.gauge("weir_central_reader_position", "Of the read model, bytes", {},
              static_cast<double>(sources.reader.position()));
    if (sources.analytics != nullptr) analytics_metrics(*sources.analytics, out);
    if (sources.stream != nullptr) stream_metrics(sources, out);
    if (sources.tellers != nullptr) {
        for (const auto& teller : *sources.tellers) sink_metrics(*teller, out);
    }
    return {200, std::string(control::metrics_content_type),
            out.text() + (sources.tls != nullptr ? sources.tls->metrics() : std::string()) +
                (sources.guard != nullptr ? sources.guard->metrics() : std::string())};
}

}  // namespace

AdminResponse answer(const ApiSources& sources, std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    if (path == "/healthz") {
        const bool is_alive = sources.is_alive.load(std::memory_order_relaxed);
        return json_answer(ObjectText().truth("healthy", is_alive).end(), is_alive ? 200 : 503);
    }
    if (path == "/readyz") return ready(sources);
    if (path == "/metrics") return metrics(sources);
    if (auto page = answer_page(target)) return std::move(*page);
    if (auto answered = answer_api(sources, target)) return std::move(*answered);
    return problem(404, "there is no such path");
}

}  // namespace weir::central
