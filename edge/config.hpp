// EdgeConfig: everything weir-edge can be told, with its defaults. Read from TOML by edge/config.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/siphash.hpp"
#include "core/control/admin_config.hpp"
#include "core/control/at_rest_config.hpp"
#include "core/control/tls_config.hpp"
#include "core/io/io.hpp"
#include "core/pipeline/runner.hpp"

namespace weir::edge {

// Which defaults hold (edge/profile.hpp).
enum class Profile : std::uint8_t { standard, small };
// How a personal field goes; the strictest first: where several are asked of one field it counts.
enum class Removal : std::uint8_t { drop, hash, truncate };

// Patterns: exact text, or a text that ends in '*' for a prefix. Empty list = any.
// What pressure does to a lane: a durable one's goes back to its producers; a best_effort one sheds, counted.
enum class LaneClass : std::uint8_t { durable, best_effort };
// What a best_effort lane sheds when it is full: whole unsent batches, what arrives, or of what arrives ever more by chance.
enum class ShedPolicy : std::uint8_t { oldest, newest, random };
// One sequence; or what an outage left behind as a part of its own, beside the live one.
enum class Drain : std::uint8_t { in_order, live_first };

// Where a lane's events wait for central. In memory: best_effort lanes only; what a crash takes is named as a gap.
enum class LaneSpool : std::uint8_t { disk, memory };
// What a lane in memory may hold.
inline constexpr std::uint64_t memory_lane_bytes_default = 16ULL << 20;
inline constexpr std::uint64_t memory_lane_bytes_min =
    4ULL << 20;  // several of the largest batches beside those on their way
inline constexpr std::uint64_t memory_lane_bytes_max = 16ULL << 30;

struct LaneConfig {
    std::string name;  // [a-z0-9-]{1,16}
    LaneClass lane_class = LaneClass::durable;
    ShedPolicy shed = ShedPolicy::oldest;
    Drain drain = Drain::in_order;
    LaneSpool spool = LaneSpool::disk;
    std::uint8_t priority = 1;         // 0 low to 3 critical: which lane is sent first where several wait
    std::uint32_t weight = 1;          // turns among lanes of the same priority
    std::uint32_t backlog_weight = 1;  // of live_first: turns of the backlog for every eight of the live part
    std::uint64_t bytes_max = 0;  // of undelivered events; 0 = what spool.bytes_max leaves, or the default in memory
    std::uint64_t keep_undelivered_s = 0;    // older ones expire, counted; 0 = never
    std::uint32_t batch_bytes = 256U << 10;  // close at this many body bytes and the end of their block
    std::uint32_t batch_events = 4096;       // or this many events
    std::uint64_t linger_us = 0;             // or this long after the first event; 0 = as soon as the input is drained
    [[nodiscard]] bool is_in_memory() const { return spool == LaneSpool::memory; }
    // Of a lane in memory.
    [[nodiscard]] std::uint64_t memory_bytes() const { return bytes_max == 0 ? memory_lane_bytes_default : bytes_max; }
};
struct FieldEquals {
    std::string path;   // "source", "key", "type" or "data.PATH" in a JSON payload
    std::string value;  // text, or the number/true/false/null as written
};
struct RouteConfig {
    std::string lane;
    std::vector<std::string> types;
    std::vector<std::string> keys;
    std::vector<std::string> sources;
    std::uint8_t priority_min = 0;
    std::vector<FieldEquals> equals;
    std::string when{};  // an expression (core/rules/LANGUAGE.md); empty: nothing is asked
};
struct RangeConfig {
    std::string path;  // "data.fine"
    std::optional<double> min;
    std::optional<double> max;
};
struct RuleConfig {
    std::vector<std::string> types;    // which events it judges
    std::vector<std::string> require;  // paths that must be there and not null or empty: "key", "time", "data.fine"
    std::vector<RangeConfig> ranges;   // judged when the field is there
    std::string when{};                // an expression: further, which events it judges; empty: all of these types
    std::string must{};                // an expression that must hold; empty: nothing is asked
};

// What payloads of some events are: those whose type matches `type` and whose content type is `content_type`.
struct PayloadConfig {
    std::string type;  // a pattern
    std::string content_type;
    std::string schema{};        // file of a binary FlatBuffers schema, as it was written
    std::string root{};          // its table that such payloads hold; empty: its root_type
    std::string schema_bytes{};  // what the file held when the configuration was read
};
// Of events of these types, what is personal and must not be stored.
struct PiiConfig {
    std::string field;  // "data.PATH" in a JSON payload, or "key"
    Removal how = Removal::drop;
    std::uint32_t characters = 0;  // that truncate leaves
};
struct RemovalConfig {
    std::vector<std::string> types;
    std::vector<PiiConfig> fields;
};
// Of events of these types, what is set in their JSON payload.
struct SetConfig {
    std::string field;  // "data.NAME"
    std::string from;   // an expression; null: nothing is set
};
struct EnrichConfig {
    std::vector<std::string> types;
    std::string when{};  // an expression; empty: all of these types
    std::vector<SetConfig> set;
};
// How much of a table an edge has.
enum class TableKeep : std::uint8_t {
    whole,   // all of it, in memory and on the disk
    cached,  // the rows that are looked up, in memory (edge/tables/cached_tables.hpp)
};
// A table of reference data that is taken from central, and what is known of its columns.
struct TableUseConfig {
    std::string name;  // [a-z0-9-]{1,32}
    std::vector<std::string>
        columns{};  // "NAME:TYPE", TYPE one of text, integer, real, boolean; empty: any, if kept whole
    TableKeep keep = TableKeep::whole;
    // Of one that is cached.
    std::uint64_t bytes_max = 4ULL << 20;          // all in
    std::uint32_t entry_bytes_max = 256;           // of a key and its declared cells
    std::vector<std::uint32_t> lifetimes_s{3600};  // by class; 0: until it goes or changes
    std::string lifetime_column{};                 // its integer is a row's class; empty, or another value: 0
    std::uint32_t absent_s = 60;                   // that there is no such row is known for so long
    std::vector<std::string> tag_columns{};        // changes may name their values
    [[nodiscard]] bool is_cached() const { return keep == TableKeep::cached; }
    bool operator==(const TableUseConfig&) const = default;
};

struct RuleTestConfig {  // an event, and what must become of it; what is empty is not asked
    std::string name;
    std::string id = "test";
    std::string type;
    std::string source = "test";
    std::string key{};
    std::string time{};  // RFC 3339; empty: not said
    std::string content_type = "application/json";
    std::string data = "{}";  // the payload's bytes, whether they were written as `data` or as `data_base64`
    std::uint8_t priority = 1;
    std::string verdict{};     // admitted | dead_letter
    std::string lane{};        // of an admitted one; "dead-letters" of another
    std::string reason{};      // why it is a dead letter
    std::uint32_t rule = 0;    // which rule failed, from 1; 0: not asked
    std::string data_after{};  // the payload as it must be stored: the same JSON, blanks apart
};

// When the edge does less of its work (edge/intake/ladder.hpp). Percent of spool.bytes_max, of spool.batches_max.
struct LadderConfig {
    bool enabled = true;
    std::uint32_t degraded_spool_percent = 70;
    std::uint32_t critical_spool_percent = 90;
    std::uint32_t below_percent = 10;                 // so far below a threshold counts as clear of it
    std::uint32_t degraded_buffers_free_percent = 5;  // never more than this free between two looks; 0: not looked at
    std::uint64_t degraded_stall_ms = 250;            // nothing taken for so long, for want of room; 0: not looked at
    std::uint64_t critical_stall_ms = 5000;
    std::uint64_t dwell_ms = 5000;   // clear for so long: one rung down
    std::uint64_t linger_us = 2000;  // of every batch, at least, while degraded
    bool operator==(const LadderConfig&) const = default;
};

// How dead letters are kept from becoming a flood (edge/intake/fuse.hpp).
struct DeadLettersConfig {
    bool fuse = true;
    std::uint64_t fuse_share_percent = 50;      // blows when more than so many of a hundred events fail at a stage,
    std::uint64_t fuse_window_events = 10'000;  // of the last so many,
    std::uint64_t fuse_window_s = 60;           // of the last so many seconds,
    std::uint64_t fuse_failures_min = 1000;     // and at least so many in all
    std::uint64_t fuse_trial_events = 64;       // that are let through on trial
    std::uint64_t fuse_pause_ms = 1000;         // before the first trial; twice as long after each bad one,
    std::uint64_t fuse_pause_ms_max = 60'000;   // up to this
    std::uint64_t quota_per_minute = 0;         // letters of one producer; those above it are rejected; 0: any number
    bool operator==(const DeadLettersConfig&) const = default;
};

struct EdgeConfig {
    Profile profile = Profile::standard;
    std::string edge_id;  // [a-z0-9-]{1,32}
    std::string data_dir;
    struct {
        std::vector<std::string> producers;
        std::string admin;             // beyond loopback only with [admin] certificate and tokens
        bool allow_plaintext = false;  // plain TCP beyond loopback
        std::uint32_t connections_max = 1024;
        std::uint64_t hello_ms_max = 5000;
        std::uint32_t credit_events = 65536;           // unacked events granted to a producer's connection
        std::uint64_t rate_events_max = 0;             // events a second of one connection; 0: any rate
        std::uint64_t waiting_bytes_max = 8ULL << 20;  // received of connections whose lane has no room
        std::uint32_t ack_runs_max = 65'536;           // rows of events that wait for an ack
        std::uint32_t cut_frames_max = 32;             // frames above 512 bytes that lie half received at one time
        // Of Unix sockets: their mode, and who may send there. Both lists empty: whom the mode lets.
        std::uint32_t socket_mode = 0600;
        std::vector<std::uint32_t> allowed_uids;
        std::vector<std::uint32_t> allowed_gids;
    } listen;
    struct {
        // In order of preference; with choice "weighted" put in this edge's own order (edge/spool/endpoint_order.hpp) when read.
        std::vector<std::string> centrals;
        std::string choice = "ordered";      // or "weighted"
        std::vector<std::uint32_t> weights;  // one for each of centrals, in the file's order; empty: all alike
        bool allow_plaintext = false;        // plain TCP beyond loopback
        std::uint64_t reconnect_ms_min = 100;
        std::uint64_t reconnect_ms_max = 10'000;
        std::uint64_t ping_ms = 1000;        // silence after which a ping is sent
        std::uint64_t silent_ms_max = 2500;  // silence after which central counts as gone
        // A central that failed so often in a row is not tried for so long while another one may be.
        std::uint32_t breaker_failures = 5;
        std::uint64_t breaker_ms = 5000;
        // How often a more preferred central is looked for, and how long it must answer before it is gone back to.
        std::uint64_t return_ms = 30'000;
        std::uint64_t return_stable_ms = 10'000;
        std::uint32_t readers_max = 4;          // of streams that are read back at once
        std::uint32_t reader_bytes = 1U << 20;  // each of a reader's two buffers
        std::uint64_t catch_up_queue_us = 250;  // what is read back may add to the time of what is live; 0: no bound
    } uplink;
    control::TlsConfig tls;
    control::AtRestConfig at_rest;
    control::AdminConfig admin;
    struct {
        std::vector<std::string> allowed_types;  // empty = any
        std::uint64_t time_ahead_s_max = 0;      // 0 = not judged
        std::uint64_t time_behind_s_max = 0;     // 0 = not judged
    } validate;
    struct {
        std::uint32_t ids_max = 1U << 20;
        std::uint64_t lifetime_s = 86'400;
        std::uint32_t producers_max = 1024;
        std::uint32_t keys_max = 65'536;  // last value per key
    } cache;
    struct {
        std::uint64_t segment_bytes = 64ULL << 20;
        std::uint64_t bytes_max = 4ULL << 30;  // backpressure above this
        std::uint32_t batches_max = 32;        // batch memory: so many of 260 KiB
        std::uint64_t checkpoint_ms = 5000;
        std::uint64_t disk_queue_us = 0;  // how long closed batches may queue for the disk; 0: no bound
        // What central acked stays so long, within so many bytes: a central restored from a backup gets it again.
        std::uint64_t keep_delivered_ms = 600'000;
        std::uint64_t keep_delivered_bytes = 256ULL << 20;
        std::uint64_t scrub_period_s = 21'600;  // between two readings of everything that is kept; 0: never
        std::uint64_t scrub_bytes_per_second = 8ULL << 20;
    } spool;
    LadderConfig ladder;
    DeadLettersConfig dead_letters;
    struct {
        IdlePolicy idle = IdlePolicy::spin_then_park;
        std::uint64_t idle_spin_us = 2;
        std::uint64_t rest_us = 0;         // before a thread that has worked parks; 0: none
        std::string thread_plan = "auto";  // auto | floating (no pinning) | pinned | one (runner for all)
        std::uint32_t receive_slots = 64;
        std::uint32_t receive_slot_bytes = 64U << 10;
        std::uint32_t notes_max = 16'384;  // places of the ring from the spool's thread to intake's
        bool ring_restrictions = true;     // io_uring: only the operations in use
        bool core_dumps = false;           // they would hold keys and events
        bool low_latency_idle = false;     // cores stay awake
    } runtime;
    struct {
        std::string key_file;          // 32 hexadecimal digits, mode 0600; needed where anything is hashed
        SipKey key{};                  // what it holds
        bool keep_unverified = false;  // bytes from which nothing personal can be removed are kept in dead letters
        std::vector<RemovalConfig> remove;
    } pii;
    struct {
        std::uint64_t bytes_max = 16ULL << 20;             // of all tables that are whole in memory
        std::uint32_t asked_keys_per_second_max = 10'000;  // of all tables that are cached
        std::vector<TableUseConfig> use;
    } tables;
    struct {
        std::uint64_t daily_write_limit_bytes = 0;  // above it a warning, nothing else; 0: none
    } flash;
    std::string log_level = "warn";
    LaneConfig lane_defaults;  // of what a lane in the file leaves out, and of a lane that is not in it
    std::vector<EnrichConfig> enrichments;
    std::vector<LaneConfig> lanes;    // "default" is always there, first
    std::vector<RouteConfig> routes;  // the first that matches; else "default"
    std::vector<RuleConfig> rules;
    std::vector<PayloadConfig> payloads;  // the first that is for an event
    std::vector<RuleTestConfig> tests;    // run by `weir-edge test`, not by the edge
    std::uint64_t digest = 0;             // XXH3 (64 bits) of the file's bytes, and of each schema's after it
};

struct LoadedConfig {
    std::optional<EdgeConfig> config;  // absent if there is any error
    std::vector<std::string> errors;   // FILE:LINE:COL: key: what
    std::vector<std::string> warnings;
};
// Reads and checks the file: what start and `weir-edge check` both do.
[[nodiscard]] LoadedConfig load_config(const std::string& path);
// Every key that load_config knows, dotted: "listen.admin", "lanes[].name".
[[nodiscard]] std::vector<std::string> known_config_keys();

struct Budget {
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;
    std::string text;  // one line per term: what, bytes, why
};
[[nodiscard]] Budget budget_of(const EdgeConfig& config);

}  // namespace weir::edge
