#include "edge/config.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/base64.hpp"
#include "core/base/time_text.hpp"
#include "core/cache/reference_cache.hpp"
#include "core/control/config_reader.hpp"
#include "core/control/tls_budget.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/segment_files.hpp"
#include "core/journal/writer.hpp"
#include "core/wire/batch.hpp"
#include "core/wire/event.hpp"
#include "core/wire/table.hpp"
#include "edge/counters.hpp"
#include "edge/declared_tables.hpp"
#include "edge/expressions.hpp"
#include "edge/handover.hpp"
#include "edge/intake/connection.hpp"
#include "edge/intake/filter_blocks.hpp"
#include "edge/intake/key_table.hpp"
#include "edge/intake/tap.hpp"
#include "edge/payload_schemas.hpp"
#include "edge/pii_key.hpp"
#include "edge/profile.hpp"
#include "edge/spool/endpoint_order.hpp"
#include "edge/spool/journal_reader.hpp"
#include "edge/spool/spool_start.hpp"
#include "edge/tables/row_link.hpp"

namespace weir::edge {
namespace {

using control::Bounds;
using control::ConfigFile;
using control::ConfigTable;

constexpr std::uint64_t year_s = 31'536'000;
constexpr std::uint64_t minute_ms = 60'000;
constexpr std::size_t rules_max = 1024;
constexpr std::size_t rule_tests_max = 4096;
constexpr std::size_t pii_fields_max = 64;  // one bit each (edge/intake/json_edit.hpp)
constexpr std::size_t enrich_fields_max = 64;
constexpr std::size_t patterns_max = 1024;
constexpr std::size_t text_bytes_max = 256;
constexpr std::uint64_t priority_max = 3;
constexpr std::string_view default_lane = "default";

// The budget's terms, each the worst case of what a part of the edge holds; whoever changes that part changes its term.
constexpr std::uint64_t runners = 2;           // intake and spool, each with an Io and its slots
constexpr std::uint64_t operation_bytes = 64;  // an Io's submission or completion entry and its note
constexpr std::uint64_t filter_ring_bytes =
    sizeof(FilterEntry);                              // duplicate filter: an id's hash and time, in order of age
constexpr std::uint64_t filter_index_bytes = 2 * 16;  // its index at most: two to four ids in a line of 64 bytes
constexpr std::uint64_t replay_bytes = 256U << 10;  // which dead letters were applied again (edge/intake/producers.hpp)
constexpr std::uint64_t producer_bytes = 256;       // a numbered producer: name, counter, what its acks wait for
// As intake has them (edge/intake): buffers for frames cut by the end of a slot, and runs of events that wait for an ack.
constexpr std::uint64_t carry_bytes = wire::frame_bytes(wire::frame_body_bytes_max);
// A producer's session: hello, counters, a frame that lies cut, and frames to send.
constexpr std::uint64_t connection_bytes = sizeof(Connection) + send_buffer_bytes;
constexpr std::uint64_t ack_run_bytes = 64;
// Beside a reader's two buffers: what it knows of the records in them (edge/spool/journal_reader.hpp).
constexpr std::uint64_t reader_record_bytes = sizeof(JournalReader);
// A stream's journal: the open segment, the one made ready ahead, one kept to be used again, and one that is being deleted.
constexpr std::uint64_t segments_of_stream = 3 + journal::shrinking_max;
// Payload, text, event built anew, and the vector's edited events.
constexpr std::uint64_t edit_bytes = 3 * std::uint64_t{wire::event_bytes_max} + 3 * batch_buffer_bytes / 2;
constexpr std::uint64_t account_bytes = sizeof(EdgeCounters);
constexpr std::uint64_t process_bytes = 20ULL
                                        << 20;  // code, stacks, libraries, control threads: about 16 MiB are resident
constexpr std::uint64_t checkpoints = 2;        // intake's and the spool's, each in two copies

// A list whose items are non-empty texts of bounded length and number.
void read_texts(ConfigTable& table, std::string_view key, std::vector<std::string>& into) {
    table.texts(key, into);
    if (into.size() > patterns_max) table.fault(key, "has more than " + std::to_string(patterns_max) + " entries");
    for (std::size_t index = 0; index < into.size(); ++index) {
        if (into[index].empty()) table.fault(key, index, "must not be empty");
        if (into[index].size() > text_bytes_max) table.fault(key, index, "is longer than 256 bytes");
    }
}

// Exact, or ending in the only '*'.
void read_patterns(ConfigTable& table, std::string_view key, std::vector<std::string>& into) {
    read_texts(table, key, into);
    for (std::size_t index = 0; index < into.size(); ++index) {
        const auto star = into[index].find('*');
        if (star != std::string::npos && star + 1 != into[index].size()) {
            table.fault(key, index, "may have '*' only as its last letter");
        }
    }
}

bool is_path(std::string_view path, std::initializer_list<std::string_view> fields) {
    if (path.starts_with("data.")) return path.size() > 5 && !path.ends_with('.') && path.find("..") == path.npos;
    return std::find(fields.begin(), fields.end(), path) != fields.end();
}

void read_flash(ConfigTable& table, EdgeConfig& config) {
    table.number("daily_write_limit_bytes", config.flash.daily_write_limit_bytes, Bounds{0, 1ULL << 50U, "bytes"});
}

void read_listen(ConfigTable& table, EdgeConfig& config) {
    auto& listen = config.listen;
    table.needs_texts("producers", listen.producers);
    table.needs_text("admin", listen.admin);
    table.flag("allow_plaintext", listen.allow_plaintext);
    table.number("connections_max", listen.connections_max, Bounds{1, 65'536, "connections"});
    table.number("hello_ms_max", listen.hello_ms_max, Bounds{100, minute_ms, "ms"});
    table.number("credit_events", listen.credit_events, Bounds{64, 1U << 24, "events"});
    table.number("rate_events_max", listen.rate_events_max, Bounds{0, rate_events_max, "events"});
    table.number("waiting_bytes_max", listen.waiting_bytes_max, Bounds{1ULL << 20, 1ULL << 34, "bytes"});
    table.number("ack_runs_max", listen.ack_runs_max, Bounds{1024, 1U << 20, "runs"});
    table.number("cut_frames_max", listen.cut_frames_max, Bounds{1, 1024, "frames"});
    table.choice("socket_mode", listen.socket_mode, {{"0600", 0600U}, {"0660", 0660U}, {"0666", 0666U}});
    table.numbers("allowed_uids", listen.allowed_uids, Bounds{0, UINT32_MAX - 1, ""});
    table.numbers("allowed_gids", listen.allowed_gids, Bounds{0, UINT32_MAX - 1, ""});
    check_addresses(table, "producers", listen.producers,
                    {.allow_plaintext = listen.allow_plaintext || config.tls.is_for_producers(),
                     .allow_key = "listen.allow_plaintext"});
    if (!listen.admin.empty()) {
        const control::AddressRule rule{.allow_plaintext = config.admin.may_leave_loopback(), .tcp_only = true};
        if (const auto what = control::address_fault(listen.admin, rule)) table.fault("admin", *what);
    }
}

void read_weights(ConfigTable& table, EdgeConfig& config) {
    auto& uplink = config.uplink;
    table.choice("choice", uplink.choice, std::vector<std::string>{"ordered", "weighted"});
    table.numbers("weights", uplink.weights, Bounds{0, 1'000'000, ""});
    if (uplink.weights.empty()) return;
    if (uplink.weights.size() != uplink.centrals.size()) {
        table.fault("weights", "must be as many as uplink.centrals, " + std::to_string(uplink.centrals.size()));
    }
    if (std::all_of(uplink.weights.begin(), uplink.weights.end(), [](std::uint32_t weight) { return weight == 0; })) {
        table.fault("weights", "must not all be 0");
    }
}

void read_uplink(ConfigTable& table, EdgeConfig& config) {
    auto& uplink = config.uplink;
    table.needs_texts("centrals", uplink.centrals);
    table.flag("allow_plaintext", uplink.allow_plaintext);
    table.number("reconnect_ms_min", uplink.reconnect_ms_min, Bounds{1, minute_ms, "ms"});
    table.number("reconnect_ms_max", uplink.reconnect_ms_max, Bounds{1, 10 * minute_ms, "ms"});
    table.number("ping_ms", uplink.ping_ms, Bounds{10, minute_ms, "ms"});
    table.number("silent_ms_max", uplink.silent_ms_max, Bounds{20, 10 * minute_ms, "ms"});
    table.number("breaker_failures", uplink.breaker_failures, Bounds{1, 1000, "failures"});
    table.number("breaker_ms", uplink.breaker_ms, Bounds{1, 10 * minute_ms, "ms"});
    table.number("return_ms", uplink.return_ms, Bounds{10, 24 * 60 * minute_ms, "ms"});
    table.number("readers_max", uplink.readers_max, Bounds{1, 16, "readers"});
    table.number("reader_bytes", uplink.reader_bytes,
                 Bounds{read_buffer_bytes_min, read_buffer_bytes, "bytes", journal::block_bytes});
    table.number("catch_up_queue_us", uplink.catch_up_queue_us, Bounds{0, 10'000'000, "us"});
    table.number("return_stable_ms", uplink.return_stable_ms, Bounds{0, 60 * minute_ms, "ms"});
    check_addresses(table, "centrals", uplink.centrals,
                    {.allow_plaintext = uplink.allow_plaintext || config.tls.is_for_uplink(),
                     .allow_key = "uplink.allow_plaintext"});
    if (uplink.centrals.size() > centrals_max) {
        table.fault("centrals", "has more than " + std::to_string(centrals_max) + " entries");
    }
    read_weights(table, config);
    if (uplink.reconnect_ms_max < uplink.reconnect_ms_min) {
        table.fault("reconnect_ms_max", "must not be less than uplink.reconnect_ms_min, " +
                                            std::to_string(uplink.reconnect_ms_min) + " ms");
    }
    if (uplink.silent_ms_max <= uplink.ping_ms) {
        table.fault("silent_ms_max", "must be more than uplink.ping_ms, " + std::to_string(uplink.ping_ms) + " ms");
    }
}

void read_validate(ConfigTable& table, EdgeConfig& config) {
    read_patterns(table, "allowed_types", config.validate.allowed_types);
    table.number("time_ahead_s_max", config.validate.time_ahead_s_max, Bounds{0, 100 * year_s, "s"});
    table.number("time_behind_s_max", config.validate.time_behind_s_max, Bounds{0, 100 * year_s, "s"});
}

void read_cache(ConfigTable& table, EdgeConfig& config) {
    table.number("ids_max", config.cache.ids_max, Bounds{1024, 1U << 26, "ids"});
    table.number("lifetime_s", config.cache.lifetime_s, Bounds{1, year_s, "s"});
    table.number("producers_max", config.cache.producers_max, Bounds{1, 65'534, "producers"});
    table.number("keys_max", config.cache.keys_max, Bounds{0, 1U << 24, "keys"});
}

void read_spool(ConfigTable& table, EdgeConfig& config) {
    auto& spool = config.spool;
    table.number("segment_bytes", spool.segment_bytes, Bounds{1U << 20, 4ULL << 30, "bytes", journal::block_bytes});
    table.number("bytes_max", spool.bytes_max, Bounds{2U << 20, 1ULL << 50, "bytes"});
    table.number("batches_max", spool.batches_max, Bounds{4, 16'384, "batches"});
    table.number("disk_queue_us", spool.disk_queue_us, Bounds{0, 1'000'000, "us"});
    table.number("checkpoint_ms", spool.checkpoint_ms, Bounds{10, 10 * minute_ms, "ms"});
    table.number("keep_delivered_ms", spool.keep_delivered_ms, Bounds{0, 7 * 24 * 60 * minute_ms, "ms"});
    table.number("keep_delivered_bytes", spool.keep_delivered_bytes, Bounds{0, 1ULL << 50, "bytes"});
    table.number("scrub_period_s", spool.scrub_period_s, Bounds{0, year_s, "s"});
    table.number("scrub_bytes_per_second", spool.scrub_bytes_per_second, Bounds{1U << 16, 1ULL << 40, "bytes"});
    // Space comes back a segment at a time: with less than two, a full spool could never take the batch that frees it.
    if (spool.bytes_max < 2 * spool.segment_bytes) {
        table.fault("bytes_max", "must be at least twice spool.segment_bytes, " +
                                     std::to_string(2 * spool.segment_bytes) + " bytes");
    }
}

void read_ladder(ConfigTable& table, EdgeConfig& config) {
    auto& ladder = config.ladder;
    table.flag("enabled", ladder.enabled);
    table.number("degraded_spool_percent", ladder.degraded_spool_percent, Bounds{1, 100, "percent"});
    table.number("critical_spool_percent", ladder.critical_spool_percent, Bounds{1, 100, "percent"});
    table.number("below_percent", ladder.below_percent, Bounds{0, 50, "percent"});
    table.number("degraded_buffers_free_percent", ladder.degraded_buffers_free_percent, Bounds{0, 50, "percent"});
    table.number("degraded_stall_ms", ladder.degraded_stall_ms, Bounds{0, 10 * minute_ms, "ms"});
    table.number("critical_stall_ms", ladder.critical_stall_ms, Bounds{0, 10 * minute_ms, "ms"});
    table.number("dwell_ms", ladder.dwell_ms, Bounds{100, 60 * minute_ms, "ms"});
    table.number("linger_us", ladder.linger_us, Bounds{0, 1'000'000, "us"});
    if (ladder.critical_spool_percent < ladder.degraded_spool_percent) {
        table.fault("critical_spool_percent", "must not be less than ladder.degraded_spool_percent, " +
                                                  std::to_string(ladder.degraded_spool_percent) + " percent");
    }
    if (ladder.critical_stall_ms != 0 && ladder.critical_stall_ms < ladder.degraded_stall_ms) {
        table.fault("critical_stall_ms", "must not be less than ladder.degraded_stall_ms, " +
                                             std::to_string(ladder.degraded_stall_ms) + " ms");
    }
    if (ladder.below_percent >= ladder.degraded_spool_percent) {
        table.fault("below_percent", "must be less than ladder.degraded_spool_percent, " +
                                         std::to_string(ladder.degraded_spool_percent) + " percent");
    }
}

void read_dead_letters(ConfigTable& table, EdgeConfig& config) {
    auto& letters = config.dead_letters;
    table.flag("fuse", letters.fuse);
    table.number("fuse_share_percent", letters.fuse_share_percent, Bounds{1, 99, "percent"});
    table.number("fuse_window_events", letters.fuse_window_events, Bounds{128, 1U << 24, "events"});
    table.number("fuse_window_s", letters.fuse_window_s, Bounds{1, 86'400, "s"});
    table.number("fuse_failures_min", letters.fuse_failures_min, Bounds{1, 1U << 24, "events"});
    table.number("fuse_trial_events", letters.fuse_trial_events, Bounds{1, 1U << 16, "events"});
    table.number("fuse_pause_ms", letters.fuse_pause_ms, Bounds{100, 60 * minute_ms, "ms"});
    table.number("fuse_pause_ms_max", letters.fuse_pause_ms_max, Bounds{100, 24 * 60 * minute_ms, "ms"});
    table.number("quota_per_minute", letters.quota_per_minute, Bounds{0, 1ULL << 32, "events"});
    if (letters.fuse_failures_min > letters.fuse_window_events) {
        table.fault("fuse_failures_min", "must not be more than dead_letters.fuse_window_events, " +
                                             std::to_string(letters.fuse_window_events) + " events");
    }
    if (letters.fuse_pause_ms_max < letters.fuse_pause_ms) {
        table.fault("fuse_pause_ms_max", "must not be less than dead_letters.fuse_pause_ms, " +
                                             std::to_string(letters.fuse_pause_ms) + " ms");
    }
}

void read_runtime(ConfigTable& table, EdgeConfig& config) {
    auto& runtime = config.runtime;
    table.choice("idle", runtime.idle,
                 {{"spin", IdlePolicy::spin},
                  {"spin-then-yield", IdlePolicy::spin_then_yield},
                  {"spin-then-park", IdlePolicy::spin_then_park}});
    table.number("idle_spin_us", runtime.idle_spin_us, Bounds{0, 1'000'000, "us"});
    table.number("rest_us", runtime.rest_us, Bounds{0, 100'000, "us"});
    table.choice("thread_plan", runtime.thread_plan, {"auto", "floating", "pinned", "one"});
    table.number("receive_slots", runtime.receive_slots, Bounds{2, 32'768, "slots"});
    table.number("receive_slot_bytes", runtime.receive_slot_bytes, Bounds{4096, 1U << 20, "bytes", 4096});
    table.number("notes_max", runtime.notes_max, Bounds{256, 1U << 20, "notes"});
    table.flag("ring_restrictions", runtime.ring_restrictions);
    table.flag("core_dumps", runtime.core_dumps);
    table.flag("low_latency_idle", runtime.low_latency_idle);
}

void check_memory_lane(ConfigTable& table, const LaneConfig& lane) {
    if (lane.lane_class != LaneClass::best_effort) {
        table.fault("spool", R"("memory" is for class = "best_effort": a durable lane is never lost, and memory is)");
    }
    if (lane.drain == Drain::live_first) {
        table.fault("drain", R"("live_first" needs spool = "disk": a backlog is what the disk kept)");
    }
    if (lane.bytes_max != 0 && (lane.bytes_max < memory_lane_bytes_min || lane.bytes_max > memory_lane_bytes_max)) {
        table.fault("bytes_max", "of a lane in memory must be 0 (" + std::to_string(memory_lane_bytes_default) +
                                     ") or " + std::to_string(memory_lane_bytes_min) + " to " +
                                     std::to_string(memory_lane_bytes_max) + " bytes, not " +
                                     std::to_string(lane.bytes_max));
    }
}

void read_lane(ConfigTable& table, EdgeConfig& config) {
    LaneConfig lane = config.lane_defaults;
    table.needs_text("name", lane.name);
    table.choice("class", lane.lane_class, {{"durable", LaneClass::durable}, {"best_effort", LaneClass::best_effort}});
    table.choice("shed", lane.shed,
                 {{"oldest", ShedPolicy::oldest}, {"newest", ShedPolicy::newest}, {"random", ShedPolicy::random}});
    table.choice("drain", lane.drain, {{"in_order", Drain::in_order}, {"live_first", Drain::live_first}});
    table.choice("spool", lane.spool, {{"disk", LaneSpool::disk}, {"memory", LaneSpool::memory}});
    table.number("priority", lane.priority, Bounds{0, priority_max});
    table.number("weight", lane.weight, Bounds{1, 100});
    table.number("backlog_weight", lane.backlog_weight, Bounds{1, 64});
    table.number("bytes_max", lane.bytes_max, Bounds{0, 1ULL << 50U, "bytes"});
    table.number("keep_undelivered_s", lane.keep_undelivered_s, Bounds{0, 315'360'000, "s"});
    table.number("batch_bytes", lane.batch_bytes, Bounds{4096, 256U << 10, "bytes"});
    table.number("batch_events", lane.batch_events, Bounds{1, wire::batch_events_max, "events"});
    table.number("linger_us", lane.linger_us, Bounds{0, 10'000'000, "us"});
    if (!lane.name.empty()) {
        if (!wire::is_name(lane.name, wire::lane_name_bytes_max)) {
            table.fault("name", "must be 1 to 16 of a-z, 0-9 and '-'");
        } else if (lane.name == dead_letter_lane_name) {
            table.fault("name", "\"dead-letters\" is the reserved lane");
        } else if (std::any_of(config.lanes.begin(), config.lanes.end(),
                               [&](const LaneConfig& other) { return other.name == lane.name; })) {
            table.fault("name", "another lane has this name: \"" + lane.name + '"');
        }
    }
    if (lane.is_in_memory()) check_memory_lane(table, lane);
    config.lanes.push_back(std::move(lane));
}

void read_equals(ConfigTable& table, RouteConfig& route) {
    FieldEquals equals;
    table.needs_text("path", equals.path);
    table.needs_scalar("value", equals.value);
    if (!equals.path.empty() && !is_path(equals.path, {"source", "key", "type"})) {
        table.fault("path", R"(must be "source", "key", "type" or "data.PATH", not ")" + equals.path + '"');
    }
    route.equals.push_back(std::move(equals));
}

void read_expression(ConfigTable& table, std::string_view key, const EdgeConfig& config, std::string& into,
                     bool gives_condition = true) {
    table.text(key, into);
    if (into.empty()) return;
    const DeclaredTables declared(config.tables.use);
    const auto fault = expression_fault(into, {.gives_condition = gives_condition, .tables = &declared});
    if (!fault.empty()) table.fault(key, "at " + fault);
}

void read_cached_table(ConfigTable& table, TableUseConfig& use) {
    // What changed by a prefix or a value is looked for in all of it, between two vectors.
    table.number("bytes_max", use.bytes_max, Bounds{1U << 16, 1U << 26, "bytes"});
    table.number("entry_bytes_max", use.entry_bytes_max, Bounds{64, 1U << 14, "bytes"});
    table.numbers("lifetimes_s", use.lifetimes_s, Bounds{0, year_s, "s"});
    table.text("lifetime_column", use.lifetime_column);
    table.number("absent_s", use.absent_s, Bounds{1, year_s, "s"});
    read_texts(table, "tag_columns", use.tag_columns);
    if (!use.is_cached()) {
        for (const char* key :
             {"bytes_max", "entry_bytes_max", "lifetimes_s", "lifetime_column", "absent_s", "tag_columns"}) {
            if (table.has(key)) table.fault(key, R"(is of a table with keep = "cached")");
        }
        return;
    }
    if (use.columns.empty()) table.fault("keep", "needs columns: only those of a row are cached");
    if (use.columns.size() > wire::table_columns_max) table.fault("columns", "has more than 64 entries");
    if (use.lifetimes_s.empty() || use.lifetimes_s.size() > cache::lifetime_classes) {
        table.fault("lifetimes_s", "must have 1 to 8 entries");
    }
    if (use.tag_columns.size() > cache::entry_tags_max) table.fault("tag_columns", "has more than 4 entries");
    for (std::size_t index = 0; index < use.tag_columns.size(); ++index) {
        if (use.tag_columns[index].size() > wire::table_column_bytes_max) {
            table.fault("tag_columns", index, "is longer than 64 bytes");
        }
    }
}

void read_table_use(ConfigTable& table, EdgeConfig& config) {
    TableUseConfig use;
    table.needs_text("name", use.name);
    read_texts(table, "columns", use.columns);
    table.choice("keep", use.keep, {{"whole", TableKeep::whole}, {"cached", TableKeep::cached}});
    read_cached_table(table, use);
    if (!use.name.empty() && !wire::is_name(use.name, wire::table_name_bytes_max)) {
        table.fault("name", "must be 1 to 32 of a-z, 0-9 and '-'");
    }
    for (std::size_t index = 0; index < use.columns.size(); ++index) {
        if (!use.columns[index].empty() && !DeclaredTables::parse(use.columns[index])) {
            table.fault("columns", index, R"(must be "NAME:TYPE", TYPE one of text, integer, real, boolean)");
        }
    }
    if (std::any_of(config.tables.use.begin(), config.tables.use.end(),
                    [&](const TableUseConfig& other) { return other.name == use.name; })) {
        table.fault("name", "another table has this name: \"" + use.name + '"');
    }
    config.tables.use.push_back(std::move(use));
}

void read_tables(ConfigTable& table, EdgeConfig& config) {
    table.number("bytes_max", config.tables.bytes_max, Bounds{1U << 16, 1U << 30, "bytes"});
    table.number("asked_keys_per_second_max", config.tables.asked_keys_per_second_max, Bounds{1, 1'000'000, "keys"});
    table.tables("use", wire::tables_max, [&](ConfigTable& inner) { read_table_use(inner, config); });
}

void read_pii_field(ConfigTable& table, const EdgeConfig& config, RemovalConfig& removal) {
    PiiConfig pii;
    std::string how;
    table.needs_text("field", pii.field);
    table.needs_text("how", how);
    if (!pii.field.empty() && !is_path(pii.field, {"key"})) {
        table.fault("field", R"(must be "key" or "data.PATH", not ")" + pii.field + '"');
    }
    constexpr std::string_view truncate = "truncate:";
    const char* const end = how.data() + how.size();
    if (how == "drop") {
        pii.how = Removal::drop;
    } else if (how == "hash") {
        pii.how = Removal::hash;
        if (config.pii.key_file.empty()) table.fault("how", "needs a key: pii.key_file");
    } else if (how.starts_with(truncate) && how.size() > truncate.size() &&
               std::from_chars(how.data() + truncate.size(), end, pii.characters).ptr == end) {
        pii.how = Removal::truncate;
    } else if (!how.empty()) {
        table.fault("how", R"(must be "drop", "hash" or "truncate:COUNT", not ")" + how + '"');
    }
    removal.fields.push_back(std::move(pii));
}

void read_removal(ConfigTable& table, EdgeConfig& config) {
    RemovalConfig removal;
    read_patterns(table, "types", removal.types);
    table.tables("fields", pii_fields_max, [&](ConfigTable& inner) { read_pii_field(inner, config, removal); });
    config.pii.remove.push_back(std::move(removal));
    std::size_t fields = 0;
    for (const RemovalConfig& one : config.pii.remove) fields += one.fields.size();
    if (fields > pii_fields_max)
        table.fault("fields", "more than " + std::to_string(pii_fields_max) + " fields in all");
}

void read_pii(ConfigTable& table, EdgeConfig& config) {
    table.text("key_file", config.pii.key_file);
    table.flag("keep_unverified", config.pii.keep_unverified);
    table.tables("remove", rules_max, [&](ConfigTable& inner) { read_removal(inner, config); });
    bool hashes = false;
    for (const RemovalConfig& removal : config.pii.remove) {
        for (const PiiConfig& field : removal.fields) hashes = hashes || field.how == Removal::hash;
    }
    if (!hashes || config.pii.key_file.empty()) return;
    if (const auto fault = read_sip_key(config.pii.key_file, config.pii.key)) table.fault("key_file", *fault);
}

void read_set(ConfigTable& table, const EdgeConfig& config, EnrichConfig& enrich) {
    SetConfig set;
    table.needs_text("field", set.field);
    read_expression(table, "from", config, set.from, false);
    if (set.from.empty()) table.fault("from", "is missing or empty");
    const bool is_member =
        set.field.starts_with("data.") && is_path(set.field, {}) && set.field.find('.', 5) == set.field.npos;
    if (!set.field.empty() && !is_member) table.fault("field", R"(must be "data.NAME", not ")" + set.field + '"');
    enrich.set.push_back(std::move(set));
}

void read_enrich(ConfigTable& table, EdgeConfig& config) {
    EnrichConfig enrich;
    read_patterns(table, "types", enrich.types);
    read_expression(table, "when", config, enrich.when);
    table.tables("set", enrich_fields_max, [&](ConfigTable& inner) { read_set(inner, config, enrich); });
    if (enrich.set.empty()) table.fault("set", "sets nothing");
    config.enrichments.push_back(std::move(enrich));
}

void read_route(ConfigTable& table, EdgeConfig& config) {
    RouteConfig route;
    table.needs_text("lane", route.lane);
    read_patterns(table, "types", route.types);
    read_patterns(table, "keys", route.keys);
    read_patterns(table, "sources", route.sources);
    table.number("priority_min", route.priority_min, Bounds{0, priority_max});
    table.tables("equals", patterns_max, [&](ConfigTable& inner) { read_equals(inner, route); });
    read_expression(table, "when", config, route.when);
    const auto is_this = [&](const LaneConfig& lane) { return lane.name == route.lane; };
    if (!route.lane.empty() && route.lane != default_lane &&
        std::none_of(config.lanes.begin(), config.lanes.end(), is_this)) {
        table.fault("lane", "no lane has this name: \"" + route.lane + '"');
    }
    config.routes.push_back(std::move(route));
}

void read_range(ConfigTable& table, RuleConfig& rule) {
    RangeConfig range;
    table.needs_text("path", range.path);
    table.decimal("min", range.min);
    table.decimal("max", range.max);
    if (!range.path.empty() && !is_path(range.path, {"priority"})) {
        table.fault("path", R"(must be "priority" or "data.PATH", not ")" + range.path + '"');
    }
    if (!table.has("min") && !table.has("max")) table.fault("min", "a range needs min, max or both");
    if (range.min && range.max && *range.max < *range.min) table.fault("max", "must not be less than min");
    rule.ranges.push_back(std::move(range));
}

void read_rule(ConfigTable& table, EdgeConfig& config) {
    RuleConfig rule;
    read_patterns(table, "types", rule.types);
    read_texts(table, "require", rule.require);
    table.tables("ranges", patterns_max, [&](ConfigTable& inner) { read_range(inner, rule); });
    read_expression(table, "when", config, rule.when);
    read_expression(table, "must", config, rule.must);
    for (std::size_t index = 0; index < rule.require.size(); ++index) {
        const std::string& path = rule.require[index];
        if (!path.empty() && !is_path(path, {"key", "time", "trace_id"})) {
            table.fault("require", index, R"(must be "key", "time", "trace_id" or "data.PATH", not ")" + path + '"');
        }
    }
    config.rules.push_back(std::move(rule));
}

void read_payload(ConfigTable& table, EdgeConfig& config, const std::string& config_path) {
    PayloadConfig payload;
    table.needs_text("type", payload.type);
    table.needs_text("content_type", payload.content_type);
    table.text("schema", payload.schema);
    table.text("root", payload.root);
    const auto fault = payload_fault(payload);
    if (!fault.what.empty()) table.fault(fault.key, fault.what);
    if (!payload.schema.empty()) {
        if (const auto wrong = load_schema(payload, config_path); !wrong.what.empty()) {
            table.fault(wrong.key, wrong.what);
        }
    }
    config.payloads.push_back(std::move(payload));
}

void read_test_data(ConfigTable& table, RuleTestConfig& test) {
    std::string base64;
    table.text("data", test.data);
    table.text("data_base64", base64);
    if (!table.has("data_base64")) return;
    if (table.has("data")) table.fault("data_base64", "data is given too: a test has one payload");
    const auto bytes = read_base64(base64);
    if (!bytes) table.fault("data_base64", "is no base64");
    test.data = bytes.value_or("");
}

void read_rule_test(ConfigTable& table, EdgeConfig& config) {
    RuleTestConfig test;
    table.needs_text("name", test.name);
    table.needs_text("type", test.type);
    table.text("id", test.id);
    table.text("source", test.source);
    table.text("key", test.key);
    table.text("time", test.time);
    table.text("content_type", test.content_type);
    read_test_data(table, test);
    table.number("priority", test.priority, Bounds{0, priority_max});
    table.text("verdict", test.verdict);
    table.text("lane", test.lane);
    table.text("reason", test.reason);
    table.number("rule", test.rule, Bounds{0, rules_max});
    table.text("data_after", test.data_after);
    if (!test.time.empty() && !parse_time(test.time)) table.fault("time", "must be a time as RFC 3339 has it");
    if (!test.verdict.empty() && test.verdict != "admitted" && test.verdict != "dead_letter") {
        table.fault("verdict", R"(must be "admitted" or "dead_letter")");
    }
    if (test.verdict.empty() && test.lane.empty() && test.reason.empty() && test.rule == 0 && test.data_after.empty()) {
        table.fault("verdict", "a test needs something to expect: verdict, lane, reason, rule or data_after");
    }
    config.tests.push_back(std::move(test));
}

void read_root(ConfigTable& root, EdgeConfig& config, const std::string& config_path) {
    // First: everything else is a default of it, or counts instead.
    root.choice("profile", config.profile, {{"standard", Profile::standard}, {"small", Profile::small}});
    apply_profile(config);
    root.needs_text("edge_id", config.edge_id);
    root.needs_text("data_dir", config.data_dir);
    root.choice("log_level", config.log_level, {"debug", "info", "warn", "error"});
    if (!config.edge_id.empty() && !wire::is_name(config.edge_id, wire::edge_id_bytes_max)) {
        root.fault("edge_id", "must be 1 to 32 of a-z, 0-9 and '-'");
    }
    const auto table = [&](std::string_view key, auto read) {
        root.table(key, [&](ConfigTable& inner) { read(inner, config); });
    };
    // First: what else may go beyond loopback depends on it.
    root.table("tls", [&](ConfigTable& inner) { control::read_tls(inner, config.tls, true); });
    root.table("at_rest", [&](ConfigTable& inner) { control::read_at_rest(inner, config.at_rest); });
    root.table("admin", [&](ConfigTable& inner) { control::read_admin(inner, config.admin, config.tls.files); });
    table("listen", read_listen);
    table("uplink", read_uplink);
    table("validate", read_validate);
    table("cache", read_cache);
    table("spool", read_spool);
    table("ladder", read_ladder);
    table("dead_letters", read_dead_letters);
    table("runtime", read_runtime);
    table("flash", read_flash);
    // Before the expressions, which may look something up.
    table("tables", read_tables);
    table("pii", read_pii);
    // "default" and the dead letters take one lane each.
    root.tables("lanes", lanes_max - 2, [&](ConfigTable& inner) { read_lane(inner, config); });
    root.tables("routes", rules_max, [&](ConfigTable& inner) { read_route(inner, config); });
    root.tables("rules", rules_max, [&](ConfigTable& inner) { read_rule(inner, config); });
    root.tables("payloads", payloads_max, [&](ConfigTable& inner) { read_payload(inner, config, config_path); });
    root.tables("enrich", rules_max, [&](ConfigTable& inner) { read_enrich(inner, config); });
    root.tables("tests", rule_tests_max, [&](ConfigTable& inner) { read_rule_test(inner, config); });
    std::size_t streams = 2;  // of "default" and the dead letters
    for (const LaneConfig& lane : config.lanes) {
        streams += lane.name == default_lane ? 0 : 1;
        streams += lane.drain == Drain::live_first ? 1 : 0;
    }
    if (streams > lanes_max) {
        root.fault("lanes", "make " + std::to_string(streams) + " streams, a live_first lane two; at most " +
                                std::to_string(lanes_max));
    }
    // Each lane may hold an open batch, and the dead letters one, while others are on their way to the disk.
    const std::size_t batches_min = config.lanes.size() + 2 + journal::writes_in_flight_max;
    if (config.spool.batches_max < batches_min) {
        root.table_fault("spool", "batches_max",
                         "must be at least " + std::to_string(batches_min) + " for so many lanes");
    }
}

// "default" exists and is the first.
void place_default_lane(std::vector<LaneConfig>& lanes, const LaneConfig& defaults) {
    const auto found =
        std::find_if(lanes.begin(), lanes.end(), [](const auto& lane) { return lane.name == default_lane; });
    if (found == lanes.end()) {
        lanes.insert(lanes.begin(), defaults)->name = default_lane;
    } else {
        std::rotate(lanes.begin(), found, found + 1);
    }
}

}  // namespace

LoadedConfig load_config(const std::string& path) {
    LoadedConfig loaded;
    ConfigFile file = control::read_config(path);
    EdgeConfig config;
    if (file.is_readable()) {
        ConfigTable root(file);
        read_root(root, config, path);
        if (file.error_lines().empty()) {
            if (const auto all = Expressions::compile(config); !all) root.fault("rules", all.error().what);
        }
    }
    loaded.errors = file.error_lines();
    if (!loaded.errors.empty()) return loaded;
    config.digest = file.digest;
    for (const PayloadConfig& payload : config.payloads) {
        config.digest = control::extend_digest(config.digest, payload.schema_bytes);
    }
    place_default_lane(config.lanes, config.lane_defaults);
    if (auto& uplink = config.uplink; uplink.choice == "weighted") {
        if (uplink.weights.empty()) uplink.weights.assign(uplink.centrals.size(), 1);
        uplink.centrals = endpoint_order(config.edge_id, uplink.centrals, uplink.weights);
    }
    for (const LaneConfig& lane : config.lanes) {
        if (!lane.is_in_memory()) continue;
        loaded.warnings.push_back("lanes[" + lane.name +
                                  "].spool: lives in memory: \"spooled\" is answered there when central has the event");
    }
    if (config.listen.allow_plaintext && !config.tls.is_for_producers())
        loaded.warnings.push_back("listen.allow_plaintext: producers' events may travel unencrypted");
    if (config.uplink.allow_plaintext && !config.tls.is_for_uplink())
        loaded.warnings.push_back("uplink.allow_plaintext: batches may travel unencrypted");
    loaded.config = std::move(config);
    return loaded;
}

std::vector<std::string> known_config_keys() {
    ConfigFile file;
    file.lists_keys = true;
    EdgeConfig config;
    {
        ConfigTable root(file);
        read_root(root, config, {});
    }
    return {file.known_keys.begin(), file.known_keys.end()};
}

namespace {
// Calls visit(bytes of a segment) for each stream that the configuration makes.
template <class Visit>
void for_each_stream(const EdgeConfig& config, Visit&& visit) {
    for (const LaneConfig& lane : config.lanes) {
        if (lane.is_in_memory()) continue;
        visit(stream_segment_bytes(config, lane.name));
        if (lane.drain == Drain::live_first) visit(stream_segment_bytes(config, lane.name));
    }
    visit(stream_segment_bytes(config, dead_letter_lane_name));
}
}  // namespace

Budget budget_of(const EdgeConfig& config) {
    control::BudgetText terms;
    const auto count = [](std::uint64_t number, std::string_view what, std::uint64_t bytes) {
        return std::string(what) + ": " + std::to_string(number) + " of " + control::bytes_text(bytes);
    };
    const auto many = [&](std::uint64_t number, std::string_view what, std::uint64_t bytes) {
        terms.memory(count(number, what, bytes), number * bytes);
    };
    const io::IoOptions io_defaults;
    const std::uint64_t connections = config.listen.connections_max;
    many(config.spool.batches_max, "batch buffers (spool.batches_max)", batch_buffer_bytes);
    for (const LaneConfig& lane : config.lanes) {
        if (lane.is_in_memory())
            terms.memory("lane " + lane.name + " in memory (lanes[].bytes_max)", lane.memory_bytes());
    }
    many(runners * config.runtime.receive_slots, "receive slots of up to two runners (runtime.receive_slots)",
         config.runtime.receive_slot_bytes);
    many(runners * io_defaults.operations_max, "I/O operations of up to two runners", operation_bytes);
    many(config.cache.ids_max, "duplicate filter (cache.ids_max)", filter_ring_bytes + filter_index_bytes);
    many(config.cache.producers_max, "numbered producers (cache.producers_max)", producer_bytes);
    terms.memory("dead letters that were replayed", replay_bytes);
    many(config.cache.keys_max, "last value per key (cache.keys_max)", KeyTable::entry_bytes);
    many(connections, "producer sessions (listen.connections_max)", connection_bytes);
    many(config.listen.cut_frames_max, "cut frames (listen.cut_frames_max)", carry_bytes);
    terms.memory("what waits for a lane that is full (listen.waiting_bytes_max)", config.listen.waiting_bytes_max);
    many(config.listen.ack_runs_max, "runs of unacked events (listen.ack_runs_max)", ack_run_bytes);
    many(config.uplink.readers_max,
         "uplink: readers of what is sent again, two buffers each (uplink.readers_max, reader_bytes)",
         2 * std::uint64_t{config.uplink.reader_bytes} + reader_record_bytes);
    many(config.runtime.notes_max, "notes from the spool to intake (runtime.notes_max)", sizeof(ToIntake));
    if (config.tls.is_for_producers()) {
        many(config.runtime.receive_slots, "decrypted slots (runtime.receive_slots)",
             config.runtime.receive_slot_bytes);
        many(connections + control::tls_handshakes_max, "TLS of producers (listen.connections_max and handshakes)",
             control::tls_connection_bytes);
        many(control::tls_handshakes_max, "what strangers have said before their turn", control::tls_stranger_bytes);
    }
    if (config.admin.files.is_set())
        many(config.admin.connections_max, "TLS of the admin port (admin.connections_max)",
             control::tls_connection_bytes);
    if (config.at_rest.key != 0) {
        std::uint64_t stream_count = 0;
        for_each_stream(config, [&](std::uint64_t) { ++stream_count; });
        many(stream_count * journal::writes_in_flight_max, "batches being written, encrypted (at_rest.key)",
             batch_buffer_bytes + journal::block_bytes);
    }
    terms.memory("checkpoints: two of two copies",
                 checkpoints * 2 * std::uint64_t{journal::checkpoint_content_bytes_max});
    const auto cached = static_cast<std::size_t>(std::count_if(
        config.tables.use.begin(), config.tables.use.end(), [](const TableUseConfig& use) { return use.is_cached(); }));
    for (const TableUseConfig& use : config.tables.use) {
        if (use.is_cached()) terms.memory("table " + use.name + ", cached (tables.use[].bytes_max)", use.bytes_max);
    }
    if (cached > 0) terms.memory("rows asked for, and on their way from central", RowLink::memory_bytes(cached));
    if (config.tables.use.size() > cached) {
        terms.memory("tables: in use, being replaced, coming (tables.bytes_max)", 3 * config.tables.bytes_max);
        terms.disk("tables (tables.bytes_max)", 2 * config.tables.bytes_max);
    }
    if (!config.pii.remove.empty() || !config.enrichments.empty()) {
        terms.memory("edits: of two configurations", 2 * edit_bytes);
    }
    terms.memory("counters and histograms", account_bytes);
    terms.memory("a tap, while one is open", tap_bytes);
    std::uint64_t schema_bytes = 0;
    for (const PayloadConfig& payload : config.payloads) schema_bytes += payload.schema_bytes.size();
    if (schema_bytes > 0) terms.memory("payload schemas, three copies (payloads)", 3 * schema_bytes);
    terms.memory("process: code, stacks, control threads", process_bytes);

    terms.disk("spool (spool.bytes_max)", config.spool.bytes_max);
    std::uint64_t streams = 0, segments = 0;
    for_each_stream(config, [&](std::uint64_t segment_bytes) {
        ++streams;
        segments += segment_bytes;
    });
    terms.disk("spool: of " + std::to_string(streams) +
                   " streams the segment in use, one made ready, one to use again, one being deleted",
               segments_of_stream * segments);
    terms.disk("spool/*/quarantine: " + std::to_string(journal::quarantine_files_max) +
                   " damaged segments of a stream at most",
               journal::quarantine_files_max * segments);
    terms.disk("duplicate filter's file, and one more while it is written anew (cache.ids_max)",
               2 * filter_file_bytes(config.cache.ids_max));
    terms.disk("audit trail (admin.audit_bytes_max)", config.admin.audit_bytes_max);
    terms.disk("checkpoints: two of two copies",
               checkpoints * 2 * std::uint64_t{journal::checkpoint_content_bytes_max});
    return {terms.memory_bytes(), terms.disk_bytes(), terms.text()};
}

}  // namespace weir::edge
