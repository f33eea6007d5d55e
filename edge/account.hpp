// Account: the edge's ledger and metrics as text, from its counters.
//
// Thread    Control threads: counters are read a moment old; a residue while events move is that moment.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/journal/scrubber.hpp"
#include "core/pipeline/runner.hpp"
#include "edge/counters.hpp"
#include "edge/flash_budget.hpp"
#include "edge/tables/cached_tables.hpp"
#include "edge/tables/row_asks.hpp"

namespace weir::edge {

// Of a stream.
struct LaneName {
    std::uint16_t id = 0;
    wire::Part part = wire::Part::live;
    std::string name;
    bool in_memory = false;
    std::uint64_t memory_bytes_max = 0;  // of one in memory
};

struct Ledger {
    std::uint64_t offered = 0, accepted = 0, duplicates = 0, rejected = 0;
    std::uint64_t spooled = 0;        // events durable here, of any lane
    std::uint64_t delivered = 0;      // of the lanes but the dead letters'
    std::uint64_t dead_lettered = 0;  // durable on the dead-letter lane
    std::uint64_t shed = 0, expired = 0, gap = 0;
    std::uint64_t held = 0;   // accepted and none of the above: in memory or in the spool
    std::uint64_t twice = 0;  // left more often than it came
    // Offered that is neither accepted, nor a duplicate, nor rejected, less what left more often than it came: 0 at rest.
    std::int64_t residue = 0;
};

// One without a name is spare: it has nothing, and is not told of.
[[nodiscard]] Ledger ledger_of(const EdgeCounters& counters, const std::vector<LaneName>& lanes);
// The body of GET /api/v1/ledger.
[[nodiscard]] std::string ledger_json(const EdgeCounters& counters, const std::vector<LaneName>& lanes,
                                      const std::string& edge_id);
struct RunnerFacts {
    std::string_view name;
    Runner::Load load;
};
struct Limits {  // what some gauges are a part of
    std::uint64_t batch_buffers = 0;
    std::uint64_t receive_slots = 0;
    std::uint64_t spool_bytes = 0;
    std::uint64_t to_spool = 0;  // places of the rings
    std::uint64_t to_intake = 0;
};
// What /metrics says beside the runners' counters.
struct DaemonFacts {
    std::string_view edge_id;
    std::string io_name;  // of intake's runner: what the kernel allowed
    const std::string& data_dir;
    const journal::ScrubCounters& scrub;
    const std::vector<std::string>& centrals;  // in order of preference
    const std::vector<RunnerFacts> runners;
    const Limits limits;
    // No default: one that is left out does not compile.
    const std::uint64_t quarantined;
    const std::uint64_t prepared_bytes;  // written to make segments ready
    const FlashCounters& flash;
    const std::uint64_t flash_limit_bytes;
    const std::uint32_t poisons;
    const std::uint64_t reloads_refused;
    const TableCounters* const tables;        // null: none are used
    const CachedTables* const cached_tables;  // null, as row_asks: none are cached
    const RowAsks* const row_asks;
    const bool is_kept_awake;  // runtime.low_latency_idle, and it was allowed
};
// The body of GET /metrics.
[[nodiscard]] std::string metrics_text(const EdgeCounters& counters, const std::vector<LaneName>& lanes,
                                       const DaemonFacts& facts);

}  // namespace weir::edge
