// Edges and lanes: GET /api/v1/edges, /api/v1/lanes, /api/v1/types.
#include <algorithm>
#include <map>
#include <set>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/problem.hpp"
#include "core/base/clock.hpp"
#include "core/wire/status.hpp"

namespace weir::central {
namespace {

std::string region_of(const ApiSources& sources, std::string_view edge) {
    const EdgeNote* const note = note_of(sources.config.edges, edge);
    return note == nullptr ? std::string() : note->region;
}

bool can_replay(const ApiSources& sources, std::string_view edge) {
    const EdgeNote* const note = note_of(sources.config.edges, edge);
    return note != nullptr && !note->intake.empty();
}

struct Stored {
    std::uint64_t bytes = 0;
    bool is_over_quota = false;
};
std::map<EdgeName, Stored> stored_by_edge(const IngestShared& shared) {
    std::map<EdgeName, Stored> stored;
    for (std::uint32_t i = 0; i < shared.quota.row_count(); ++i) {
        const EdgeQuota::Row& row = shared.quota.row(i);
        stored[row.edge] = {row.journal_bytes.get() + row.letters_bytes.get(),
                            row.is_over_journal.get() != 0 || row.is_over_letters.get() != 0};
    }
    return stored;
}

std::map<std::pair<EdgeName, std::uint64_t>, std::uint64_t> appended_by_lineage(const PositionTable& positions) {
    std::map<std::pair<EdgeName, std::uint64_t>, std::uint64_t> appended;
    for (std::uint32_t i = 0; i < positions.row_count(); ++i) {
        const PositionRow& row = positions.row(i);
        appended[{row.key.edge, row.key.lineage}] += row.appended.get();
    }
    return appended;
}

// The clock as batches show it; without any, as the last status does.
EdgeDelay delay_of(const ApiSources& sources, std::string_view edge, const HeldFacts& held, WallNs now) {
    EdgeDelay delay = sources.delays != nullptr ? sources.delays->of(edge, now) : EdgeDelay{};
    if (!delay.clock_offset_ms) delay.clock_offset_ms = held.clock_offset_ms;
    return delay;
}

std::string types_text(const ReadSnapshot& counts, std::string_view edge) {
    ObjectText types;
    for (const EdgeCounts& one : counts.edges) {
        if (one.edge != edge) continue;
        for (std::size_t t = 0; t < one.by_type.size(); ++t) {
            std::string name;
            json_quote(counts.types[t].type, name);
            if (one.by_type[t] != 0) types.number(std::string_view(name).substr(1, name.size() - 2), one.by_type[t]);
        }
    }
    return types.end();
}

}  // namespace

std::vector<EdgeFacts> edge_facts(const ApiSources& sources, WallNs now) {
    const PositionTable& positions = sources.shared.positions;
    const auto stored = stored_by_edge(sources.shared);
    const auto appended = appended_by_lineage(positions);
    const auto held = held_facts(positions);
    std::map<EdgeName, EdgeFacts> facts;
    for (std::uint32_t i = 0; i < held.size(); ++i) {
        const EdgeRow& row = positions.edge(i);
        EdgeFacts& edge = facts[row.key.edge];
        ++edge.lineages;
        edge.is_connected = edge.is_connected || row.connected.get() != 0;
        edge.connections += row.connections.get();
        const std::uint64_t seen_ms = row.last_seen_wall_ns.get() / ns_per_ms;
        if (seen_ms >= edge.last_seen_ms) {
            edge.epoch = row.epoch.get();
            edge.held = held[i];
        }
        edge.last_seen_ms = std::max(edge.last_seen_ms, seen_ms);
        const auto found = appended.find({row.key.edge, row.key.lineage});
        if (found != appended.end()) edge.events += found->second;
    }
    std::vector<EdgeFacts> told;
    for (auto& [name, edge] : facts) {
        edge.edge = wire::name_of(name);
        edge.region = region_of(sources, edge.edge);
        edge.can_replay = can_replay(sources, edge.edge);
        if (const auto found = stored.find(name); found != stored.end()) {
            edge.stored_bytes = found->second.bytes;
            edge.is_over_quota = found->second.is_over_quota;
        }
        edge.delay = delay_of(sources, edge.edge, edge.held, now);
        told.push_back(std::move(edge));
    }
    return told;
}

control::AdminResponse answer_edges(const ApiSources& sources, std::string_view target) {
    Query query(target, {"edge", "region", "connected", "limit", "cursor", "max_staleness_ms"});
    const auto connected = query.choice("connected", {"true", "false"});
    const std::uint64_t limit = query.number("limit", 1, limit_max).value_or(limit_max);
    const std::uint64_t from = query.cursor_first('e').value_or(0);
    if (auto refused = refusal_of(query, read_staleness_ms(sources))) return std::move(*refused);
    const auto wanted = query.text("edge"), wanted_region = query.text("region");
    ObjectText answer;
    answer.raw("as_of", as_of_text(sources));
    const PositionTable& positions = sources.shared.positions;
    const ReadSnapshot counts = sources.model.totals();
    const auto stored = stored_by_edge(sources.shared);
    const auto appended = appended_by_lineage(positions);
    const auto held = held_facts(positions);
    const WallNs now = wall_now();
    ListText list;
    // By number, which never changes: pages fit together while edges come.
    std::uint64_t rows = 0, at = from;
    for (; at < held.size() && rows < limit; ++at) {
        const EdgeRow& row = positions.edge(static_cast<std::uint32_t>(at));
        const auto name = wire::name_of(row.key.edge);
        const std::string region = region_of(sources, name);
        const bool is_connected = row.connected.get() != 0;
        if (!agrees(wanted, name) || !agrees(wanted_region, region)) continue;
        if (connected && (*connected == "true") != is_connected) continue;
        const auto found = stored.find(row.key.edge);
        const Stored has = found == stored.end() ? Stored{} : found->second;
        const auto events = appended.find({row.key.edge, row.key.lineage});
        const EdgeDelay delay = delay_of(sources, name, held[at], now);
        ObjectText one;
        one.text("edge", name).truth("connected", is_connected).text("lineage", hex_text(row.key.lineage));
        one.number("epoch", row.epoch.get()).number("connections", row.connections.get());
        one.number("last_seen_ms", row.last_seen_wall_ns.get() / ns_per_ms);
        one.number("events", events == appended.end() ? 0 : events->second);
        one.raw("types", types_text(counts, name));
        one.text_or_null("region", region.empty() ? std::nullopt : std::optional(region));
        one.real_or_null("lag_ms", delay.lag_ms).real_or_null("backlog_lag_ms", delay.backlog_lag_ms);
        put_held(held[at], one);
        one.real_or_null("clock_offset_ms", delay.clock_offset_ms).number_or_null("last_ack_ms", delay.last_arrival_ms);
        one.truth("is_over_quota", has.is_over_quota).number("stored_bytes", has.bytes);
        list.add(one.truth("can_replay", can_replay(sources, name)).end());
        ++rows;
    }
    answer.raw("edges", list.end());
    const bool has_more = at < held.size();
    answer.text_or_null("next", has_more ? std::optional(make_cursor('e', at)) : std::nullopt);
    return tagged_answer(answer.end());
}

void put_held(const HeldFacts& held, ObjectText& out) {
    out.number_or_null("held", held.held).number_or_null("backlog", held.backlog);
    out.number_or_null("held_bytes", held.bytes).number_or_null("held_as_of_ms", held.as_of_ms);
    out.text_or_null("rung", held.rung);
}

std::optional<std::string> class_of(const LaneFacts& lane) {
    return lane.lane_class.empty() ? std::nullopt : std::optional(std::string(lane.lane_class));
}

// Of a lane that edges do not have alike the class that promises less.
std::vector<LaneFacts> lane_facts(const IngestShared& shared) {
    const std::string_view best_effort = wire::text(wire::LaneClass::best_effort);
    std::map<std::string, LaneFacts> lanes;
    std::map<std::string, std::set<EdgeName>> edges;
    for (const auto& bound : shared.lane_bounds) lanes[bound.name].credit_bytes = bound.credit_bytes;
    for (const auto& name : shared.holds.held()) lanes[name].is_held = true;
    for (std::uint32_t i = 0; i < shared.positions.row_count(); ++i) {
        const PositionRow& row = shared.positions.row(i);
        const std::string name(wire::name_of(row.lane_name));
        LaneFacts& lane = lanes[name];
        const std::string_view said = class_text(row);
        if (lane.lane_class.empty() || said == best_effort) lane.lane_class = said;
        lane.appended += row.appended.get();
        lane.gap += row.gap.get();
        edges[name].insert(row.key.edge);
    }
    std::vector<LaneFacts> told;
    for (auto& [name, lane] : lanes) {
        lane.lane = name;
        if (name == dead_letter_lane_name) lane.lane_class = wire::text(wire::LaneClass::dead_letters);
        lane.edges = edges[name].size();
        told.push_back(lane);
    }
    return told;
}

control::AdminResponse answer_lanes(const ApiSources& sources, std::string_view target) {
    Query query(target, {"lane"});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    const auto wanted = query.text("lane");
    ObjectText answer;
    answer.raw("as_of", as_of_text(sources));
    ListText list;
    for (const LaneFacts& lane : lane_facts(sources.shared)) {
        if (!agrees(wanted, lane.lane)) continue;
        list.add(ObjectText()
                     .text("lane", lane.lane)
                     .text_or_null("class", class_of(lane))
                     .number("credit_bytes", lane.credit_bytes)
                     .truth("held", lane.is_held)
                     .number("appended", lane.appended)
                     .number("gap", lane.gap)
                     .number("edges", lane.edges)
                     .end());
    }
    return tagged_answer(answer.raw("lanes", list.end()).end());
}

control::AdminResponse answer_types(const ApiSources& sources, std::string_view target) {
    Query query(target, {"type", "max_staleness_ms"});
    if (auto refused = refusal_of(query, read_staleness_ms(sources))) return std::move(*refused);
    const auto wanted = query.text("type");
    ObjectText answer;
    answer.raw("as_of", as_of_text(sources));
    const ReadSnapshot counts = sources.model.snapshot();
    answer.number("events", counts.events).number("position", counts.position);
    ListText list;
    for (const TypeCounts& type : counts.types) {
        if (!agrees(wanted, type.type)) continue;
        ListText minutes;
        for (const MinuteCount& minute : type.minutes) {
            minutes.add(ObjectText()
                            .number("minute_ms", minute.minute * (minute_ns / ns_per_ms))
                            .number("events", minute.events)
                            .end());
        }
        ObjectText one;
        one.text("type", type.type).number("events", type.events).number("older", type.older);
        list.add(one.raw("minutes", minutes.end()).end());
    }
    return tagged_answer(answer.raw("types", list.end()).end());
}

}  // namespace weir::central
