#include "central/analysis/row_writer.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "core/base/clock.hpp"

namespace weir::central {
namespace {

constexpr int writer_niceness = 5;  // behind the operators: what waits here is bounded, and they need not wait for it

// A record without rows takes room too.
std::size_t room_of(const RecordRows& record) {
    return record.count() + 1;
}

}  // namespace

RowWriter::~RowWriter() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    changed_.notify_all();
    committed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

Status RowWriter::offer(RecordRows record) {
    const std::size_t rows = room_of(record);
    bool is_to_wake = record.is_news();
    {
        std::unique_lock lock(mutex_);
        committed_.wait(lock, [&] {
            return failure_.has_value() || rows_waiting_ == 0 || rows_waiting_ + rows <= rows_waiting_max;
        });
        if (failure_) return *failure_;
        has_news_ = has_news_ || is_to_wake;
        is_to_wake =
            is_to_wake || offered_.empty() || (rows_offered_ < rows_at_once && rows_offered_ + rows >= rows_at_once);
        offered_.push_back(std::move(record));
        rows_offered_ += rows;
        rows_waiting_ += rows;
        counters_.waiting.set(rows_waiting_);
    }
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    if (is_to_wake) changed_.notify_one();
    return Done{};
}

Status RowWriter::finish() {
    std::unique_lock lock(mutex_);
    is_asked_ = true;
    changed_.notify_one();
    committed_.wait(lock, [&] { return failure_.has_value() || rows_waiting_ == 0; });
    is_asked_ = false;
    if (failure_) return *failure_;
    return Done{};
}

void RowWriter::note_committed(std::uint64_t position) {
    const std::lock_guard lock(mutex_);
    committed_to_ = position;
    counters_.position.set(position);
}

void RowWriter::limit_commits(std::uint64_t commit_ns) {
    const std::lock_guard lock(mutex_);
    commit_ns_ = commit_ns;
}

Status RowWriter::wait_for(std::uint64_t position) {
    std::unique_lock lock(mutex_);
    committed_.wait(lock, [&] { return failure_.has_value() || is_stopping_ || committed_to_ >= position; });
    if (failure_) return *failure_;
    if (committed_to_ < position) return Error{ECANCELED, "rows that a state goes with were not stored"};
    return Done{};
}

std::uint64_t RowWriter::due_ns(MonotonicNs now) const {
    if (is_asked_ || rows_offered_ >= rows_at_once) return 0;
    const MonotonicNs due = committed_at_.plus_ns(has_news_ ? std::min(news_ns, commit_ns_) : commit_ns_);
    return now >= due ? 0 : due.since(now);
}

std::vector<RecordRows> RowWriter::take_some() {
    std::vector<RecordRows> taken;
    std::size_t rows = 0;
    while (!offered_.empty() && (taken.empty() || rows + room_of(offered_.front()) <= rows_at_once)) {
        rows += room_of(offered_.front());
        taken.push_back(std::move(offered_.front()));
        offered_.pop_front();
    }
    rows_offered_ -= rows;
    if (offered_.empty()) has_news_ = false;
    return taken;
}

void RowWriter::work() {
    pthread_setname_np(pthread_self(), "analytics-rows");
    // Of this thread alone, on Linux.
    static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), writer_niceness));
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return is_stopping_ || !offered_.empty(); });
        if (is_stopping_) return;
        if (const std::uint64_t wait_ns = due_ns(monotonic_now()); wait_ns > 0) {
            changed_.wait_for(lock, std::chrono::nanoseconds(wait_ns));
            continue;
        }
        const std::vector<RecordRows> records = take_some();
        lock.unlock();
        Status stored = store(records);
        lock.lock();
        if (!stored) {
            failure_ = stored.error();
            committed_.notify_all();
            return;
        }
        for (const RecordRows& one : records) rows_waiting_ -= room_of(one);
        committed_to_ = records.back().position.value;
        counters_.position.set(committed_to_);
        counters_.waiting.set(rows_waiting_);
        committed_.notify_all();
    }
}

Status RowWriter::store(const std::vector<RecordRows>& records) {
    committed_at_ = monotonic_now();  // the next one is due by when this one began
    for (const RecordRows& one : records) {
        if (auto added = book_.add(one); !added) return added;
    }
    if (auto done = book_.commit(records.back().position.value); !done) return done;
    counters_.commits.add(1);
    if (on_news_ && std::any_of(records.begin(), records.end(), [](const RecordRows& one) { return one.is_news(); })) {
        on_news_();
    }
    return Done{};
}

}  // namespace weir::central
