// Follower: runs analytics over the journal on a thread of its own, never past what is durable and never on the path of an ack.
//
//   journal ─▶ Scanner ─▶ AnalysisRun ─▶ RowWriter: a transaction each commit_ms, or with an alert
//                              └ each checkpoint_ms: the state, copied in steps between records ─▶ StateKeeper
//
// A failure of the store (a full disk) ends the run; after a pause another goes on from the last checkpoint.
//
// Thread    One of its own, of ingest's priority: lower, it is starved beside a busy machine, and is behind for seconds. start/stop/redefine/take_notes from a control thread.
// Bounds    One record and its results at a time, and RowWriter's; the operators' bounds are their definitions'. A state's copy takes at
//           most a part of the time (copy_part) from the records while there are any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "central/analysis/run.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

struct FollowerCounters {
    Counter is_running;
    Counter position;   // all records before it are in the operators
    Counter watermark;  // of event time, in ns
    RowCounters rows;
    Counter checkpoints;
    Counter
        checkpoint_us;  // the last one: what its copy took of the records' time (its way to the disk is another thread's)
    Counter state_bytes;                            // of the last one
    Counter failures;                               // of the store; each time it goes on from the last checkpoint
    Counter unreadable;                             // events that do not verify
    Counter windows, patterns, anomalies, notices;  // results since the start
    Counter firing;                                 // alerts, now
};

class Follower {
  public:
    // `durable` is stored (release) by ingest.
    Follower(std::string journal_directory, const std::string& data_dir, std::atomic<std::uint64_t>& durable,
             AnalyticsConfig config)
        : journal_(std::move(journal_directory)),
          results_(results_path(data_dir)),
          state_(state_path(data_dir)),
          durable_(durable),
          config_(std::move(config)) {}
    ~Follower() { stop(); }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    // Before start(): called on a thread of its own when alerts that somebody is to be told of have been committed. It does not wait.
    void on_news(std::function<void()> call) { on_news_ = std::move(call); }
    // Before start(): has what was written last. It outlives the follower.
    void read_recent_from(const journal::RecentBytes& recent) { recent_ = &recent; }
    void start();
    // After a checkpoint.
    void stop();
    // Taken between two records; checked before.
    void redefine(AnalyticsConfig config);
    [[nodiscard]] const FollowerCounters& counters() const { return counters_; }
    // What there is to log.
    [[nodiscard]] std::vector<std::string> take_notes();

  private:
    void work();
    // One run, until it fails or is to stop.
    [[nodiscard]] Status follow();
    [[nodiscard]] Result<std::uint64_t> journal_id();
    // A part of a state that is being copied, or the beginning of the next.
    [[nodiscard]] Status checkpoint_if_due(AnalysisRun& run);
    [[nodiscard]] Status copy_some(AnalysisRun& run);
    [[nodiscard]] bool nap(std::uint64_t ms);  // false: stop
    void note(std::string what);
    void note_all(AnalysisRun& run);
    void count(const AnalysisRun& run);
    [[nodiscard]] bool is_stopping() const { return stopping_.load(std::memory_order_relaxed); }

    std::string journal_;
    std::string results_;
    std::string state_;
    std::atomic<std::uint64_t>& durable_;
    const journal::RecentBytes* recent_ = nullptr;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> is_redefined_{false};
    std::mutex mutex_;  // for the next three
    std::condition_variable changed_;
    AnalyticsConfig config_;
    std::vector<std::string> notes_;
    FollowerCounters counters_;
    std::function<void()> on_news_;
    std::uint64_t checkpoint_ns_ = 0;  // of the thread's own
    MonotonicNs checkpointed_{};
    MonotonicNs copied_{};  // when the last step of a copy ended
    std::uint64_t copy_ns_ = 0;
    ResultSerials counted_;
    std::thread thread_;
};

}  // namespace weir::central
