#include "edge/config.hpp"

#include <algorithm>

#include "core/base/time_text.hpp"
#include "core/control/config_reader.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/segment_files.hpp"
#include "core/journal/writer.hpp"
#include "core/wire/batch.hpp"
#include "core/wire/event.hpp"
#include "edge/counters.hpp"
#include "edge/expressions.hpp"
#include "edge/handover.hpp"

namespace weir::edge {
namespace {

using control::Bounds;
using control::ConfigFile;
using control::ConfigTable;

constexpr std::uint64_t year_s = 31'536'000;
constexpr std::uint64_t minute_ms = 60'000;
constexpr std::size_t rules_max = 1024;
constexpr std::size_t rule_tests_max = 4096;
constexpr std::size_t patterns_max = 1024;
constexpr std::size_t text_bytes_max = 256;
constexpr std::uint64_t priority_max = 3;
constexpr std::string_view default_lane = "default";

// The budget's terms, each the worst case of what a part of the edge holds; whoever changes that part changes its term.
constexpr std::uint64_t runners = 2;                  // intake and spool, each with an Io and its slots
constexpr std::uint64_t operation_bytes = 64;         // an Io's submission or completion entry and its note
constexpr std::uint64_t filter_ring_bytes = 32;       // duplicate filter: an id's hash, time and place, in order of age
constexpr std::uint64_t filter_index_bytes = 2 * 16;  // its index at half load
constexpr std::uint64_t replay_bytes = 256U << 10;  // which dead letters were applied again (edge/intake/producers.hpp)
constexpr std::uint64_t producer_bytes = 256;       // a numbered producer: name, counter, what its acks wait for
constexpr std::uint64_t key_bytes = 96 + wire::key_bytes_max;  // a key, and the name, time and place of its last value
// As intake has them (edge/intake): buffers for frames cut by the end of a slot, and runs of events that wait for an ack.
constexpr std::uint64_t carry_count = 32;
constexpr std::uint64_t carry_bytes = wire::frame_bytes(wire::frame_body_bytes_max);
constexpr std::uint64_t ack_run_count = 65'536;
constexpr std::uint64_t connection_bytes = 2048;  // a producer's session: hello, counters, frames to send
constexpr std::uint64_t ack_run_bytes = 64;
constexpr std::uint64_t resend_bytes =
    8 * std::uint64_t{batch_buffer_bytes};  // uplink: batches read back from the spool
constexpr std::uint64_t account_bytes = sizeof(EdgeCounters);
constexpr std::uint64_t process_bytes = 32ULL << 20;  // code, stacks, libraries, control threads
constexpr std::uint64_t sidecar_bytes = 32ULL << 20;  // the duplicate filter's side file at its default bound
constexpr std::uint64_t checkpoints = 2;              // intake's and the spool's, each in two copies

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

void read_listen(ConfigTable& table, EdgeConfig& config) {
    auto& listen = config.listen;
    table.needs_texts("producers", listen.producers);
    table.needs_text("admin", listen.admin);
    table.flag("allow_plaintext", listen.allow_plaintext);
    table.number("connections_max", listen.connections_max, Bounds{1, 65'536, "connections"});
    table.number("hello_ms_max", listen.hello_ms_max, Bounds{100, minute_ms, "ms"});
    table.number("credit_events", listen.credit_events, Bounds{64, 1U << 24, "events"});
    check_addresses(table, "producers", listen.producers,
                    {.allow_plaintext = listen.allow_plaintext || config.tls.is_for_producers(),
                     .allow_key = "listen.allow_plaintext"});
    if (!listen.admin.empty()) {
        if (const auto what = control::address_fault(listen.admin, {.tcp_only = true})) table.fault("admin", *what);
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
    table.number("return_stable_ms", uplink.return_stable_ms, Bounds{0, 60 * minute_ms, "ms"});
    check_addresses(table, "centrals", uplink.centrals,
                    {.allow_plaintext = uplink.allow_plaintext || config.tls.is_for_uplink(),
                     .allow_key = "uplink.allow_plaintext"});
    if (uplink.centrals.size() > centrals_max) {
        table.fault("centrals", "has more than " + std::to_string(centrals_max) + " entries");
    }
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

void read_runtime(ConfigTable& table, EdgeConfig& config) {
    auto& runtime = config.runtime;
    table.choice("idle", runtime.idle,
                 {{"spin", IdlePolicy::spin},
                  {"spin-then-yield", IdlePolicy::spin_then_yield},
                  {"spin-then-park", IdlePolicy::spin_then_park}});
    table.number("idle_spin_us", runtime.idle_spin_us, Bounds{0, 1'000'000, "us"});
    table.choice("thread_plan", runtime.thread_plan, {"auto", "floating", "pinned"});
    table.number("receive_slots", runtime.receive_slots, Bounds{2, 32'768, "slots"});
    table.number("receive_slot_bytes", runtime.receive_slot_bytes, Bounds{4096, 1U << 20, "bytes", 4096});
}

void read_lane(ConfigTable& table, EdgeConfig& config) {
    LaneConfig lane;
    table.needs_text("name", lane.name);
    table.choice("class", lane.lane_class, {{"durable", LaneClass::durable}, {"best_effort", LaneClass::best_effort}});
    table.choice("shed", lane.shed,
                 {{"oldest", ShedPolicy::oldest}, {"newest", ShedPolicy::newest}, {"random", ShedPolicy::random}});
    table.choice("drain", lane.drain, {{"in_order", Drain::in_order}, {"live_first", Drain::live_first}});
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

void read_expression(ConfigTable& table, std::string_view key, std::string& into) {
    table.text(key, into);
    if (into.empty()) return;
    if (const auto fault = expression_fault(into); !fault.empty()) table.fault(key, "at " + fault);
}

void read_route(ConfigTable& table, EdgeConfig& config) {
    RouteConfig route;
    table.needs_text("lane", route.lane);
    read_patterns(table, "types", route.types);
    read_patterns(table, "keys", route.keys);
    read_patterns(table, "sources", route.sources);
    table.number("priority_min", route.priority_min, Bounds{0, priority_max});
    table.tables("equals", patterns_max, [&](ConfigTable& inner) { read_equals(inner, route); });
    read_expression(table, "when", route.when);
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
    read_expression(table, "when", rule.when);
    read_expression(table, "must", rule.must);
    for (std::size_t index = 0; index < rule.require.size(); ++index) {
        const std::string& path = rule.require[index];
        if (!path.empty() && !is_path(path, {"key", "time", "trace_id"})) {
            table.fault("require", index, R"(must be "key", "time", "trace_id" or "data.PATH", not ")" + path + '"');
        }
    }
    config.rules.push_back(std::move(rule));
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
    table.text("data", test.data);
    table.number("priority", test.priority, Bounds{0, priority_max});
    table.text("verdict", test.verdict);
    table.text("lane", test.lane);
    table.text("reason", test.reason);
    table.number("rule", test.rule, Bounds{0, rules_max});
    if (!test.time.empty() && !parse_time(test.time)) table.fault("time", "must be a time as RFC 3339 has it");
    if (!test.verdict.empty() && test.verdict != "admitted" && test.verdict != "dead_letter") {
        table.fault("verdict", R"(must be "admitted" or "dead_letter")");
    }
    if (test.verdict.empty() && test.lane.empty() && test.reason.empty() && test.rule == 0) {
        table.fault("verdict", "a test needs something to expect: verdict, lane, reason or rule");
    }
    config.tests.push_back(std::move(test));
}

void read_root(ConfigTable& root, EdgeConfig& config) {
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
    table("listen", read_listen);
    table("uplink", read_uplink);
    table("validate", read_validate);
    table("cache", read_cache);
    table("spool", read_spool);
    table("runtime", read_runtime);
    // "default" and the dead letters take one lane each.
    root.tables("lanes", lanes_max - 2, [&](ConfigTable& inner) { read_lane(inner, config); });
    root.tables("routes", rules_max, [&](ConfigTable& inner) { read_route(inner, config); });
    root.tables("rules", rules_max, [&](ConfigTable& inner) { read_rule(inner, config); });
    root.tables("tests", rule_tests_max, [&](ConfigTable& inner) { read_rule_test(inner, config); });
    // Each lane may hold an open batch, and the dead letters one, while others are on their way to the disk.
    const std::size_t batches_min = config.lanes.size() + 2 + journal::writes_in_flight_max;
    if (config.spool.batches_max < batches_min) {
        root.table_fault("spool", "batches_max",
                         "must be at least " + std::to_string(batches_min) + " for so many lanes");
    }
}

// "default" exists and is the first.
void place_default_lane(std::vector<LaneConfig>& lanes) {
    const auto found =
        std::find_if(lanes.begin(), lanes.end(), [](const auto& lane) { return lane.name == default_lane; });
    if (found == lanes.end()) {
        lanes.insert(lanes.begin(), LaneConfig{.name = std::string(default_lane)});
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
        read_root(root, config);
        if (file.error_lines().empty()) {
            if (const auto all = Expressions::compile(config); !all) root.fault("rules", all.error().what);
        }
    }
    loaded.errors = file.error_lines();
    if (!loaded.errors.empty()) return loaded;
    config.digest = file.digest;
    place_default_lane(config.lanes);
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
        read_root(root, config);
    }
    return {file.known_keys.begin(), file.known_keys.end()};
}

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
    many(runners * config.runtime.receive_slots, "receive slots of two runners (runtime.receive_slots)",
         config.runtime.receive_slot_bytes);
    many(runners * io_defaults.operations_max, "I/O operations of two runners", operation_bytes);
    many(config.cache.ids_max, "duplicate filter (cache.ids_max)", filter_ring_bytes + filter_index_bytes);
    many(config.cache.producers_max, "numbered producers (cache.producers_max)", producer_bytes);
    terms.memory("dead letters that were replayed", replay_bytes);
    many(config.cache.keys_max, "last value per key (cache.keys_max)", key_bytes);
    many(connections, "producer sessions (listen.connections_max)", connection_bytes);
    many(carry_count, "cut frames", carry_bytes);
    many(ack_run_count, "runs of unacked events", ack_run_bytes);
    if (config.tls.is_for_producers()) {
        many(config.runtime.receive_slots, "decrypted slots (runtime.receive_slots)",
             config.runtime.receive_slot_bytes);
        many(connections + control::tls_handshakes_max, "TLS of producers (listen.connections_max and handshakes)",
             control::tls_connection_bytes);
    }
    terms.memory("uplink: batches read back to be sent again", resend_bytes);
    terms.memory("checkpoints: two of two copies",
                 checkpoints * 2 * std::uint64_t{journal::checkpoint_content_bytes_max});
    terms.memory("counters and histograms", account_bytes);
    terms.memory("process: code, stacks, control threads", process_bytes);

    terms.disk("spool (spool.bytes_max)", config.spool.bytes_max);
    terms.disk("spool: the segment made ready ahead", config.spool.segment_bytes);
    terms.disk("spool/quarantine: " + std::to_string(journal::quarantine_files_max) + " damaged segments at most",
               journal::quarantine_files_max * config.spool.segment_bytes);
    terms.disk("duplicate filter's side file",
               std::max(sidecar_bytes, std::uint64_t{config.cache.ids_max} * filter_ring_bytes));
    terms.disk("checkpoints: two of two copies",
               checkpoints * 2 * std::uint64_t{journal::checkpoint_content_bytes_max});
    return {terms.memory_bytes(), terms.disk_bytes(), terms.text()};
}

}  // namespace weir::edge
