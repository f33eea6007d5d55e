// CentralConfig: everything weir-central can be told, with its defaults. Read from TOML by central/config.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "central/analytics_config.hpp"
#include "core/control/admin_config.hpp"
#include "core/control/at_rest_config.hpp"
#include "core/control/tls_config.hpp"
#include "core/pipeline/runner.hpp"
#include "core/wire/control.hpp"

namespace weir::central {

// Every connection may have so much on its way, whoever else is there: one frame with the largest batch.
inline constexpr std::uint64_t credit_floor_bytes = wire::frame_bytes(wire::frame_body_bytes_max);
inline constexpr std::uint64_t session_bytes_max = 12U << 10;  // an edge's session: hello, lanes, frames to send
inline constexpr std::size_t lane_bounds_max = wire::hello_lanes_max;
inline constexpr std::size_t edge_notes_max = 1024;
// Of one WebSocket beside its events: what its two coroutines, its buffers and its socket take (scripts/api-load measures it).
inline constexpr std::uint64_t stream_client_bytes = 32U << 10;
inline constexpr std::uint64_t stream_state_bytes_max = 8U << 20;  // the state as text, as it is now and as it was told

// Reference data for edges: its name, and the file it is read from.
struct TableConfig {
    std::string name;  // [a-z0-9-]{1,32}
    std::string file;  // NAME.csv is CSV, anything else NDJSON (central/tables/table_file.hpp)
};

// What is known of an edge before it says anything.
struct EdgeNote {
    std::string name;    // an edge's id, or "south-*" for all that begin so
    std::string region;  // empty: none
    std::string intake;  // its producer port, to which dead letters are replayed; empty: not from here
};

struct CentralConfig {
    std::string data_dir;
    struct {
        std::vector<std::string> edges;  // a string or a list of strings in the file
        std::string admin;               // beyond loopback only with [admin] certificate and tokens
        bool allow_plaintext = false;    // plain TCP beyond loopback
        std::uint32_t connections_max = 1024;
        std::uint64_t hello_ms_max = 5000;
        std::uint64_t silent_ms_max = 10'000;
        std::uint64_t frame_ms_max = 10'000;      // a frame half sent, while others wait for its carry buffer
        std::uint64_t credit_bytes = 8ULL << 20;  // batch bytes that one edge may have unacked
        std::uint64_t status_interval_ms = 1000;  // between two statuses of an edge; 0: never asked for
    } listen;
    struct LaneBound {
        std::string name;
        std::uint64_t credit_bytes =
            0;  // batch bytes that one edge may have unacked in this lane; 0 = no bound of its own
    };
    std::vector<LaneBound> lanes;
    control::TlsConfig tls;
    control::AtRestConfig at_rest;
    control::AdminConfig admin;
    struct {
        std::uint64_t segment_bytes = 64ULL << 20;
        std::uint32_t group_bytes = 1U << 20;      // most that one write carries
        std::uint32_t groups = 4;                  // group buffers: one filling, the others being written
        std::uint64_t recent_bytes = 32ULL << 20;  // of the journal of events, in memory for those who follow it
        std::uint64_t checkpoint_ms = 5000;
        std::uint64_t tick_ms = 10'000;         // silence after which a TICK record is written
        std::uint64_t scrub_period_s = 21'600;  // between two readings of everything; 0: never
        std::uint64_t scrub_bytes_per_second = 8ULL << 20;
    } journal;
    struct {
        std::uint64_t keep_s = 86'400;         // of central's running time, from when their segment was full
        std::uint64_t bytes_max = 4ULL << 30;  // whole segments, the one that is written among them
    } dead_letters;
    struct {
        std::uint32_t edges_max = 1024;
        // Of one edge, by its name (central/ingest/edge_quota.hpp); 0: no bound.
        std::uint64_t edge_journal_bytes_max = 0;
        std::uint64_t edge_letters_bytes_max = 1ULL << 30;
        std::uint32_t positions_max = 65'536;           // (edge, lineage, lane, part)
        std::uint32_t types_max = 4096;                 // of the read model; more are counted under "other"
        std::uint32_t minutes_max = 1440;               // of the per-type minute counts, newest kept
        std::uint64_t credit_bytes_total = 2ULL << 30;  // batch bytes that all edges together may have unacked
        std::uint32_t carries_max = 64;         // buffers for frames that do not fit a slot and are cut by its end
        std::uint32_t turn_bytes = 256U << 10;  // taken from one edge before it is the next one's turn
        std::uint32_t hellos_per_second = 2000;
        std::uint64_t table_bytes_max = 64ULL << 20;  // of one table's image
    } limits;
    struct {
        IdlePolicy idle = IdlePolicy::spin_then_park;
        std::uint64_t idle_spin_us = 2;
        std::string thread_plan = "auto";
        std::uint32_t receive_slots = 64;
        std::uint32_t receive_slot_bytes = 64U << 10;
        bool ring_restrictions = true;  // io_uring: only the operations in use
        bool core_dumps = false;        // they would hold keys and events
        bool low_latency_idle = false;  // cores stay awake
    } runtime;
    struct {
        std::uint32_t clients_max = 1024;            // WebSockets at once, of all streams together
        std::uint32_t pushes_per_second = 10;        // of the state, at most
        std::uint64_t beat_ms = 1000;                // silence after which a client is told that nothing has changed
        std::uint64_t stalled_ms_max = 30'000;       // for one message; then the client is let go
        std::uint32_t events_clients_max = 16;       // of them, of live events
        std::uint64_t events_queue_bytes = 262'144;  // of live events that one client has not taken
    } stream;
    std::vector<TableConfig> tables;
    std::vector<EdgeNote> edges;
    AnalyticsConfig analytics;
    std::string log_level = "warn";
    std::string path;          // of the file it was read from
    std::uint64_t digest = 0;  // XXH3 (64 bits) of the file's bytes
};

// What a lane of dead letters may have unacked on one connection unless it is configured: half of what their write groups hold, so
// that no edge alone fills them.
[[nodiscard]] std::uint64_t letters_credit_bytes(const CentralConfig& config);

// The note for that edge: its own, else the first that is for all that begin so; null: none.
[[nodiscard]] const EdgeNote* note_of(const std::vector<EdgeNote>& notes, std::string_view edge);

struct LoadedConfig {
    std::optional<CentralConfig> config;  // absent if there is any error
    std::vector<std::string> errors;      // FILE:LINE:COL: key: what
    std::vector<std::string> warnings;
};
// Reads and checks the file: what start and `weir-central check` both do.
[[nodiscard]] LoadedConfig load_config(const std::string& path);
// Every key that load_config knows, dotted: "listen.admin".
[[nodiscard]] std::vector<std::string> known_config_keys();

struct Budget {
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;  // 0 = grows with what arrives (no retention yet)
    std::string text;
};
[[nodiscard]] Budget budget_of(const CentralConfig& config);

}  // namespace weir::central
