#include "core/journal/segments.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/assert.hpp"
#include "core/journal/segment_files.hpp"

namespace weir::journal {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto retry_after = std::chrono::seconds(1);

class FileSegmentStore;

}  // namespace

struct SegmentWorker::State {
    State(void (*wake_with)(void*), void* context) : wake(wake_with), wake_context(context) {
        thread = std::thread([this] { work(); });
    }
    void work();
    // The next store with something to do, in turns; null: none. Under `mutex`.
    [[nodiscard]] FileSegmentStore* next();

    void (*const wake)(void*);
    void* const wake_context;
    mutable std::mutex mutex;  // the fields below and the stores' own; never held during a system call
    std::condition_variable changed;
    std::vector<FileSegmentStore*> stores;
    std::size_t turn = 0;
    FileSegmentStore* busy = nullptr;
    bool stopping = false;
    std::thread thread;
};

namespace {

class FileSegmentStore final : public SegmentStore {
  public:
    FileSegmentStore(std::unique_ptr<SegmentWorker> own, SegmentWorker* worker, std::string directory,
                     std::uint64_t segment_bytes, std::uint32_t recycled_max)
        : own_(std::move(own)),
          worker_((own_ ? *own_ : *worker).state()),
          files_(std::move(directory), segment_bytes, recycled_max) {
        const std::lock_guard lock(worker_.mutex);
        worker_.stores.push_back(this);
    }

    ~FileSegmentStore() override {
        files_.stop();
        std::unique_lock lock(worker_.mutex);
        std::erase(worker_.stores, this);
        worker_.changed.wait(lock, [this] { return worker_.busy != this; });
    }

    Status create_now(const SegmentHeader& header) override { return files_.create(header); }

    void prepare(const SegmentHeader& header) override {
        {
            const std::lock_guard lock(worker_.mutex);
            if (!asked_.insert(header.segment_index).second) return;
            wanted_.push_back(header);
        }
        worker_.changed.notify_all();
    }

    std::optional<std::string> ready(std::uint64_t segment_index) override {
        const std::lock_guard lock(worker_.mutex);
        if (!ready_.contains(segment_index)) return std::nullopt;
        return path_of(segment_index);
    }

    void release(std::uint64_t segment_index) override {
        {
            const std::lock_guard lock(worker_.mutex);
            released_.push_back(segment_index);
            ready_.erase(segment_index);
            asked_.erase(segment_index);
        }
        worker_.changed.notify_all();
    }

    void mark_damaged(std::uint64_t segment_index) override {
        {
            const std::lock_guard lock(worker_.mutex);
            damaged_.push_back(segment_index);
        }
        worker_.changed.notify_all();
    }

    std::uint64_t quarantined() const override { return files_.quarantined(); }

    std::uint64_t prepared_bytes() const override { return files_.prepared_bytes(); }

    int prepare_errno() const override {
        // Asked in most duty cycles: a lock would be waited for while the worker has it.
        return prepare_errno_.load(std::memory_order_relaxed);
    }

    std::string path_of(std::uint64_t segment_index) const override { return files_.path_of(segment_index); }
    Status cut_after(Position end) override { return files_.cut_after(end); }
    std::uint64_t first_index() const override { return files_.first_index(); }

    // Of the worker, with its lock held.
    [[nodiscard]] bool has_work(SteadyClock::time_point now) const {
        return !damaged_.empty() || !released_.empty() || gives_back_ || (!wanted_.empty() && now >= not_before_);
    }
    [[nodiscard]] std::optional<SteadyClock::time_point> retry_at() const {
        return wanted_.empty() ? std::nullopt : std::optional(not_before_);
    }
    // One step; lets go of the lock meanwhile. True if a segment became ready.
    bool step(std::unique_lock<std::mutex>& lock);

