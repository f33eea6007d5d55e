// StateKeeper: puts states on the disk from a thread of its own, so that the operators go on meanwhile.
//
// Before a state its rows: SQLite's write-ahead log is synced and moved into the database (which nobody else does; so commits never wait
// for the disk), then the state's file takes the old one's place. A power loss leaves rows that go at least as far as the state.
//
// Thread    offer() and the questions from one thread; the work on its own.
// Pressure  One state at a time: is_idle() before offer().
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "central/analysis/state_file.hpp"

namespace weir::central {

class StateKeeper {
  public:
    StateKeeper(std::string state_path, std::string results_path)
        : state_path_(std::move(state_path)), results_path_(std::move(results_path)) {}
    // Waits for the state that is being written.
    ~StateKeeper();
    StateKeeper(const StateKeeper&) = delete;
    StateKeeper& operator=(const StateKeeper&) = delete;

    [[nodiscard]] bool is_idle() const { return is_idle_.load(std::memory_order_acquire); }
    // The rows that it goes with are committed.
    void offer(StoredState state);
    // Waits for it; an Error: the last one that was offered is not on the disk. Said once.
    [[nodiscard]] Status finish();

  private:
    void work();
    [[nodiscard]] Status keep(const StoredState& state);

    std::string state_path_;
    std::string results_path_;
    std::optional<Database> database_;  // of the thread
    std::atomic<bool> is_idle_{true};   // released when a state is done with
    std::mutex mutex_;                  // for the following
    std::condition_variable changed_;
    std::optional<StoredState> offered_;
    std::optional<Error> failure_;
    bool is_stopping_ = false;
    std::thread thread_;  // begun with the first state
};

}  // namespace weir::central
