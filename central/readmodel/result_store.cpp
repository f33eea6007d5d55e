#include "central/readmodel/result_store.hpp"

#include <algorithm>
#include <cstdio>

namespace weir::central {
namespace {

constexpr std::size_t state_part_bytes = 1U << 20;

// The page cache of the writer, in KiB: what a transaction changes beyond it goes to the write-ahead log early.
constexpr std::string_view settings =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; PRAGMA temp_store = FILE;";

constexpr std::string_view schema = R"(
CREATE TABLE IF NOT EXISTS windows (serial INTEGER PRIMARY KEY, position INTEGER NOT NULL, arrival_ns INTEGER NOT NULL,
  name TEXT NOT NULL, key TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, born INTEGER NOT NULL,
  version INTEGER NOT NULL, marks INTEGER NOT NULL, count INTEGER NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS windows_by_row ON windows (name, key, start_ns, born);
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
CREATE TABLE IF NOT EXISTS state (number INTEGER PRIMARY KEY CHECK (number = 1), journal_id INTEGER NOT NULL,
  position INTEGER NOT NULL, previous_crc INTEGER NOT NULL, digest INTEGER NOT NULL, windows INTEGER NOT NULL,
  patterns INTEGER NOT NULL, anomalies INTEGER NOT NULL, alerts INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS state_parts (part INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
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
    serials_ = {};
    return database_.run(
        "BEGIN; DELETE FROM windows; DELETE FROM patterns; DELETE FROM anomalies; DELETE FROM alerts;"
        "DELETE FROM edges; DELETE FROM definitions; DELETE FROM cursors; DELETE FROM state; DELETE FROM state_parts; "
        "COMMIT;");
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

Status ResultStore::add(const analytics::Engine& engine, const analytics::Results& results, WallNs arrival) {
    const analytics::Definitions& told = engine.definitions();
    const auto row = [&](ResultKind kind, const std::string& name, const std::string& key) -> Statement& {
        return inserts_[static_cast<std::size_t>(kind)]
            .reset()
            .bind(next(kind))
            .bind(engine.position().value)
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

Status ResultStore::save_state(const StoredState& state) {
    auto head = database_.prepare("INSERT OR REPLACE INTO state VALUES (1,?,?,?,?,?,?,?,?)");
    if (!head) return head.error();
    head.value().bind(state.journal_id).bind(state.position).bind(std::uint64_t{state.previous_crc});
    head.value().bind(state.definitions_digest);
    for (const std::uint64_t serial : state.serials.last) head.value().bind(serial);
    if (auto done = head.value().run(); !done) return done;
    if (auto gone = database_.run("DELETE FROM state_parts"); !gone) return gone;
    auto part = database_.prepare("INSERT INTO state_parts VALUES (?,?)");
    if (!part) return part.error();
    const std::string_view bytes = state.engine;
    for (std::size_t at = 0; at < bytes.size(); at += state_part_bytes) {
        part.value().reset().bind(std::uint64_t{at / state_part_bytes}).bind_blob(bytes.substr(at, state_part_bytes));
        if (auto done = part.value().run(); !done) return done;
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
        if (serials_.last[kind] <= rows_max) continue;
        const std::string table(table_of(static_cast<ResultKind>(kind)));
        auto gone = database_.prepare("DELETE FROM " + table + " WHERE serial <= ?");
        if (!gone) return gone.error();
        if (auto done = gone.value().bind(serials_.last[kind] - rows_max).run(); !done) return done;
        if (auto set = set_cursor(table + ".first", serials_.last[kind] - rows_max + 1); !set) return set;
    }
    return Done{};
}

Status ResultStore::take_back(const ResultSerials& serials) {
    serials_ = serials;
    for (std::size_t kind = 0; kind < result_kinds; ++kind) {
        auto gone = database_.prepare("DELETE FROM " + std::string(table_of(static_cast<ResultKind>(kind))) +
                                      " WHERE serial > ?");
        if (!gone) return gone.error();
        if (auto done = gone.value().bind(serials.last[kind]).run(); !done) return done;
    }
    return Done{};
}

Result<std::optional<StoredState>> ResultStore::load_state() {
    return central::load_state(database_);
}

Result<std::optional<StoredState>> load_state(Database& database) {
    auto head = database.prepare(
        "SELECT journal_id, position, previous_crc, digest, windows, patterns, anomalies, alerts FROM state");
    if (!head) return head.error();
    Statement& row = head.value();
    const auto has = row.step();
    if (!has) return has.error();
    if (!has.value()) return std::optional<StoredState>();
    StoredState state;
    state.journal_id = static_cast<std::uint64_t>(row.number(0));
    state.position = static_cast<std::uint64_t>(row.number(1));
    state.previous_crc = static_cast<std::uint32_t>(row.number(2));
    state.definitions_digest = static_cast<std::uint64_t>(row.number(3));
    for (std::size_t kind = 0; kind < result_kinds; ++kind) {
        state.serials.last[kind] = static_cast<std::uint64_t>(row.number(4 + static_cast<int>(kind)));
    }
    auto parts = database.prepare("SELECT bytes FROM state_parts ORDER BY part");
    if (!parts) return parts.error();
    for (;;) {
        const auto more = parts.value().step();
        if (!more) return more.error();
        if (!more.value()) break;
        state.engine.append(parts.value().text(0));
    }
    return std::optional<StoredState>(std::move(state));
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