  private:
    std::unique_ptr<SegmentWorker> own_;
    SegmentWorker::State& worker_;
    SegmentFiles files_;
    std::deque<SegmentHeader> wanted_;
    std::deque<std::uint64_t> released_;
    std::deque<std::uint64_t> damaged_;
    std::set<std::uint64_t> asked_;
    std::set<std::uint64_t> ready_;
    SteadyClock::time_point not_before_{};  // a preparation that failed is tried again then
    std::atomic<int> prepare_errno_{0};     // written by the worker
    bool gives_back_ = false;               // its spares, asked for by one that has no room
};

bool FileSegmentStore::step(std::unique_lock<std::mutex>& lock) {
    if (!damaged_.empty()) {  // before what is released: it may be the same
        const std::uint64_t index = damaged_.front();
        damaged_.pop_front();
        lock.unlock();
        files_.mark_damaged(index);
        lock.lock();
        return false;
    }
    if (!released_.empty()) {
        const std::uint64_t index = released_.front();
        released_.pop_front();
        lock.unlock();
        files_.let_go(index);
        lock.lock();
        // There may be room now.
        for (FileSegmentStore* store : worker_.stores) store->not_before_ = {};
        return false;
    }
    if (gives_back_) {
        gives_back_ = false;
        lock.unlock();
        const bool had_any = files_.give_back_spares();
        lock.lock();
        if (!had_any) return false;
        for (FileSegmentStore* store : worker_.stores) store->not_before_ = {};
        return false;
    }
    const SegmentHeader header = wanted_.front();
    lock.unlock();
    const int code = files_.make(header);
    lock.lock();
    prepare_errno_.store(code == ECANCELED ? 0 : code, std::memory_order_relaxed);
    if (code != 0) {
        not_before_ = SteadyClock::now() + retry_after;
        // One disk lies under all of them: what another keeps for reuse is room.
        if (code == ENOSPC) {
            for (FileSegmentStore* store : worker_.stores) store->gives_back_ = store != this;
        }
        return false;
    }
    wanted_.pop_front();
    ready_.insert(header.segment_index);
    return true;
}

}  // namespace

FileSegmentStore* SegmentWorker::State::next() {
    const auto now = SteadyClock::now();
    for (std::size_t i = 0; i < stores.size(); ++i) {
        turn = (turn + 1) % stores.size();
        if (stores[turn]->has_work(now)) return stores[turn];
    }
    return nullptr;
}

void SegmentWorker::State::work() {
    std::unique_lock lock(mutex);
    while (!stopping) {
        busy = next();
        if (busy == nullptr) {
            std::optional<SteadyClock::time_point> until;
            for (const FileSegmentStore* store : stores) {
                const auto at = store->retry_at();
                if (at && (!until || *at < *until)) until = at;
            }
            if (until) {
                changed.wait_until(lock, *until);
            } else {
                changed.wait(lock);
            }
            continue;
        }
        const bool is_ready = busy->step(lock);
        busy = nullptr;
        changed.notify_all();
        if (!is_ready || wake == nullptr) continue;
        lock.unlock();
        wake(wake_context);
        lock.lock();
    }
}

SegmentWorker::SegmentWorker(void (*wake)(void*), void* wake_context)
    : state_(std::make_unique<State>(wake, wake_context)) {}

SegmentWorker::~SegmentWorker() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->changed.notify_all();
    state_->thread.join();
}

std::unique_ptr<SegmentStore> make_segment_store(SegmentWorker& worker, std::string directory,
                                                 std::uint64_t segment_bytes, std::uint32_t recycled_max) {
    return std::make_unique<FileSegmentStore>(nullptr, &worker, std::move(directory), segment_bytes, recycled_max);
}

std::unique_ptr<SegmentStore> make_segment_store(std::string directory, std::uint64_t segment_bytes,
                                                 std::uint32_t recycled_max, void (*wake)(void*), void* wake_context) {
    return std::make_unique<FileSegmentStore>(std::make_unique<SegmentWorker>(wake, wake_context), nullptr,
                                              std::move(directory), segment_bytes, recycled_max);
}

}  // namespace weir::journal
