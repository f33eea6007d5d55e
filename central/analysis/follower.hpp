// Follower: runs analytics over the journal on a thread of its own, never past what is durable and never on the path of an ack.
//
//   journal ─▶ Scanner ─▶ AnalysisRun ─▶ commit each commit_ms, or with an alert ─▶ checkpoint each checkpoint_ms
//
// A failure of the store (a full disk) ends the run; after a pause another goes on from the last checkpoint.
//
// Thread    One of its own, of lower priority than ingest. start/stop/redefine/take_notes from a control thread.
// Bounds    One record and its results at a time; the operators' bounds are their definitions'.
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
    Counter commits;
    Counter checkpoints;
    Counter checkpoint_us;  // the last one: while it lasts no record is taken (its way to the disk is another thread's)
    Counter state_bytes;    // of the last one
    Counter failures;       // of the store; each time it goes on from the last checkpoint
    Counter unreadable;     // events that do not verify
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
    // Before start(): called on its thread when alerts that somebody is to be told of have been committed. It does not wait.
    void on_news(std::function<void()> call) { on_news_ = std::move(call); }
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
    [[nodiscard]] Status store_what_is_due(AnalysisRun& run);
    [[nodiscard]] bool nap(std::uint64_t ms);  // false: stop
    void note(std::string what);
    void note_all(AnalysisRun& run);
    void count(const AnalysisRun& run);
    [[nodiscard]] bool is_stopping() const { return stopping_.load(std::memory_order_relaxed); }

    std::string journal_;
    std::string results_;
    std::string state_;
    std::atomic<std::uint64_t>& durable_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> is_redefined_{false};
    std::mutex mutex_;  // for the next three
    std::condition_variable changed_;
    AnalyticsConfig config_;
    std::vector<std::string> notes_;
    FollowerCounters counters_;
    std::function<void()> on_news_;
    std::uint64_t commit_ns_ = 0;  // of the thread's own
    std::uint64_t checkpoint_ns_ = 0;
    MonotonicNs committed_{};
    MonotonicNs checkpointed_{};
    std::thread thread_;
};

}  // namespace weir::central
