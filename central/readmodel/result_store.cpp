#include "central/readmodel/result_store.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cstdio>

namespace weir::central {
namespace {

// The page cache of the writer, in KiB: what a transaction changes beyond it goes to the write-ahead log early.
constexpr std::string_view settings =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; PRAGMA temp_store = FILE;";

constexpr std::string_view schema = R"(
CREATE TABLE IF NOT EXISTS windows (serial INTEGER PRIMARY KEY, position INTEGER NOT NULL, arrival_ns INTEGER NOT NULL,
  name TEXT NOT NULL, key TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, born INTEGER NOT NULL,
  version INTEGER NOT NULL, marks INTEGER NOT NULL, count INTEGER NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS windows_by_key ON windows (key);
CREATE INDEX IF NOT EXISTS windows_by_name ON windows (name);
CREATE INDEX IF NOT EXISTS windows_corrected ON windows (name, key, start_ns, born) WHERE version > 1;
CREATE TABLE IF NOT EXISTS patterns (serial INTEGER PRIMARY KEY, position INTEGER NOT NULL, arrival_ns INTEGER NOT NULL,
  name TEXT NOT NULL, key TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, given_up INTEGER NOT NULL,
  data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS anomalies (serial INTEGER PRIMARY KEY, position INTEGER NOT NULL, arrival_ns INTEGER NOT NULL,
  name TEXT NOT NULL, key TEXT NOT NULL, time_ns INTEGER NOT NULL, value REAL NOT NULL, score REAL NOT NULL,
  alarm INTEGER NOT NULL, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alerts (serial INTEGER PRIMARY KEY, position INTEGER NOT NULL, arrival_ns INTEGER NOT NULL,
  name TEXT NOT NULL, key TEXT NOT NULL, time_ns INTEGER NOT NULL, since_ns INTEGER NOT NULL, kind TEXT NOT NULL,
  fate TEXT NOT NULL, severity TEXT NOT NULL, count INTEGER NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS alerts_by_position ON alerts (position, serial);
CREATE TABLE IF NOT EXISTS definitions (number INTEGER PRIMARY KEY, position INTEGER NOT NULL, digest INTEGER NOT NULL,
  config TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS edges (edge TEXT NOT NULL, lineage TEXT NOT NULL, lane TEXT NOT NULL, part TEXT NOT NULL,
  last_sequence INTEGER NOT NULL, position INTEGER NOT NULL, arrival_ns INTEGER NOT NULL,
  PRIMARY KEY (edge, lineage, lane, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS history (number INTEGER PRIMARY KEY CHECK (number = 1), history INTEGER NOT NULL);
DROP TABLE IF EXISTS state;
DROP TABLE IF EXISTS state_parts;
DROP INDEX IF EXISTS windows_by_row;
)";

constexpr std::array<std::string_view, result_kinds> inserts{
    "INSERT INTO windows VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", "INSERT INTO patterns VALUES (?,?,?,?,?,?,?,?,?)",
    "INSERT INTO anomalies VALUES (?,?,?,?,?,?,?,?,?,?)", "INSERT INTO alerts VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"};

}  // namespace

std::string_view table_of(ResultKind kind) {
    switch (kind) {
        case ResultKind::window:
            return "windows";
        case ResultKind::pattern:
            return "patterns";
        case ResultKind::anomaly:
            return "anomalies";
        case ResultKind::alert:
            return "alerts";
    }
    return "";
}

std::string results_path(const std::string& data_dir) {
    return data_dir + "/analytics.db";
}

Result<std::unique_ptr<ResultStore>> ResultStore::open(const std::string& path) {
    auto database = Database::open(path, Database::Use::own);
    if (!database) return database.error();
    std::unique_ptr<ResultStore> store(new ResultStore(std::move(database.value())));
    if (auto set = store->database_.run(std::string(settings)); !set) return set.error();
    if (auto made = store->database_.run(std::string(schema)); !made) return made.error();
    store->database_.limit_log_pages(log_pages_max);
    if (auto prepared = store->prepare_all(); !prepared) return prepared.error();
    return store;
}

Status ResultStore::prepare_all() {
    for (const std::string_view sql : inserts) {
        auto made = database_.prepare(sql);
        if (!made) return made.error();
        inserts_.push_back(std::move(made.value()));
    }
    auto made = database_.prepare("INSERT OR REPLACE INTO cursors VALUES (?,?)");
    if (!made) return made.error();
    cursor_.emplace(std::move(made.value()));
    return Done{};
}

Status ResultStore::clear() {
    serials_ = pruned_ = {};
    std::uint64_t history = 0;
    WEIR_ASSERT(::getrandom(&history, sizeof history, 0) == sizeof history);
    const auto number = static_cast<std::int64_t>(history >> 1U | 1U);  // not 0, and SQLite's integers have a sign
    return database_.run(
        "BEGIN; DELETE FROM windows; DELETE FROM patterns; DELETE FROM anomalies; DELETE FROM alerts;"
        "DELETE FROM edges; DELETE FROM definitions; DELETE FROM cursors; "
        "INSERT OR REPLACE INTO history VALUES (1, " +
        std::to_string(number) + "); COMMIT;");
}

Result<std::uint64_t> ResultStore::history() {
    return history_of(database_);
}

Status ResultStore::begin() {
    return database_.run("BEGIN");
}

Status ResultStore::commit() {
    return database_.run("COMMIT");
}

void ResultStore::roll_back(const ResultSerials& serials) {
    serials_ = serials;
    static_cast<void>(database_.run("ROLLBACK"));  // fails where the failure itself has rolled back
}

Status ResultStore::add(const analytics::Definitions& told, const analytics::Results& results, Position position,
                        WallNs arrival) {
    const auto row = [&](ResultKind kind, const std::string& name, const std::string& key) -> Statement& {
        return inserts_[static_cast<std::size_t>(kind)]
            .reset()
            .bind(next(kind))
            .bind(position.value)
            .bind(arrival.value)
            .bind(name)
            .bind(key);
    };
    for (const auto& [index, result] : results.windows) {
        const auto& definition = told.windows[index];
        data_.clear();
        append_json(result, definition.spec.aggregate, data_);
        Statement& one = row(ResultKind::window, definition.name, result.key);
        one.bind(result.start_ns).bind(result.end_ns).bind(result.born).bind(result.version);
        one.bind(std::uint64_t{result.marks}).bind(result.values.count).bind(data_);
        if (auto done = one.run(); !done) return done;
    }
    for (const auto& [index, match] : results.patterns) {
        data_.clear();
        append_json(match, data_);
        Statement& one = row(ResultKind::pattern, told.patterns[index].name, match.key);
        one.bind(match.start_ns).bind(match.end_ns).bind(std::uint64_t{match.is_given_up}).bind(data_);
        if (auto done = one.run(); !done) return done;
    }
    for (const auto& [index, result] : results.anomalies) {
        data_.clear();
        append_json(result, data_);
        Statement& one = row(ResultKind::anomaly, told.anomalies[index].name, result.key);
        one.bind(result.time_ns).bind(result.value).bind(result.said.score);
        one.bind(std::uint64_t{result.said.is_alarm}).bind(data_);
        if (auto done = one.run(); !done) return done;
    }
    for (const analytics::Notice& notice : results.notices) {
        const std::string& name = told.alerts[notice.rule].rule.name;
        data_.clear();
        append_json(notice, name, data_);
        Statement& one = row(ResultKind::alert, name, notice.key);
        one.bind(notice.time_ns).bind(notice.since_ns).bind(text(notice.kind)).bind(text(notice.fate));
        one.bind(text(notice.severity)).bind(notice.count).bind(data_);
        if (auto done = one.run(); !done) return done;
    }
    return Done{};
}

Status ResultStore::add_definitions(const DefinitionsFrom& definitions) {
    auto made = database_.prepare("INSERT INTO definitions (position, digest, config) VALUES (?,?,?)");
    if (!made) return made.error();
    return made.value().bind(definitions.position).bind(definitions.digest).bind(definitions.config).run();
}

Status ResultStore::set_cursor(std::string_view name, std::uint64_t position) {
    return cursor_->reset().bind(name).bind(position).run();
}

Status ResultStore::set_edges(const std::map<EdgeLane, EdgeProgress>& edges) {
    if (edges.empty()) return Done{};
    auto made = database_.prepare("INSERT OR REPLACE INTO edges VALUES (?,?,?,?,?,?,?)");
    if (!made) return made.error();
    for (const auto& [of, progress] : edges) {
        std::array<char, 17> lineage{};
        std::snprintf(lineage.data(), lineage.size(), "%016llx", static_cast<unsigned long long>(of.lineage));
        const std::string_view part = of.part == wire::Part::live ? "live" : "backlog";
        Statement& row = made.value().reset();
        row.bind(of.edge).bind(std::string_view(lineage.data(), 16)).bind(of.lane).bind(part);
        row.bind(progress.last_sequence).bind(progress.position).bind(progress.arrival_ns);
        if (auto done = row.run(); !done) return done;
    }
    return Done{};
}

Status ResultStore::prune(std::uint64_t rows_max) {
    for (std::size_t kind = 0; kind < result_kinds; ++kind) {
        const std::uint64_t last = serials_.last[kind];
        if (last <= rows_max || last - rows_max <= pruned_.last[kind]) continue;
        const std::uint64_t beyond = last - rows_max - pruned_.last[kind];
        const std::uint64_t rows = beyond > rows_max / prune_part ? prune_rows_max : prune_rows_few;
        const std::uint64_t to = pruned_.last[kind] + std::min(beyond, rows);
        const std::string table(table_of(static_cast<ResultKind>(kind)));
        auto gone = database_.prepare("DELETE FROM " + table + " WHERE serial <= ?");
        if (!gone) return gone.error();
        if (auto done = gone.value().bind(to).run(); !done) return done;
        if (auto set = set_cursor(table + ".first", to + 1); !set) return set;
        pruned_.last[kind] = to;
    }
    return Done{};
}

Status ResultStore::take_back(const ResultSerials& serials, std::uint64_t definitions) {
    serials_ = serials;
    for (std::size_t kind = 0; kind < result_kinds; ++kind) {
        const std::string table(table_of(static_cast<ResultKind>(kind)));
        auto gone = database_.prepare("DELETE FROM " + table + " WHERE serial > ?");
        if (!gone) return gone.error();
        if (auto done = gone.value().bind(serials.last[kind]).run(); !done) return done;
        const auto first = cursor_of(database_, table + ".first");
        if (!first) return first.error();
        pruned_.last[kind] = first.value() == 0 ? 0 : first.value() - 1;
    }
    auto gone = database_.prepare("DELETE FROM definitions WHERE number > ?");
    if (!gone) return gone.error();
    return gone.value().bind(definitions).run();
}

Status sync_rows(Database& database) {
    // PASSIVE waits for nobody: what a reader still needs stays in the log, synced.
    auto moved = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
    if (!moved) return moved.error();
    return moved.value().run();
}

Result<std::uint64_t> history_of(Database& database) {
    auto told = database.prepare("SELECT history FROM history");
    if (!told) return told.error();
    const auto has = told.value().step();
    if (!has) return has.error();
    return has.value() ? static_cast<std::uint64_t>(told.value().number(0)) : std::uint64_t{0};
}

Result<std::vector<DefinitionsFrom>> load_definitions(Database& database) {
    auto told = database.prepare("SELECT position, digest, config FROM definitions ORDER BY number");
    if (!told) return told.error();
    std::vector<DefinitionsFrom> all;
    for (;;) {
        const auto more = told.value().step();
        if (!more) return more.error();
        if (!more.value()) return all;
        all.push_back({static_cast<std::uint64_t>(told.value().number(0)),
                       static_cast<std::uint64_t>(told.value().number(1)), std::string(told.value().text(2))});
    }
}

Result<std::uint64_t> cursor_of(Database& database, std::string_view name) {
    auto told = database.prepare("SELECT position FROM cursors WHERE name = ?");
    if (!told) return told.error();
    told.value().bind(name);
    const auto has = told.value().step();
    if (!has) return has.error();
    return has.value() ? static_cast<std::uint64_t>(told.value().number(0)) : std::uint64_t{0};
}

}  // namespace weir::central
