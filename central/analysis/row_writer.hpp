// RowWriter: puts rows into the store from a thread of its own, so that the operators go on while many windows end at once.
//
// Transactions follow each other by commit_ms; rows with an alert that somebody is to be told of are committed within news_ns of the
// transaction before.
//
// Thread    wait_for() and the counters from any, all else from one; the work on its own, begun with the first offer.
// Pressure  rows_waiting_max: offer() waits.
// Law       Rows are stored in the order in which they were offered. After an Error nothing more is.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "central/analysis/row_book.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

struct RowCounters {
    Counter position;  // rows of all records before it are committed
    Counter waiting;   // rows
    Counter commits;
};

class RowWriter {
  public:
    static constexpr std::size_t rows_waiting_max = 131'072;
    static constexpr std::size_t rows_at_once = 8192;        // so many do not wait for commit_ms
    static constexpr std::uint64_t news_ns = 5 * ns_per_ms;  // alerts are committed so soon, not with each record

    // `on_news`: called on the thread of the work when alerts that somebody is to be told of have been committed. It does not wait.
    RowWriter(RowBook& book, RowCounters& counters, std::uint64_t commit_ns, std::function<void()> on_news)
        : book_(book), counters_(counters), on_news_(std::move(on_news)), commit_ns_(commit_ns) {}
    // What is not committed is forgotten.
    ~RowWriter();
    RowWriter(const RowWriter&) = delete;
    RowWriter& operator=(const RowWriter&) = delete;

    [[nodiscard]] Status offer(RecordRows record);
    // Waits until all that was offered is committed. Until the next offer() the book and its store are the caller's.
    [[nodiscard]] Status finish();
    // The caller itself has committed rows up to there.
    void note_committed(std::uint64_t position);
    void limit_commits(std::uint64_t commit_ns);
    // Waits until the rows of all records up to there are committed; they have been offered.
    [[nodiscard]] Status wait_for(std::uint64_t position);

  private:
    void work();
    // At most rows_at_once of what was offered, or one record.
    [[nodiscard]] std::vector<RecordRows> take_some();
    [[nodiscard]] Status store(const std::vector<RecordRows>& records);
    [[nodiscard]] std::uint64_t due_ns(MonotonicNs now) const;  // from now; 0: a transaction is due

    RowBook& book_;
    RowCounters& counters_;
    std::function<void()> on_news_;
    MonotonicNs committed_at_{};  // of the thread of the work

    std::mutex mutex_;                   // for the following
    std::condition_variable changed_;    // for the thread of the work
    std::condition_variable committed_;  // for those that wait for it
    std::uint64_t commit_ns_;
    std::deque<RecordRows> offered_;
    std::size_t rows_offered_ = 0;
    std::size_t rows_waiting_ = 0;  // offered, or in the thread's hands
    bool has_news_ = false;         // among those offered
    bool is_asked_ = false;         // finish() waits
    bool is_stopping_ = false;
    std::uint64_t committed_to_ = 0;
    std::optional<Error> failure_;
    std::thread thread_;
};

}  // namespace weir::central
