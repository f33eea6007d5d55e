// ResultStore: what analytics found, in SQLite (DATA_DIR/analytics.db): rows, and the position they go to.
//
//   begin ─▶ add (the results of a record) … ─▶ commit          rows and position in one transaction
//
// Each row has a serial, from 1 for each kind without a hole. At a start, rows beyond those of the operators' last state
// (central/analysis/state_file.hpp) are taken back: the same records then make the same rows again.
//
// A commit does not wait for the disk: sync_rows() does that, on another connection. Where nobody calls it often enough, commits do it
// themselves once the write-ahead log has log_pages_max.
//
// Thread    One that writes; any number that read, each with a Database of its own.
// Law       Nothing here is the truth: all of it is a function of the journal, and may be deleted while the daemon is down.
// Cost      Of a window's row: one in the table and two entries of indexes. Rows of one key come together (WindowSpec::spread_ns): an index
//           that has the key in front is changed at few places by a transaction. Only corrections have one that names the row.
// Bounds    prune() keeps rows_max of each kind, and up to a quarter more while many come; log_pages_max pages of 4096 bytes in the write-ahead log, beyond what readers hold back.
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
    static constexpr std::int32_t log_pages_max = 16'384;
    // Rows of each kind that a transaction prunes: a few, so that a burst of rows is not one of pruning too; as many as may come in one,
    // once there are rows_max / prune_part more than there should be.
    static constexpr std::uint64_t prune_rows_few = 512;
    static constexpr std::uint64_t prune_rows_max = 8192;
    static constexpr std::uint64_t prune_part = 4;

    [[nodiscard]] static Result<std::unique_ptr<ResultStore>> open(const std::string& path);
    // Nothing is stored any more, under another history().
    [[nodiscard]] Status clear();
    // A random number, from one clear() to the next; 0: there was none yet.
    [[nodiscard]] Result<std::uint64_t> history();

    [[nodiscard]] Status begin();
    // Of the record that ends at `position`.
    [[nodiscard]] Status add(const analytics::Definitions& definitions, const analytics::Results& results,
                             Position position, WallNs arrival);
    [[nodiscard]] Status add_definitions(const DefinitionsFrom& definitions);
    [[nodiscard]] Status set_cursor(std::string_view name, std::uint64_t position);
    [[nodiscard]] Status set_edges(const std::map<EdgeLane, EdgeProgress>& edges);
    // The oldest beyond `rows_max`, a few at a time.
    [[nodiscard]] Status prune(std::uint64_t rows_max);
    [[nodiscard]] Status commit();
    // What was begun is forgotten; add() goes on after `serials`.
    void roll_back(const ResultSerials& serials);

    // Takes back rows beyond these, and sets of definitions beyond so many.
    [[nodiscard]] Status take_back(const ResultSerials& serials, std::uint64_t definitions);
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
    ResultSerials pruned_;  // these and all before them are gone
    std::string data_;
};

[[nodiscard]] std::string results_path(const std::string& data_dir);
// In the order in which they came to hold.
[[nodiscard]] Result<std::vector<DefinitionsFrom>> load_definitions(Database& database);
// Moves what is committed into the database file, synced.
[[nodiscard]] Status sync_rows(Database& database);
[[nodiscard]] Result<std::uint64_t> history_of(Database& database);
// "analytics": the position that rows go up to; "windows.first" …: the first serial that prune() has left. 0: not there.
[[nodiscard]] Result<std::uint64_t> cursor_of(Database& database, std::string_view name);

}  // namespace weir::central
