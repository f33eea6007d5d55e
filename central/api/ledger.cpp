// The account: GET /api/v1/ledger, and the sums that others show.
#include <set>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/problem.hpp"

namespace weir::central {
namespace {

ObjectText& write(const Account& account, ObjectText& out) {
    return out.number("received", account.received)
        .number("appended", account.appended)
        .number("duplicates", account.duplicates)
        .number("rejected", account.rejected)
        .number("dead_lettered", account.dead_lettered)
        .number("gap", account.gap)
        .number("elsewhere", account.elsewhere);
}

using LineageKey = std::pair<EdgeName, std::uint64_t>;
// Those whose edge has said what it has, since the start.
std::set<LineageKey> lineages_that_told(const PositionTable& positions) {
    std::set<LineageKey> told;
    for (std::uint32_t i = 0; i < positions.edge_count(); ++i) {
        const EdgeRow& row = positions.edge(i);
        if (row.held_wall_ns.get() != 0) told.emplace(row.key.edge, row.key.lineage);
    }
    return told;
}

}  // namespace

// Received last: what comes in between makes a residue above zero for a moment, never one below.
Account::Account(const PositionRow& row)
    : appended(row.appended.get()),
      duplicates(row.duplicates.get()),
      rejected(row.rejected.get()),
      dead_lettered(row.dead_lettered.get()),
      gap(row.gap.get()),
      elsewhere(row.elsewhere.get()) {
    received = row.received.get();
}

void Account::add(const Account& other) {
    received += other.received;
    appended += other.appended;
    duplicates += other.duplicates;
    rejected += other.rejected;
    dead_lettered += other.dead_lettered;
    gap += other.gap;
    elsewhere += other.elsewhere;
}

std::string_view part_text(wire::Part part) {
    return part == wire::Part::live ? "live" : "backlog";
}

Account totals_of(const IngestShared& shared) {
    Account totals;
    for (std::uint32_t i = 0; i < shared.positions.row_count(); ++i) totals.add(Account(shared.positions.row(i)));
    return totals;
}

std::string totals_text(const IngestShared& shared, const Account& totals, std::optional<std::uint64_t> edges_held) {
    ObjectText sums;
    write(totals, sums).number("dead_letters_expired", shared.letters_expired.get()).whole("residue", totals.residue());
    return sums.number_or_null("edges_held", edges_held).end();
}

control::AdminResponse answer_ledger(const ApiSources& sources, std::string_view target) {
    Query query(target, {"edge", "lane"});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    const IngestShared& shared = sources.shared;
    const auto edge = query.text("edge"), lane = query.text("lane");
    ObjectText answer;
    answer.raw("as_of", as_of_text(sources));
    ListText lanes;
    Account totals;
    const std::set<LineageKey> told = lineages_that_told(shared.positions);
    for (std::uint32_t i = 0; i < shared.positions.row_count(); ++i) {
        const PositionRow& row = shared.positions.row(i);
        if (!agrees(edge, wire::name_of(row.key.edge)) || !agrees(lane, wire::name_of(row.lane_name))) continue;
        const Account account(row);
        totals.add(account);
        ObjectText one;
        one.text("edge", wire::name_of(row.key.edge))
            .text("lineage", hex_text(row.key.lineage))
            .text("lane", wire::name_of(row.lane_name))
            .number("lane_id", row.key.lane)
            .text("part", part_text(row.key.part));
        write(account, one).number("last_sequence", row.last_sequence.get());
        const bool is_told = told.count({row.key.edge, row.key.lineage}) != 0;
        one.number_or_null("held", is_told ? std::optional(row.held()) : std::nullopt);
        lanes.add(one.end());
    }
    const auto held = edges_held(shared.positions, edge, lane);
    answer.raw("lanes", lanes.end()).raw("totals", totals_text(shared, totals, held));
    return tagged_answer(answer.end());
}

}  // namespace weir::central
