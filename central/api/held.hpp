// What edges hold that central has not: sequences in their spools, as each has said last, less what has come since.
//
// It is known from an edge's hello on, and of one that says statuses (core/wire/FORMAT.md §5) each listen.status_interval_ms anew;
// between two it falls with each ack. Of an edge that is away it is what it said last, with the time.
//
// Thread    Any: reads counters.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "central/ingest/positions.hpp"

namespace weir::central {

// Of one lineage of an edge, since the start.
struct HeldFacts {
    std::optional<std::uint64_t> held;      // nullopt: it has said nothing
    std::optional<std::uint64_t> backlog;   // of it, in backlog parts
    std::optional<std::uint64_t> as_of_ms;  // when it said so
    std::optional<std::uint64_t> bytes;  // of its spool, not acked then; nullopt, as all below: it has said no status
    std::optional<std::string> rung;
    std::optional<double>
        clock_offset_ms;  // its clock less ours when the status came: positive is ahead, by so much at least
};
// Of all the table's edges, by their places in it.
[[nodiscard]] std::vector<HeldFacts> held_facts(const PositionTable& positions);

// Of each edge the place of the lineage that was heard last: one that it has taken the place of is held by nobody who could send it.
[[nodiscard]] std::map<EdgeName, std::uint32_t> present_lineages(const PositionTable& positions);

// What those edges hold together of those lanes ("*" at the end: all that begin so); nullopt: nobody has said anything.
[[nodiscard]] std::optional<std::uint64_t> edges_held(const PositionTable& positions,
                                                      const std::optional<std::string>& edge = {},
                                                      const std::optional<std::string>& lane = {});

// Of one lane's row; empty: the edge has not said.
[[nodiscard]] std::string_view class_text(const PositionRow& row);

// Without wrapping: an edge may say anything.
[[nodiscard]] constexpr std::uint64_t capped_sum(std::uint64_t a, std::uint64_t b) {
    return a + b < a ? UINT64_MAX : a + b;
}

}  // namespace weir::central
