// ResultStore: what analytics found, in SQLite (DATA_DIR/analytics.db): rows, the position they go to, and the operators' state.
//
//   begin ─▶ add (the results of a record) … ─▶ commit(position)          rows and position in one transaction
//                                             └▶ save_state               at a checkpoint: the operators' state with them
//
// Each row has a serial, from 1 for each kind without a hole. At a start, rows beyond those of the state's checkpoint are taken back: the
// same records then make the same rows again.
//
// Thread    One that writes; any number that read, each with a Database of its own.
// Law       Nothing here is the truth: all of it is a function of the journal, and may be deleted while the daemon is down.
// Bounds    prune() keeps rows_max of each kind.
// Format    README.md, "Tables".
#pragma once

#include <array>
#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "central/analytics/engine.hpp"
#include "central/readmodel/database.hpp"

namespace weir::central {

enum class ResultKind : std::uint8_t { window, pattern, anomaly, alert };
inline constexpr std::size_t result_kinds = 4;
[[nodiscard]] std::string_view table_of(ResultKind kind);  // "windows" …

struct ResultSerials {
    std::array<std::uint64_t, result_kinds> last{};  // by kind; 0: none yet
    bool operator==(const ResultSerials&) const = default;
};

struct StoredState {
    std::uint64_t journal_id = 0;
    std::uint64_t position = 0;      // all records that end at or before it are in it
    std::uint32_t previous_crc = 0;  // of the last of them
    std::uint64_t definitions_digest = 0;
    ResultSerials serials;
    std::string engine;  // Engine::save()
};

// Which definitions held from a position on.
struct DefinitionsFrom {
    std::uint64_t position = 0;
    std::uint64_t digest = 0;
    std::string config;  // the file
};

// How far an edge's events of one lane and part have come.
struct EdgeLane {
    std::string edge;
    std::uint64_t lineage = 0;
    std::string lane;
    wire::Part part = wire::Part::live;
    auto operator<=>(const EdgeLane&) const = default;
};
struct EdgeProgress {
    std::uint64_t last_sequence = 0;
    std::uint64_t position = 0;
    std::uint64_t arrival_ns = 0;
};

class ResultStore {
  public:
    [[nodiscard]] static Result<std::unique_ptr<ResultStore>> open(const std::string& path);
    // Nothing is stored any more.
    [[nodiscard]] Status clear();

    [[nodiscard]] Status begin();
    [[nodiscard]] Status add(const analytics::Engine& engine, const analytics::Results& results, WallNs arrival);
    [[nodiscard]] Status save_state(const StoredState& state);
    [[nodiscard]] Status add_definitions(const DefinitionsFrom& definitions);
    [[nodiscard]] Status set_cursor(std::string_view name, std::uint64_t position);
    [[nodiscard]] Status set_edges(const std::map<EdgeLane, EdgeProgress>& edges);
    [[nodiscard]] Status prune(std::uint64_t rows_max);
    [[nodiscard]] Status commit();
    // What was begun is forgotten; add() goes on after `serials`.
    void roll_back(const ResultSerials& serials);

    // nullopt: no state was ever stored.
    [[nodiscard]] Result<std::optional<StoredState>> load_state();
    // Takes back rows beyond these.
    [[nodiscard]] Status take_back(const ResultSerials& serials);
    [[nodiscard]] const ResultSerials& serials() const { return serials_; }
    [[nodiscard]] Database& database() { return database_; }

  private:
    explicit ResultStore(Database database) : database_(std::move(database)) {}
    [[nodiscard]] Status prepare_all();
    [[nodiscard]] std::uint64_t next(ResultKind kind) { return ++serials_.last[static_cast<std::size_t>(kind)]; }

    Database database_;
    std::vector<Statement> inserts_;  // by kind
    std::optional<Statement> cursor_;
    ResultSerials serials_;
    std::string data_;
};

[[nodiscard]] std::string results_path(const std::string& data_dir);
// In the order in which they came to hold.
[[nodiscard]] Result<std::vector<DefinitionsFrom>> load_definitions(Database& database);
[[nodiscard]] Result<std::optional<StoredState>> load_state(Database& database);
// "analytics": the position that rows go up to; "windows.first" …: the first serial that prune() has left. 0: not there.
[[nodiscard]] Result<std::uint64_t> cursor_of(Database& database, std::string_view name);

}  // namespace weir::central
