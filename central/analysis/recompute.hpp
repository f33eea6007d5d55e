// Recompute: the operators once more over the journal, from its beginning, into a store of their own; and what differs from another.
//
// Thread    One. Beside a running daemon: it reads the journal's files and a snapshot of the results.
// Bounds    One record at a time; what is found goes to a file.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "central/analysis/run.hpp"

namespace weir::central {

// A new store in a directory that goes with it.
class ScratchStore {
  public:
    // Under `parent`, or where temporary files are made.
    [[nodiscard]] static Result<std::unique_ptr<ScratchStore>> make(const std::string& parent = {});
    ~ScratchStore();
    ScratchStore(const ScratchStore&) = delete;
    ScratchStore& operator=(const ScratchStore&) = delete;
    [[nodiscard]] ResultStore& store() { return *store_; }

  private:
    explicit ScratchStore(std::string directory) : directory_(std::move(directory)) {}
    std::string directory_;
    std::unique_ptr<ResultStore> store_;
};

struct RecomputeJob {
    std::string journal;                        // directory
    std::vector<DefinitionsFrom> definitions;   // at least one, the first from position 0
    std::uint64_t to_position = UINT64_MAX;     // records that end beyond it are left; UINT64_MAX: to the journal's end
    std::uint64_t state_position = UINT64_MAX;  // where the state is wanted
};
struct Recomputed {
    std::uint64_t position = 0;
    std::uint64_t records = 0;
    std::uint64_t damaged = 0;  // records that could not be read
    std::string state;          // Engine::save() at state_position; empty: it was not met
};
[[nodiscard]] Result<Recomputed> recompute(const RecomputeJob& job, ResultStore& into);

// What of two stores is told apart by.
enum class Identity : std::uint8_t {
    serial,  // the same definitions made both: row by row
    what,    // name, key, time, version: under other definitions
};
struct Differing {
    ResultKind kind = ResultKind::window;
    enum class How : std::uint8_t { missing, added, changed } how = How::changed;
    std::string name;    // of the definition
    std::string before;  // data; empty where it is not
    std::string after;
};
// Tells of each row in which `after` differs from `before`, rows before `first` (by kind) left out. Returns how many rows were compared.
[[nodiscard]] Result<std::uint64_t> compare(Database& before, Database& after, Identity identity,
                                            const std::array<std::uint64_t, result_kinds>& first,
                                            const std::function<void(const Differing&)>& told);

}  // namespace weir::central
