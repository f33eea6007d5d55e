#include "central/api/held.hpp"

#include "central/api/query.hpp"
#include "core/wire/status.hpp"

namespace weir::central {
namespace {

using LineageKey = std::pair<EdgeName, std::uint64_t>;

std::map<LineageKey, std::uint32_t> places_of(const PositionTable& positions) {
    std::map<LineageKey, std::uint32_t> places;
    for (std::uint32_t i = 0; i < positions.edge_count(); ++i) {
        places[{positions.edge(i).key.edge, positions.edge(i).key.lineage}] = i;
    }
    return places;
}

HeldFacts said_by(const EdgeRow& edge) {
    HeldFacts facts;
    if (edge.held_wall_ns.get() == 0) return facts;
    facts.held = facts.backlog = 0;
    facts.as_of_ms = edge.held_wall_ns.get() / ns_per_ms;
    if (edge.status_wall_ns.get() == 0) return facts;
    facts.bytes = 0;
    const auto ahead_ns = static_cast<std::int64_t>(edge.clock_ahead_ns.get());
    facts.clock_offset_ms = static_cast<double>(ahead_ns) / static_cast<double>(ns_per_ms);
    if (const std::uint64_t rung = edge.rung.get(); rung != 0) {
        facts.rung = std::string(wire::text(static_cast<wire::Rung>(rung - 1)));
    }
    return facts;
}

}  // namespace

std::vector<HeldFacts> held_facts(const PositionTable& positions) {
    const auto places = places_of(positions);
    std::vector<HeldFacts> facts;
    for (std::uint32_t i = 0; i < places.size(); ++i) facts.push_back(said_by(positions.edge(i)));
    for (std::uint32_t i = 0; i < positions.row_count(); ++i) {
        const PositionRow& row = positions.row(i);
        const auto found = places.find({row.key.edge, row.key.lineage});
        if (found == places.end() || !facts[found->second].held) continue;
        HeldFacts& edge = facts[found->second];
        const std::uint64_t held = row.held();
        edge.held = capped_sum(*edge.held, held);
        if (row.key.part == wire::Part::backlog) edge.backlog = capped_sum(*edge.backlog, held);
        if (edge.bytes) edge.bytes = capped_sum(*edge.bytes, row.edge_held_bytes.get());
    }
    return facts;
}

std::map<EdgeName, std::uint32_t> present_lineages(const PositionTable& positions) {
    std::map<EdgeName, std::uint32_t> present;
    for (std::uint32_t i = 0; i < positions.edge_count(); ++i) {
        const EdgeRow& row = positions.edge(i);
        const auto [found, is_first] = present.emplace(row.key.edge, i);
        if (is_first) continue;
        const EdgeRow& other = positions.edge(found->second);
        if (row.last_seen_wall_ns.get() >= other.last_seen_wall_ns.get()) found->second = i;
    }
    return present;
}

std::optional<std::uint64_t> edges_held(const PositionTable& positions, const std::optional<std::string>& edge,
                                        const std::optional<std::string>& lane) {
    std::optional<std::uint64_t> sum;
    std::map<EdgeName, std::uint64_t> lineages;
    for (const auto& [name, place] : present_lineages(positions)) {
        if (!agrees(edge, wire::name_of(name)) || positions.edge(place).held_wall_ns.get() == 0) continue;
        lineages[name] = positions.edge(place).key.lineage;
        sum = 0;
    }
    for (std::uint32_t i = 0; sum && i < positions.row_count(); ++i) {
        const PositionRow& row = positions.row(i);
        const auto found = lineages.find(row.key.edge);
        if (found == lineages.end() || found->second != row.key.lineage) continue;
        if (agrees(lane, wire::name_of(row.lane_name))) sum = capped_sum(*sum, row.held());
    }
    return sum;
}

std::string_view class_text(const PositionRow& row) {
    const std::uint64_t said = row.lane_class.get();
    if (said == 0) return row.key.lane == dead_letter_lane ? wire::text(wire::LaneClass::dead_letters) : "";
    return wire::text(static_cast<wire::LaneClass>(said - 1));
}

}  // namespace weir::central
