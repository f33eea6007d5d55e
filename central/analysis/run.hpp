// AnalysisRun: an engine beside the store of its results: records in, rows and positions out, and a state to go on from.
//
// A checkpoint commits the rows and takes the operators' state, from memory to memory; where it is to be written beside (StateKeeper), the
// records go on before it is on the disk.
//
// Thread    One.
// Law       What the store holds after a checkpoint is a function of the journal up to its position and of the definitions that held from
//           which position on (the table `definitions`); kills, commits and checkpoints in between leave no trace in it.
//           After an Error the run is not to be used further: open() another, which goes on from the last checkpoint.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "central/analysis/state_keeper.hpp"
#include "central/analytics_config.hpp"
#include "core/journal/scan.hpp"

namespace weir::central {

class AnalysisRun {
  public:
    struct Journal {
        std::uint64_t id = 0;       // of its segments
        std::uint64_t durable = 0;  // a state beyond it is of another journal's history
    };
    // Where states are kept.
    struct StatePlace {
        std::string path{};  // empty: nowhere
        std::string
            results{};  // the database, for a state that is written beside; empty: checkpoint() waits for the disk
    };
    // Goes on from the last state; begins anew where there is none, it is of other results or another journal, or it cannot be read.
    [[nodiscard]] static Result<std::unique_ptr<AnalysisRun>> open(ResultStore& store, const AnalyticsConfig& config,
                                                                   Journal journal, StatePlace place);

    [[nodiscard]] Status apply(const journal::RecordView& record);
    // Rows and position so far.
    [[nodiscard]] Status commit();
    // These and the state. An Error may be that of the state before.
    [[nodiscard]] Status checkpoint();
    // False: the state before is still being written, and checkpoint() would wait.
    [[nodiscard]] bool can_checkpoint() const { return !keeper_ || keeper_->is_idle(); }
    // Waits until the last state is on the disk.
    [[nodiscard]] Status finish() { return keeper_ ? keeper_->finish() : Status(Done{}); }
    // From here on; a checkpoint too.
    [[nodiscard]] Status redefine(const AnalyticsConfig& config);

    [[nodiscard]] bool has_uncommitted() const { return is_open_; }
    [[nodiscard]] bool has_news() const { return has_news_; }  // uncommitted alerts that somebody is to be told of
    [[nodiscard]] std::uint64_t position() const { return engine_->position().value; }
    [[nodiscard]] std::uint32_t previous_crc() const { return previous_crc_; }  // of the record that ends there
    [[nodiscard]] const analytics::Engine& engine() const { return *engine_; }
    [[nodiscard]] const analytics::Results& results() const { return results_; }  // of the last record applied
    [[nodiscard]] std::uint64_t state_bytes() const { return state_bytes_; }      // of the last checkpoint
    // What is worth a line in the log: definitions that began anew, a state that could not be used.
    [[nodiscard]] std::vector<std::string> take_notes() { return std::move(notes_); }

  private:
    AnalysisRun(ResultStore& store, const AnalyticsConfig& config, Journal journal, StatePlace place);
    // nullopt: there is none to go on from; notes_ says why.
    [[nodiscard]] Result<std::optional<StoredState>> last_state();
    [[nodiscard]] Status begin_anew();
    [[nodiscard]] Status go_on_from(const StoredState& state);
    [[nodiscard]] Status build();
    // Takes up what the old definitions' state has for the new ones.
    [[nodiscard]] Status take_up(std::string_view state);
    [[nodiscard]] Status note_definitions();
    [[nodiscard]] Status begin();
    [[nodiscard]] Status put_state();

    ResultStore& store_;
    AnalyticsConfig config_;
    Journal journal_;
    StatePlace place_;
    std::optional<StateKeeper> keeper_;
    std::uint64_t history_ = 0;
    std::uint64_t definitions_ = 0;  // sets of them in the store
    std::unique_ptr<analytics::Engine> engine_;
    analytics::Results results_;
    std::map<EdgeLane, EdgeProgress> edges_;  // since the last commit
    std::uint32_t previous_crc_ = 0;
    std::uint64_t state_bytes_ = 0;
    bool is_open_ = false;  // a transaction
    bool has_news_ = false;
    std::vector<std::string> notes_;
};

}  // namespace weir::central
