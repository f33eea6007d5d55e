#include "central/daemon/api.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>

#include "core/base/json_scan.hpp"
#include "core/control/metrics_text.hpp"

namespace weir::central {
namespace {

using control::AdminResponse;

AdminResponse json(std::string body, unsigned status = 200) {
    return {status, "application/json", std::move(body)};
}

// An event's type may be any bytes: what is printed is JSON all the same.
std::string quoted(std::string_view text) {
    std::string out;
    json_quote(text, out);
    return out;
}

void member(std::string& out, std::string_view name, std::string_view raw) {
    if (out.back() != '{') out += ',';
    out += quoted(name);
    out += ':';
    out += raw;
}
void member(std::string& out, std::string_view name, std::uint64_t value) {
    member(out, name, std::to_string(value));
}

// As text: a number this large loses digits in JavaScript.
std::string hex(std::uint64_t value) {
    char text[20];
    std::snprintf(text, sizeof text, "\"%016llx\"", static_cast<unsigned long long>(value));
    return text;
}

struct Account {
    std::uint64_t received = 0, appended = 0, duplicates = 0, rejected = 0, dead_lettered = 0, gap = 0, elsewhere = 0;
    explicit Account() = default;
    explicit Account(const PositionRow& row)
        : appended(row.appended.get()),
          duplicates(row.duplicates.get()),
          rejected(row.rejected.get()),
          dead_lettered(row.dead_lettered.get()),
          gap(row.gap.get()),
          elsewhere(row.elsewhere.get()) {
        received = row.received.get();
    }
    void add(const Account& other) {
        received += other.received;
        appended += other.appended;
        duplicates += other.duplicates;
        rejected += other.rejected;
        dead_lettered += other.dead_lettered;
        gap += other.gap;
        elsewhere += other.elsewhere;
    }
    [[nodiscard]] std::int64_t residue() const {
        return static_cast<std::int64_t>(received - appended - duplicates - rejected);
    }
    void write(std::string& out) const {
        member(out, "received", received);
        member(out, "appended", appended);
        member(out, "duplicates", duplicates);
        member(out, "rejected", rejected);
        member(out, "dead_lettered", dead_lettered);
        member(out, "gap", gap);
        member(out, "elsewhere", elsewhere);
    }
};

std::string_view part_text(wire::Part part) {
    return part == wire::Part::live ? "live" : "backlog";
}

AdminResponse ledger(const IngestShared& shared) {
    std::string lanes;
    Account totals;
    for (std::uint32_t i = 0; i < shared.positions.row_count(); ++i) {
        const PositionRow& row = shared.positions.row(i);
        const Account account(row);
        totals.add(account);
        std::string one = "{";
        member(one, "edge", quoted(wire::name_of(row.key.edge)));
        member(one, "lineage", hex(row.key.lineage));
        member(one, "lane", quoted(wire::name_of(row.lane_name)));
        member(one, "lane_id", row.key.lane);
        member(one, "part", quoted(part_text(row.key.part)));
        account.write(one);
        member(one, "last_sequence", row.last_sequence.get());
        if (!lanes.empty()) lanes += ',';
        lanes += one + "}";
    }
    std::string sums = "{";
    totals.write(sums);
    member(sums, "dead_letters_expired", shared.letters_expired.get());
    member(sums, "residue", std::to_string(totals.residue()));
    return json("{\"lanes\":[" + lanes + "],\"totals\":" + sums + "}}\n");
}

AdminResponse edges(const ApiSources& sources) {
    const PositionTable& positions = sources.shared.positions;
    const ReadSnapshot counts = sources.model.snapshot();
    std::string list;
    for (std::uint32_t i = 0; i < positions.edge_count(); ++i) {
        const EdgeRow& row = positions.edge(i);
        const auto name = wire::name_of(row.key.edge);
        std::uint64_t events = 0;
        for (std::uint32_t r = 0; r < positions.row_count(); ++r) {
            const PositionRow& position = positions.row(r);
            if (position.key.edge == row.key.edge && position.key.lineage == row.key.lineage) {
                events += position.appended.get();
            }
        }
        std::string types = "{";
        for (const EdgeCounts& edge : counts.edges) {
            if (edge.edge != name) continue;
            for (std::size_t t = 0; t < edge.by_type.size(); ++t) {
                if (edge.by_type[t] != 0) member(types, counts.types[t].type, edge.by_type[t]);
            }
        }
        std::string one = "{";
        member(one, "edge", quoted(name));
        member(one, "connected", row.connected.get() != 0 ? std::string_view("true") : std::string_view("false"));
        member(one, "lineage", hex(row.key.lineage));
        member(one, "epoch", row.epoch.get());
        member(one, "connections", row.connections.get());
        member(one, "last_seen_ms", row.last_seen_wall_ns.get() / ns_per_ms);
        member(one, "events", events);
        member(one, "types", types + "}");
        if (!list.empty()) list += ',';
        list += one + "}";
    }
    return json("{\"edges\":[" + list + "]}\n");
}

AdminResponse types(const ApiSources& sources) {
    const ReadSnapshot counts = sources.model.snapshot();
    std::string list;
    for (const TypeCounts& type : counts.types) {
        std::string minutes;
        for (const MinuteCount& minute : type.minutes) {
            std::string cell = "{";
            member(cell, "minute_ms", minute.minute * (minute_ns / ns_per_ms));
            member(cell, "events", minute.events);
            if (!minutes.empty()) minutes += ',';
            minutes += cell + "}";
        }
        std::string one = "{";
        member(one, "type", quoted(type.type));
        member(one, "events", type.events);
        member(one, "older", type.older);
        member(one, "minutes", "[" + minutes + "]");
        if (!list.empty()) list += ',';
        list += one + "}";
    }
    std::string out = "{";
    member(out, "events", counts.events);
    member(out, "position", counts.position);
    member(out, "types", "[" + list + "]");
    return json(out + "}\n");
}

AdminResponse lanes(const IngestShared& shared) {
    std::string list;
    const auto add = [&](std::string_view name, std::uint64_t credit_bytes, bool is_held) {
        std::string one = "{";
        member(one, "lane", quoted(name));
        member(one, "credit_bytes", credit_bytes);
        member(one, "held", is_held ? std::string_view("true") : std::string_view("false"));
        list += (list.empty() ? "" : ",") + one + "}";
    };
    const auto held = shared.holds.held();
    for (const auto& bound : shared.lane_bounds) {
        add(bound.name, bound.credit_bytes, std::find(held.begin(), held.end(), bound.name) != held.end());
    }
    for (const auto& name : held) {
        const auto is_it = [&](const auto& bound) { return bound.name == name; };
        if (std::none_of(shared.lane_bounds.begin(), shared.lane_bounds.end(), is_it)) add(name, 0, true);
    }
    return json("{\"lanes\":[" + list + "]}\n");
}

AdminResponse ready(const ApiSources& sources) {
    std::string reasons;
    const auto add = [&](const std::string& why) { reasons += (reasons.empty() ? "" : ",") + quoted(why); };
    if (const auto code = sources.shared.poison_errno.get(); code != 0) {
        add("storage: the journal cannot be written, errno " + std::to_string(code));
    }
    if (const auto code = sources.shared.full_errno.get(); code != 0) {
        add("storage: no next journal file, errno " + std::to_string(code));
    }
    if (const auto code = sources.shared.letters_errno.get(); code != 0) {
        add("storage: dead letters cannot be written, errno " + std::to_string(code));
    }
    if (sources.is_draining.load(std::memory_order_relaxed)) add("draining");
    if (!sources.is_alive.load(std::memory_order_relaxed)) add("ingest does not move");
    const bool is_ready = reasons.empty();
    return json("{\"ready\":" + std::string(is_ready ? "true" : "false") + ",\"reasons\":[" + reasons + "]}\n",
                is_ready ? 200 : 503);
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
    count("weir_central_sink_silenced_total", "Alerts that an operator has silenced", counters.silenced);
}

AdminResponse metrics(const ApiSources& sources) {
    const IngestShared& shared = sources.shared;
    control::MetricsText out;
    for (std::uint32_t i = 0; i < shared.positions.row_count(); ++i) {
        const PositionRow& row = shared.positions.row(i);
        const Account account(row);
        const std::string lineage = hex(row.key.lineage).substr(1, 16);
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
    Account totals;
    for (std::uint32_t i = 0; i < shared.positions.row_count(); ++i) totals.add(Account(shared.positions.row(i)));
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
    if (sources.tellers != nullptr) {
        for (const auto& teller : *sources.tellers) sink_metrics(*teller, out);
    }
    return {200, std::string(control::metrics_content_type),
            out.text() + (sources.tls != nullptr ? sources.tls->metrics() : std::string()) +
                (sources.guard != nullptr ? sources.guard->metrics() : std::string())};
}

}  // namespace

const std::vector<control::AccessRule>& access_rules() {
    static const std::vector<control::AccessRule> rules{
        {.is_act = false, .path = "/healthz", .role = {}},
        {.path = "/api/v1/lanes/*", .role = control::Role::operator_},
        {.path = "/api/v1/dead-letters/*", .role = control::Role::replayer, .needs_reason = true},
    };
    return rules;
}

AdminResponse answer(const ApiSources& sources, std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    if (path == "/healthz") {
        const bool is_alive = sources.is_alive.load(std::memory_order_relaxed);
        return json(is_alive ? "{\"healthy\":true}\n" : "{\"healthy\":false}\n", is_alive ? 200 : 503);
    }
    if (path == "/readyz") return ready(sources);
    if (path == "/metrics") return metrics(sources);
    if (path == "/api/v1/ledger") return ledger(sources.shared);
    if (path == "/api/v1/edges") return edges(sources);
    if (path == "/api/v1/types") return types(sources);
    if (path == "/api/v1/lanes") return lanes(sources.shared);
    if (path == "/api/v1/access" && sources.guard != nullptr) return json(sources.guard->json());
    if (sources.results != nullptr) {
        if (auto answered = sources.results->answer(target)) return std::move(*answered);
    }
    return json("{\"error\":\"no such path\"}\n", 404);
}

AdminResponse act(IngestShared& shared, std::string_view target) {
    constexpr std::string_view head = "/api/v1/lanes/", hold = "/hold", release = "/release";
    const bool is_hold = target.ends_with(hold);
    if (!target.starts_with(head) || !(is_hold || target.ends_with(release))) {
        return json("{\"error\":\"no such act\"}\n", 404);
    }
    target.remove_prefix(head.size());
    const std::size_t tail_bytes = (is_hold ? hold : release).size();
    const std::string_view name = target.substr(0, target.size() - std::min(target.size(), tail_bytes));
    if (!wire::is_name(name, wire::lane_name_bytes_max)) return json("{\"error\":\"not a lane's name\"}\n", 400);
    if (!shared.holds.set(name, is_hold)) return json("{\"error\":\"too many lanes are named\"}\n", 409);
    return lanes(shared);
}

}  // namespace weir::central
