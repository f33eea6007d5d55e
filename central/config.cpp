#include "central/config.hpp"

#include <algorithm>

#include "central/analytics/engine.hpp"
#include "central/tables/table_sender.hpp"
#include "central/tables/what_changed.hpp"
#include "core/control/config_reader.hpp"
#include "core/control/tls_budget.hpp"
#include "core/io/io.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/record.hpp"
#include "core/journal/writer.hpp"
#include "core/wire/batch.hpp"
#include "core/wire/event.hpp"
#include "core/wire/frame.hpp"
#include "core/wire/status.hpp"
#include "core/wire/table.hpp"

namespace weir::central {
namespace {

using control::Bounds;
using control::ConfigFile;
using control::ConfigTable;

constexpr std::uint64_t minute_ms = 60'000;

// The budget's terms, each the worst case of what a part of central holds; whoever changes that part changes its term.
constexpr std::uint64_t journal_block_bytes = 4096;
constexpr std::uint64_t runners = 1;           // ingest, with its Io and slots
constexpr std::uint64_t operation_bytes = 64;  // an Io's submission or completion entry and its note
constexpr std::uint64_t carry_bytes = wire::frame_bytes(wire::frame_body_bytes_max);
constexpr std::uint64_t edge_bytes = 512;      // an edge: id, lineage, epoch, totals
constexpr std::uint64_t position_bytes = 256;  // (edge, lineage, lane, part): sequences, chain, totals
constexpr std::uint64_t type_bytes = 64 + wire::type_bytes_max;  // a type's name and counts
// The image, where its rows begin, three before it, as many changes, and what is being read (central/tables).
constexpr std::uint64_t table_copies = 9;
constexpr std::uint64_t table_bodies_bytes =
    3ULL * wire::table_changed_body_bytes_max;        // what went since each of the three
constexpr std::uint64_t minute_bytes = 16;            // one type in one minute
constexpr std::uint64_t process_bytes = 32ULL << 20;  // code, stacks, libraries, control threads

void read_listen(ConfigTable& table, CentralConfig& config) {
    auto& listen = config.listen;
    table.needs_texts("edges", listen.edges);
    table.needs_text("admin", listen.admin);
    table.flag("allow_plaintext", listen.allow_plaintext);
    table.number("connections_max", listen.connections_max, Bounds{1, 65'536, "connections"});
    table.number("hello_ms_max", listen.hello_ms_max, Bounds{100, minute_ms, "ms"});
    table.number("silent_ms_max", listen.silent_ms_max, Bounds{20, 10 * minute_ms, "ms"});
    table.number("frame_ms_max", listen.frame_ms_max, Bounds{100, 10 * minute_ms, "ms"});
    table.number("status_interval_ms", listen.status_interval_ms, Bounds{0, minute_ms, "ms"});
    if (listen.status_interval_ms != 0 && listen.status_interval_ms < wire::status_interval_ms_min) {
        table.fault("status_interval_ms",
                    "must be 0, or at least " + std::to_string(wire::status_interval_ms_min) + " ms");
    }
    // An edge must always be granted room for its largest batch.
    table.number("credit_bytes", listen.credit_bytes, Bounds{credit_floor_bytes, 1ULL << 30, "bytes"});
    check_addresses(table, "edges", listen.edges,
                    {.allow_plaintext = listen.allow_plaintext || config.tls.files.is_set(),
                     .allow_key = "listen.allow_plaintext"});
    if (!listen.admin.empty()) {
        const control::AddressRule rule{.allow_plaintext = config.admin.may_leave_loopback(), .tcp_only = true};
        if (const auto what = control::address_fault(listen.admin, rule)) table.fault("admin", *what);
    }
}

void read_lane(ConfigTable& table, CentralConfig& config) {
    CentralConfig::LaneBound lane;
    table.needs_text("name", lane.name);
    table.number("credit_bytes", lane.credit_bytes, Bounds{0, 1ULL << 30, "bytes"});
    if (!lane.name.empty() && !wire::is_name(lane.name, wire::lane_name_bytes_max)) {
        table.fault("name", "must be 1 to 16 of a-z, 0-9 and '-'");
    }
    for (const auto& other : config.lanes) {
        if (other.name == lane.name) table.fault("name", "is listed twice: \"" + lane.name + "\"");
    }
    if (lane.credit_bytes != 0 && lane.credit_bytes < credit_floor_bytes) {
        table.fault("credit_bytes",
                    "must be 0, or hold the largest batch: at least " + std::to_string(credit_floor_bytes) + " bytes");
    }
    config.lanes.push_back(std::move(lane));
}

void read_journal(ConfigTable& table, CentralConfig& config) {
    auto& journal = config.journal;
    table.number("segment_bytes", journal.segment_bytes, Bounds{1U << 20, 4ULL << 30, "bytes", journal::block_bytes});
    table.number("group_bytes", journal.group_bytes, Bounds{512U << 10, 64U << 20, "bytes", journal::block_bytes});
    table.number("groups", journal.groups, Bounds{2, 64, "groups"});
    table.number("recent_bytes", journal.recent_bytes, Bounds{0, 1ULL << 30, "bytes", journal::block_bytes});
    table.number("checkpoint_ms", journal.checkpoint_ms, Bounds{10, 10 * minute_ms, "ms"});
    table.number("tick_ms", journal.tick_ms, Bounds{10, 60 * minute_ms, "ms"});
    table.number("scrub_period_s", journal.scrub_period_s, Bounds{0, 31'536'000, "s"});
    table.number("scrub_bytes_per_second", journal.scrub_bytes_per_second, Bounds{1U << 16, 1ULL << 40, "bytes"});
    if (journal.group_bytes > journal.segment_bytes - journal::segment_header_bytes) {
        table.fault("group_bytes", "must fit one segment beside its header: at most " +
                                       std::to_string(journal.segment_bytes - journal::segment_header_bytes) +
                                       " bytes");
    }
}

void read_dead_letters(ConfigTable& table, CentralConfig& config) {
    auto& letters = config.dead_letters;
    table.number("keep_s", letters.keep_s, Bounds{1, 100ULL * 365 * 86'400, "s"});
    table.number("bytes_max", letters.bytes_max, Bounds{3U << 20, 1ULL << 50, "bytes"});
    // The one that is written, the one made ready ahead, and one to keep.
    if (letters.bytes_max / 3 < config.journal.segment_bytes) {
        table.fault("bytes_max", "must hold three segments of journal.segment_bytes, " +
                                     std::to_string(config.journal.segment_bytes) + " bytes");
    }
}

void read_limits(ConfigTable& table, CentralConfig& config) {
    auto& limits = config.limits;
    table.number("edges_max", limits.edges_max, Bounds{1, 65'536, "edges"});
    table.number("edge_journal_bytes_max", limits.edge_journal_bytes_max, Bounds{0, 1ULL << 50, "bytes"});
    table.number("edge_letters_bytes_max", limits.edge_letters_bytes_max, Bounds{0, 1ULL << 50, "bytes"});
    table.number("positions_max", limits.positions_max, Bounds{1, 1U << 24, "positions"});
    table.number("types_max", limits.types_max, Bounds{1, 1U << 20, "types"});
    table.number("minutes_max", limits.minutes_max, Bounds{1, 44'640, "minutes"});
    table.number("credit_bytes_total", limits.credit_bytes_total, Bounds{credit_floor_bytes, 1ULL << 40, "bytes"});
    table.number("carries_max", limits.carries_max, Bounds{2, 4096, "buffers"});
    table.number("turn_bytes", limits.turn_bytes, Bounds{4096, 64U << 20, "bytes"});
    table.number("hellos_per_second", limits.hellos_per_second, Bounds{10, 1'000'000, "hellos"});
    if (const std::uint64_t floors = config.listen.connections_max * credit_floor_bytes;
        limits.credit_bytes_total < floors) {
        table.fault("credit_bytes_total", "must hold the largest batch of each of listen.connections_max: at least " +
                                              std::to_string(floors) + " bytes");
    }
    table.number("table_bytes_max", limits.table_bytes_max, Bounds{1U << 16, wire::table_image_bytes_max, "bytes"});
    if (limits.positions_max < limits.edges_max) {
        table.fault("positions_max",
                    "must not be less than limits.edges_max, " + std::to_string(limits.edges_max) + " edges");
    }
}

void read_runtime(ConfigTable& table, CentralConfig& config) {
    auto& runtime = config.runtime;
    table.choice("idle", runtime.idle,
                 {{"spin", IdlePolicy::spin},
                  {"spin-then-yield", IdlePolicy::spin_then_yield},
                  {"spin-then-park", IdlePolicy::spin_then_park}});
    table.number("idle_spin_us", runtime.idle_spin_us, Bounds{0, 1'000'000, "us"});
    table.choice("thread_plan", runtime.thread_plan, {"auto", "floating", "pinned"});
    table.number("receive_slots", runtime.receive_slots, Bounds{2, 32'768, "slots"});
    table.number("receive_slot_bytes", runtime.receive_slot_bytes, Bounds{4096, 1U << 20, "bytes", 4096});
    table.flag("ring_restrictions", runtime.ring_restrictions);
    table.flag("core_dumps", runtime.core_dumps);
    table.flag("low_latency_idle", runtime.low_latency_idle);
}

void read_table(ConfigTable& table, CentralConfig& config) {
    TableConfig made;
    table.needs_text("name", made.name);
    table.needs_text("file", made.file);
    if (!made.name.empty() && !wire::is_name(made.name, wire::table_name_bytes_max)) {
        table.fault("name", "must be 1 to 32 of a-z, 0-9 and '-'");
    }
    if (std::any_of(config.tables.begin(), config.tables.end(),
                    [&](const TableConfig& other) { return other.name == made.name; })) {
        table.fault("name", "another table has this name: \"" + made.name + '"');
    }
    config.tables.push_back(std::move(made));
}

void read_stream(ConfigTable& table, CentralConfig& config) {
    auto& stream = config.stream;
    table.number("clients_max", stream.clients_max, Bounds{0, 65'536, "clients"});
    table.number("pushes_per_second", stream.pushes_per_second, Bounds{1, 100, "pushes"});
    table.number("beat_ms", stream.beat_ms, Bounds{100, minute_ms, "ms"});
    table.number("stalled_ms_max", stream.stalled_ms_max, Bounds{100, 10 * minute_ms, "ms"});
    table.number("events_clients_max", stream.events_clients_max, Bounds{0, 4096, "clients"});
    table.number("events_queue_bytes", stream.events_queue_bytes, Bounds{4096, 1U << 30, "bytes"});
}

void read_edge(ConfigTable& table, CentralConfig& config) {
    EdgeNote note;
    table.needs_text("name", note.name);
    table.text("region", note.region);
    table.text("intake", note.intake);
    const std::string_view begin = std::string_view(note.name).substr(0, note.name.find('*'));
    const bool is_pattern = note.name.size() == begin.size() + 1;
    const bool is_begin = begin.empty() ? is_pattern : wire::is_name(begin, wire::edge_id_bytes_max);
    if (!note.name.empty() && (!is_begin || note.name.size() > begin.size() + 1)) {
        table.fault("name", "must be an edge's id, or the beginning of one and '*'");
    }
    if (!note.region.empty() && !wire::is_name(note.region, wire::edge_id_bytes_max)) {
        table.fault("region", "must be 1 to 32 of a-z, 0-9 and '-'");
    }
    if (!note.intake.empty()) {
        if (const auto what = control::address_fault(note.intake, {})) table.fault("intake", *what);
        // One edge's letters mean nothing to another.
        if (is_pattern) table.fault("intake", "is for one edge: its name must be whole");
    }
    for (const auto& other : config.edges) {
        if (other.name == note.name) table.fault("name", "is listed twice: \"" + note.name + "\"");
    }
    config.edges.push_back(std::move(note));
}

void read_root(ConfigTable& root, CentralConfig& config) {
    root.needs_text("data_dir", config.data_dir);
    root.choice("log_level", config.log_level, {"debug", "info", "warn", "error"});
    const auto table = [&](std::string_view key, auto read) {
        root.table(key, [&](ConfigTable& inner) { read(inner, config); });
    };
    // First: what else may go beyond loopback depends on it.
    root.table("tls", [&](ConfigTable& inner) { control::read_tls(inner, config.tls, false); });
    root.table("at_rest", [&](ConfigTable& inner) { control::read_at_rest(inner, config.at_rest); });
    root.table("admin", [&](ConfigTable& inner) { control::read_admin(inner, config.admin, config.tls.files); });
    table("listen", read_listen);
    table("journal", read_journal);
    table("dead_letters", read_dead_letters);
    table("limits", read_limits);
    table("runtime", read_runtime);
    table("stream", read_stream);
    root.tables("lanes", lane_bounds_max, [&](ConfigTable& inner) { read_lane(inner, config); });
    root.tables("edges", edge_notes_max, [&](ConfigTable& inner) { read_edge(inner, config); });
    root.tables("tables", wire::tables_max, [&](ConfigTable& inner) { read_table(inner, config); });
    read_analytics(root, config.analytics);
}

// What each definition may be and all together may not: too many nodes, alerts that suppress by a name that is none.
void build_analytics(ConfigTable& root, CentralConfig& config) {
    if (!config.analytics.is_used()) return;
    const auto built = analytics::Engine::build(config.analytics.definitions);
    if (built) return;
    std::string what = built.error().what;
    root.fault(what.starts_with("alert.") ? "alerts" : "analytics", what);
}

}  // namespace

const EdgeNote* note_of(const std::vector<EdgeNote>& notes, std::string_view edge) {
    const EdgeNote* best = nullptr;
    for (const EdgeNote& note : notes) {
        if (note.name == edge) return &note;
        const std::string_view begin = std::string_view(note.name).substr(0, note.name.size() - 1);
        if (best == nullptr && note.name.ends_with('*') && edge.starts_with(begin)) best = &note;
    }
    return best;
}

std::uint64_t letters_credit_bytes(const CentralConfig& config) {
    const std::uint64_t half = std::uint64_t{config.journal.groups} / 2 * config.journal.group_bytes;
    return std::min(std::max(half, credit_floor_bytes), config.listen.credit_bytes);
}

LoadedConfig load_config(const std::string& path) {
    LoadedConfig loaded;
    ConfigFile file = control::read_config(path);
    CentralConfig config;
    if (file.is_readable()) {
        ConfigTable root(file);
        read_root(root, config);
        if (file.faults.empty()) build_analytics(root, config);
    }
    loaded.errors = file.error_lines();
    if (!loaded.errors.empty()) return loaded;
    config.digest = file.digest;
    config.path = path;
    config.analytics.text = file.text;
    if (config.listen.allow_plaintext && !config.tls.files.is_set())
        loaded.warnings.push_back("listen.allow_plaintext: batches may travel unencrypted");
    loaded.config = std::move(config);
    return loaded;
}

std::vector<std::string> known_config_keys() {
    ConfigFile file;
    file.lists_keys = true;
    CentralConfig config;
    {
        ConfigTable root(file);
        read_root(root, config);
    }
    return {file.known_keys.begin(), file.known_keys.end()};
}

Budget budget_of(const CentralConfig& config) {
    control::BudgetText terms;
    const auto many = [&](std::uint64_t number, std::string_view what, std::uint64_t bytes) {
        terms.memory(std::string(what) + ": " + std::to_string(number) + " of " + control::bytes_text(bytes),
                     number * bytes);
    };
    const io::IoOptions io_defaults;
    const auto& limits = config.limits;
    // Two journals, of events and of dead letters; a group holds at least one batch of the largest size.
    many(2 * config.journal.groups, "write groups (2 x journal.groups x group_bytes)",
         std::max<std::uint64_t>(config.journal.group_bytes, wire::frame_body_bytes_max + 2 * journal_block_bytes));
    terms.memory("what was written to the journal last (journal.recent_bytes)", config.journal.recent_bytes);
    if (config.at_rest.key != 0) {
        many(2 * std::uint64_t{journal::writes_in_flight_max}, "groups being written, encrypted (at_rest.key)",
             std::max<std::uint64_t>(config.journal.group_bytes, wire::frame_body_bytes_max + 2 * journal_block_bytes));
    }
    many(runners * config.runtime.receive_slots, "receive slots (runtime.receive_slots)",
         config.runtime.receive_slot_bytes);
    many(runners * io_defaults.operations_max, "I/O operations", operation_bytes);
    many(config.listen.connections_max, "edge sessions (listen.connections_max)", session_bytes_max);
    many(config.listen.connections_max, "cut frames up to a slot's size (listen.connections_max)",
         config.runtime.receive_slot_bytes);
    many(limits.carries_max, "larger cut frames (limits.carries_max)", carry_bytes);
    if (config.tls.files.is_set()) {
        many(runners * config.runtime.receive_slots, "decrypted slots (runtime.receive_slots)",
             config.runtime.receive_slot_bytes);
        many(config.listen.connections_max + control::tls_handshakes_max,
             "TLS of edges (listen.connections_max and handshakes)", control::tls_connection_bytes);
        many(runners * control::tls_handshakes_max, "what strangers have said before their turn",
             control::tls_stranger_bytes);
    }
    if (config.admin.files.is_set()) {
        many(std::uint64_t{config.admin.connections_max} + config.stream.clients_max,
             "TLS of the admin port (admin.connections_max, stream.clients_max)", control::tls_connection_bytes);
    }
    many(limits.edges_max, "edges (limits.edges_max)", edge_bytes);
    many(limits.positions_max, "positions (limits.positions_max)", position_bytes);
    many(limits.types_max, "event types (limits.types_max)", type_bytes);
    if (!config.tables.empty()) {
        many(TableSender::row_buffers_max, "answers with rows of tables", TableSender::row_buffer_bytes);
        many(config.tables.size() * table_copies, "tables, what they were, and changes (limits.table_bytes_max)",
             limits.table_bytes_max);
        many(config.tables.size(), "what changed in tables, for edges that cache rows", table_bodies_bytes);
        terms.memory("rows of a table that are compared", what_changed_bytes_max);
    }
    many(std::uint64_t{limits.types_max} * limits.minutes_max, "minute counts (limits.types_max x minutes_max)",
         minute_bytes);
    many(config.stream.clients_max, "WebSockets (stream.clients_max)", stream_client_bytes);
    many(config.stream.events_clients_max, "live events not taken (stream.events_clients_max x events_queue_bytes)",
         config.stream.events_queue_bytes);
    terms.memory("the state as WebSockets are told it", stream_state_bytes_max);
    add_budget(config.analytics, terms);
    terms.memory("checkpoint: two copies", 2 * std::uint64_t{journal::checkpoint_content_bytes_max});
    terms.memory("process: code, stacks, control threads", process_bytes);
    terms.note("network: batches on their way to central, in socket buffers: at most " +
               control::bytes_text(limits.credit_bytes_total) + " (limits.credit_bytes_total)");
    terms.disk("audit trail (admin.audit_bytes_max)", config.admin.audit_bytes_max);
    terms.disk("dead letters (dead_letters.bytes_max)", config.dead_letters.bytes_max);
    terms.disk("dead letters: what is noted as expired, two copies",
               2 * std::uint64_t{journal::checkpoint_content_bytes_max});
    if (config.analytics.is_used()) {
        terms.note(
            "disk: results of analytics: analytics.rows_max of each kind, about 400 bytes each, and the operators' "
            "state");
    }
    terms.note("disk: the journal of events grows with what arrives; there is no retention yet");
    return {terms.memory_bytes(), terms.disk_bytes(), terms.text()};
}

}  // namespace weir::central
