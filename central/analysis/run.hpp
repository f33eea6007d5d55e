// AnalysisRun: an engine beside the store of its results: records in, rows and positions out, and a state to go on from.
//
// Where the work beside the operators is given to threads (Place::results), rows are stored by a RowWriter and states written by a
// StateKeeper; a state is then copied in steps, while records go on, as it was at one of them.
//
// Thread    One.
// Law       What the store holds after a checkpoint is a function of the journal up to its position and of the definitions that held from
//           which position on (the table `definitions`); kills, commits and checkpoints in between leave no trace in it.
//           After an Error the run is not to be used further: open() another, which goes on from the last checkpoint.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "central/analysis/row_writer.hpp"
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
    struct Place {
        std::string state{};  // where states are kept; empty: nowhere
        // The database, for threads of their own that store rows and write states; empty: apply() and checkpoint() do that.
        std::string results{};
        RowCounters* counters = nullptr;  // of these rows
        std::function<void()> on_news{};  // RowWriter's
    };
    // Goes on from the last state; begins anew where there is none, it is of other results or another journal, or it cannot be read.
    [[nodiscard]] static Result<std::unique_ptr<AnalysisRun>> open(ResultStore& store, const AnalyticsConfig& config,
                                                                   Journal journal, Place place);

    [[nodiscard]] Status apply(const journal::RecordView& record);
    // Rows and position so far.
    [[nodiscard]] Status commit();
    // These and the state. An Error may be that of the state before.
    [[nodiscard]] Status checkpoint();
    // The same while records go on: the state as it is now is copied by copy_some().
    void begin_checkpoint();
    [[nodiscard]] bool is_copying() const { return engine_->is_copying(); }
    // At most so many `entries` of the operators' tables; with the last one the state is on its way to the disk.
    [[nodiscard]] Status copy_some(std::size_t entries);
    // False: the state before is still being copied or written, or nothing came since it was taken.
    [[nodiscard]] bool can_checkpoint() const {
        return !is_copying() && position() != state_.position && (!keeper_ || keeper_->is_idle());
    }
    // Waits until the last state is on the disk.
    [[nodiscard]] Status finish() { return keeper_ ? keeper_->finish() : Status(Done{}); }
    // From here on; a checkpoint too.
    [[nodiscard]] Status redefine(const AnalyticsConfig& config);

    [[nodiscard]] std::uint64_t position() const { return engine_->position().value; }
    [[nodiscard]] std::uint32_t previous_crc() const { return previous_crc_; }  // of the record that ends there
    [[nodiscard]] const analytics::Engine& engine() const { return *engine_; }
    [[nodiscard]] const ResultSerials& serials() const { return serials_; }   // of the results so far
    [[nodiscard]] std::uint64_t state_bytes() const { return state_bytes_; }  // of the last checkpoint
    // What is worth a line in the log: definitions that began anew, a state that could not be used.
    [[nodiscard]] std::vector<std::string> take_notes() { return std::move(notes_); }

  private:
    AnalysisRun(ResultStore& store, const AnalyticsConfig& config, Journal journal, Place place);
    // nullopt: there is none to go on from; notes_ says why.
    [[nodiscard]] Result<std::optional<StoredState>> last_state();
    [[nodiscard]] Status begin_anew();
    [[nodiscard]] Status go_on_from(const StoredState& state);
    [[nodiscard]] Status build();
    // Takes up what the old definitions' state has for the new ones.
    [[nodiscard]] Status take_up(std::string_view state);
    [[nodiscard]] Status note_definitions();
    [[nodiscard]] Status put_state(analytics::StateCopy copy);

    ResultStore& store_;
    AnalyticsConfig config_;
    Journal journal_;
    Place place_;
    std::unique_ptr<analytics::Engine> engine_;
    RowBook book_;
    std::optional<RowWriter> writer_;  // of the book
    std::optional<StateKeeper> keeper_;
    std::uint64_t history_ = 0;
    std::uint64_t definitions_ = 0;  // sets of them in the store
    RecordRows rows_;                // of the last record
    ResultSerials serials_;
    std::uint32_t previous_crc_ = 0;
    StoredState state_;  // the last one, without the operators'
    std::uint64_t state_bytes_ = 0;
    std::vector<std::string> notes_;
};

}  // namespace weir::central
