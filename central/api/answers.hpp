// Answers of GET /api/v1/...: one function for each path (openapi.yaml).
//
// Thread    The admin server's.
// Bounds    A list is a page of limit_max rows; events and letters read scan_bytes_max of a journal for one request.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "central/api/held.hpp"
#include "central/api/json_text.hpp"
#include "central/api/query.hpp"
#include "central/api/sources.hpp"

namespace weir::central {

inline constexpr std::uint64_t limit_default = 100;
inline constexpr std::uint64_t limit_max = 10'000;
inline constexpr std::uint64_t staleness_ms_max = 86'400'000;

// {"durable":..,"read":..,"analytics":..}
[[nodiscard]] std::string as_of_text(const ApiSources& sources);
// How old an answer from the read model, or from analytics, is at most.
[[nodiscard]] std::uint64_t read_staleness_ms(const ApiSources& sources);
[[nodiscard]] std::uint64_t analytics_staleness_ms(const ApiSources& sources, std::uint64_t position);
// The fault of a query, or what max_staleness_ms asks and `staleness_ms` is not; nullopt: go on.
[[nodiscard]] std::optional<control::AdminResponse> refusal_of(Query& query, std::uint64_t staleness_ms);

struct Account {
    std::uint64_t received = 0, appended = 0, duplicates = 0, rejected = 0, dead_lettered = 0, gap = 0, elsewhere = 0;
    Account() = default;
    explicit Account(const PositionRow& row);
    void add(const Account& other);
    [[nodiscard]] std::int64_t residue() const {
        return static_cast<std::int64_t>(received - appended - duplicates - rejected);
    }
};
[[nodiscard]] std::string_view part_text(wire::Part part);
[[nodiscard]] std::string totals_text(const IngestShared& shared, const Account& totals,
                                      std::optional<std::uint64_t> edges_held);
[[nodiscard]] Account totals_of(const IngestShared& shared);

// An edge by its name, all its lineages together; what it holds is of the one that was heard last.
struct EdgeFacts {
    std::string edge;
    std::string region;  // empty: none
    bool is_connected = false;
    std::uint64_t connections = 0, lineages = 0, epoch = 0, last_seen_ms = 0, events = 0, stored_bytes = 0;
    bool is_over_quota = false;
    bool can_replay = false;
    EdgeDelay delay;
    HeldFacts held;
};
[[nodiscard]] std::vector<EdgeFacts> edge_facts(const ApiSources& sources, WallNs now);

struct LaneFacts {
    std::string lane;
    std::string_view lane_class;  // empty: nobody said
    bool is_held = false;
    std::uint64_t credit_bytes = 0, appended = 0, gap = 0, edges = 0;
};
[[nodiscard]] std::vector<LaneFacts> lane_facts(const IngestShared& shared);
// Members of an edge's row, and of a lane's.
void put_held(const HeldFacts& held, ObjectText& out);
[[nodiscard]] std::optional<std::string> class_of(const LaneFacts& lane);

[[nodiscard]] std::string health_text(const ApiSources& sources, std::uint64_t journal_bytes_per_s);

[[nodiscard]] control::AdminResponse answer_health(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_ledger(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_edges(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_types(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_lanes(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_cursors(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_silences(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_events(const ApiSources& sources, std::string_view target);
[[nodiscard]] control::AdminResponse answer_letters(const ApiSources& sources, std::string_view target);

// Any path of /api/v1 that reads; nullopt: it is none.
[[nodiscard]] std::optional<control::AdminResponse> answer_api(const ApiSources& sources, std::string_view target);

}  // namespace weir::central
