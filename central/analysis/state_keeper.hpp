// StateKeeper: puts states on the disk from a thread of its own, so that the operators go on meanwhile.
//
// Before a state its rows: they are waited for; SQLite's write-ahead log is synced and moved into the database (which nobody else does; so commits never wait
// for the disk), then the state's file takes the old one's place. A power loss leaves rows that go at least as far as the state.
//
// Thread    offer() and the questions from one thread; the work on its own.
// Pressure  One state at a time: is_idle() before offer().
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "central/analysis/state_file.hpp"

namespace weir::central {

class StateKeeper {
  public:
    // `wait_for_rows`: waits until all rows up to a position are committed; asked before a state of that position is written.
    using WaitForRows = std::function<Status(std::uint64_t position)>;
    StateKeeper(std::string state_path, std::string results_path, WaitForRows wait_for_rows)
        : state_path_(std::move(state_path)),
          results_path_(std::move(results_path)),
          wait_for_rows_(std::move(wait_for_rows)) {}
    // Waits for the state that is being written.
    ~StateKeeper();
    StateKeeper(const StateKeeper&) = delete;
    StateKeeper& operator=(const StateKeeper&) = delete;

    [[nodiscard]] bool is_idle() const { return is_idle_.load(std::memory_order_acquire); }
    // `engine` is what the state has of the operators.
    void offer(StoredState state, analytics::StateCopy engine);
    // A copy that is done with: room for the next.
    [[nodiscard]] analytics::StateCopy take_room();
    // Waits for it; an Error: the last one that was offered is not on the disk. Said once.
    [[nodiscard]] Status finish();

  private:
    void work();
    struct Offered {
        StoredState state;
        analytics::StateCopy engine;
    };
    [[nodiscard]] Status keep(const Offered& offered);

    std::string state_path_;
    std::string results_path_;
    WaitForRows wait_for_rows_;
    std::optional<Database> database_;  // of the thread
    std::atomic<bool> is_idle_{true};   // released when a state is done with
    std::mutex mutex_;                  // for the following
    std::condition_variable changed_;
    std::optional<Offered> offered_;
    analytics::StateCopy room_;
    std::optional<Error> failure_;
    bool is_stopping_ = false;
    std::thread thread_;  // begun with the first state
};

}  // namespace weir::central
