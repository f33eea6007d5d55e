#include "core/journal/segments.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "core/journal/segment_files.hpp"

namespace weir::journal {
namespace {

constexpr auto retry_after = std::chrono::seconds(1);

class FileSegmentStore final : public SegmentStore {
  public:
    FileSegmentStore(std::string directory, std::uint64_t segment_bytes, std::uint32_t recycled_max,
                     void (*wake)(void*), void* wake_context)
        : files_(std::move(directory), segment_bytes, recycled_max), wake_(wake), wake_context_(wake_context) {
        worker_ = std::thread([this] { work(); });
    }

    ~FileSegmentStore() override {
        files_.stop();
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        worker_.join();
    }

    Status create_now(const SegmentHeader& header) override { return files_.create(header); }

    void prepare(const SegmentHeader& header) override {
        {
            const std::lock_guard lock(mutex_);
            if (asked_.contains(header.segment_index)) return;
            asked_.insert(header.segment_index);
            wanted_.push_back(header);
        }
        changed_.notify_all();
    }

    std::optional<std::string> ready(std::uint64_t segment_index) override {
        const std::lock_guard lock(mutex_);
        if (!ready_.contains(segment_index)) return std::nullopt;
        return path_of(segment_index);
    }

    void release(std::uint64_t segment_index) override {
        {
            const std::lock_guard lock(mutex_);
            released_.push_back(segment_index);
            ready_.erase(segment_index);
            asked_.erase(segment_index);
        }
        changed_.notify_all();
    }

    void mark_damaged(std::uint64_t segment_index) override {
        {
            const std::lock_guard lock(mutex_);
            damaged_.push_back(segment_index);
        }
        changed_.notify_all();
    }

    std::uint64_t quarantined() const override { return files_.quarantined(); }

    int prepare_errno() const override {
        const std::lock_guard lock(mutex_);
        return prepare_errno_;
    }

    std::string path_of(std::uint64_t segment_index) const override { return files_.path_of(segment_index); }
    Status cut_after(Position end) override { return files_.cut_after(end); }
    std::uint64_t first_index() const override { return files_.first_index(); }

  private:
    void work();

    SegmentFiles files_;
    void (*const wake_)(void*);
    void* const wake_context_;
    mutable std::mutex mutex_;  // the fields below; never held during a system call
    std::condition_variable changed_;
    std::deque<SegmentHeader> wanted_;
    std::deque<std::uint64_t> released_;
    std::deque<std::uint64_t> damaged_;
    std::set<std::uint64_t> asked_;
    std::set<std::uint64_t> ready_;
    int prepare_errno_ = 0;
    bool stopping_ = false;
    std::thread worker_;
};

void FileSegmentStore::work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (!damaged_.empty()) {  // before what is released: it may be the same
            const std::uint64_t index = damaged_.front();
            damaged_.pop_front();
            lock.unlock();
            files_.mark_damaged(index);
            lock.lock();
            continue;
        }
        if (!released_.empty()) {
            const std::uint64_t index = released_.front();
            released_.pop_front();
            lock.unlock();
            files_.let_go(index);
            lock.lock();
            continue;
        }
        if (wanted_.empty()) {
            changed_.wait(lock);
            continue;
        }
        const SegmentHeader header = wanted_.front();
        lock.unlock();
        const int code = files_.make(header);
        lock.lock();
        prepare_errno_ = code == ECANCELED ? 0 : code;
        if (code != 0) {
            changed_.wait_for(lock, retry_after,
                              [this] { return stopping_ || !released_.empty() || !damaged_.empty(); });
            continue;
        }
        wanted_.pop_front();
        ready_.insert(header.segment_index);
        lock.unlock();
        if (wake_ != nullptr) wake_(wake_context_);
        lock.lock();
    }
}

}  // namespace

std::unique_ptr<SegmentStore> make_segment_store(std::string directory, std::uint64_t segment_bytes,
                                                 std::uint32_t recycled_max, void (*wake)(void*), void* wake_context) {
    return std::make_unique<FileSegmentStore>(std::move(directory), segment_bytes, recycled_max, wake, wake_context);
}

}  // namespace weir::journal
