#include "core/journal/segments.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/clock.hpp"
#include "core/io/files.hpp"
#include "core/io/thread_bell.hpp"
#include "core/journal/segment_files.hpp"
#include "core/journal/segment_orders.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t retry_ns = ns_per_second;  // after a preparation that failed
// Past the page cache whole blocks are written.
static_assert(fill_paced_bytes % block_bytes == 0 && fill_lagging_bytes % block_bytes == 0 &&
              fill_bytes_max % block_bytes == 0 && std::max(fill_paced_bytes, fill_lagging_bytes) <= fill_bytes_max);

std::uint64_t piece_bytes(FillPace pace) {
    if (pace == FillPace::lagging) return fill_lagging_bytes;
    return pace == FillPace::hurried ? fill_bytes_max : fill_paced_bytes;
}

class FileSegmentStore;

// What a step of a store came to.
enum class Outcome : std::uint8_t {
    done,
    made,      // a segment became ready
    has_room,  // on the disk there may be room now
    no_room,   // on the disk there is none
};

}  // namespace

struct SegmentWorker::State {
    State(void (*wake_with)(void*), void* context) : wake(wake_with), wake_context(context) {
        thread = std::thread([this, &files = io::files()] {
            const io::UseFiles its_makers(files);
            work();
        });
    }
    void work();
    // The next store with something to do, in turns; null: none. With `mutex`.
    [[nodiscard]] FileSegmentStore* next();
    // Until something is asked for. With `mutex`.
    void rest(std::unique_lock<std::mutex>& lock);
    void settle(Outcome outcome);

    void (*const wake)(void*);
    void* const wake_context;
    io::ThreadBell bell;
    // Of which stores there are, between the worker and those that make and end them; no runner takes it. Not held during a step.
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<FileSegmentStore*> stores;
    FileSegmentStore* busy = nullptr;
    bool stopping = false;
    std::size_t turn = 0;  // of the worker alone
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
        std::unique_lock lock(worker_.mutex);
        std::erase(worker_.stores, this);
        worker_.changed.wait(lock, [this] { return worker_.busy != this; });
        if (making_) files_.abandon(*making_);
    }

    Status create_now(const SegmentHeader& header) override { return files_.create(header); }

    void prepare(const SegmentHeader& header) override {
        if (orders_.ask(header)) worker_.bell.ring();
    }

    void use(std::uint64_t bytes) override {
        if (orders_.use(bytes)) worker_.bell.ring();
    }

    const std::string* ready(std::uint64_t segment_index) override { return orders_.ready(segment_index); }

    void release(std::uint64_t segment_index) override {
        orders_.release(segment_index);
        worker_.bell.ring();
    }

    void mark_damaged(std::uint64_t segment_index) override {
        orders_.mark_damaged(segment_index);
        worker_.bell.ring();
    }

    std::uint64_t quarantined() const override { return files_.quarantined(); }
    std::uint64_t prepared_bytes() const override { return files_.prepared_bytes(); }
    int prepare_errno() const override { return prepare_errno_.load(std::memory_order_relaxed); }
    std::string path_of(std::uint64_t segment_index) const override { return files_.path_of(segment_index); }
    Status cut_after(Position end) override { return files_.cut_after(end); }
    std::uint64_t first_index() const override { return files_.first_index(); }

    // The rest is the worker's.
    [[nodiscard]] bool has_work(MonotonicNs now) const {
        return orders_.released_before() > let_go_before_ || orders_.has_damaged() || gives_back_ ||
               (files_.is_shrinking() && now >= shrink_at_) ||
               (orders_.wanted() != nullptr && (now >= not_before_ || (making_ && orders_.pace() > FillPace::slow)));
    }
    // When it has work without being asked again.
    [[nodiscard]] MonotonicNs retry_at() const {
        return std::min(orders_.wanted() == nullptr ? never : not_before_, files_.is_shrinking() ? shrink_at_ : never);
    }
    [[nodiscard]] Outcome step();
    void retry_now() { not_before_ = {}; }
    void give_back() { gives_back_ = true; }

  private:
    void let_go_next();
    [[nodiscard]] Outcome make_more(const SegmentHeader& header);
    [[nodiscard]] int next_piece(const SegmentHeader& header);

    std::unique_ptr<SegmentWorker> own_;
    SegmentWorker::State& worker_;
    SegmentFiles files_;
    SegmentOrders orders_;
    std::atomic<int> prepare_errno_{0};  // written by the worker
    // The worker's:
    std::uint64_t let_go_before_ = 0;
    std::optional<SegmentFiles::Making> making_;
    MonotonicNs not_before_{};  // a preparation goes on then, or is tried again
    MonotonicNs shrink_at_{};   // what is deleted loses its next piece then
    bool gives_back_ = false;   // what it keeps or deletes goes at once: one has no room
};

Outcome FileSegmentStore::step() {
    const std::uint64_t released = orders_.released_before();
    if (const auto index = orders_.take_damaged()) {  // before what is released: it may be the same
        files_.mark_damaged(*index);
        return Outcome::done;
    }
    if (released > let_go_before_) {
        let_go_next();
        return Outcome::has_room;
    }
    if (gives_back_) {
        gives_back_ = false;
        return files_.give_back() ? Outcome::has_room : Outcome::done;
    }
    if (const MonotonicNs now = monotonic_now(); files_.is_shrinking() && now >= shrink_at_) {
        shrink_at_ = now.plus_ns(shrink_pause_ns);
        return files_.shrink() ? Outcome::has_room : Outcome::done;
    }
    const SegmentHeader* const header = orders_.wanted();
    return header == nullptr ? Outcome::done : make_more(*header);
}

void FileSegmentStore::let_go_next() {
    const std::uint64_t index = std::max(let_go_before_, orders_.released_from());
    if (orders_.is_suspect(index)) files_.mark_damaged(index);
    files_.let_go(index);
    let_go_before_ = index + 1;
}

Outcome FileSegmentStore::make_more(const SegmentHeader& header) {
    const int code = next_piece(header);
    // What failed before is over only when all of it is made: the first pieces find room on a disk that is full.
    if (code != 0 || !making_) prepare_errno_.store(code, std::memory_order_relaxed);
    if (code != 0) {
        making_.reset();
        orders_.pause();
        not_before_ = monotonic_now().plus_ns(retry_ns);
        return code == ENOSPC ? Outcome::no_room : Outcome::done;
    }
    if (making_) {
        orders_.fill(making_->filled);
        not_before_ = monotonic_now().plus_ns(orders_.pace() == FillPace::lagging ? fill_lagging_ns : fill_pause_ns);
        return Outcome::done;
    }
    not_before_ = {};
    orders_.is_made(files_.path_of(header.segment_index));
    return Outcome::made;
}

// 0 or errno. Where it is ready, nothing is being made any more.
int FileSegmentStore::next_piece(const SegmentHeader& header) {
    int code = 0;
    if (!making_) {
        code = files_.begin(header, making_.emplace());
        orders_.fill(making_->filled);
    }
    if (code == 0 && !making_->is_whole()) {
        const FillPace pace = orders_.pace();
        if (pace != FillPace::enough) {
            code = files_.fill(*making_, piece_bytes(pace));
        } else if (code = files_.allocate_rest(*making_); code == EOPNOTSUPP) {
            orders_.fill_all();
            return 0;
        }
    }
    if (code != 0 || !making_->is_whole()) return code;
    code = files_.finish(*making_);
    making_.reset();
    return code;
}

}  // namespace

FileSegmentStore* SegmentWorker::State::next() {
    const MonotonicNs now = monotonic_now();
    for (std::size_t i = 0; i < stores.size(); ++i) {
        turn = (turn + 1) % stores.size();
        if (stores[turn]->has_work(now)) return stores[turn];
    }
    return nullptr;
}

void SegmentWorker::State::rest(std::unique_lock<std::mutex>& lock) {
    bell.prepare_sleep();
    if (stopping || next() != nullptr) return bell.end_sleep();
    MonotonicNs until = never;
    for (const FileSegmentStore* store : stores) until = std::min(until, store->retry_at());
    lock.unlock();
    bell.sleep(until);
    lock.lock();
}

void SegmentWorker::State::settle(Outcome outcome) {
    switch (outcome) {
        case Outcome::done:
        case Outcome::made:
            break;
        case Outcome::has_room:
            for (FileSegmentStore* store : stores) store->retry_now();
            break;
        case Outcome::no_room:
            // One disk lies under all of them: what any of them keeps for reuse, or is deleting, is room.
            for (FileSegmentStore* store : stores) store->give_back();
            break;
    }
    busy = nullptr;
}

void SegmentWorker::State::work() {
    std::unique_lock lock(mutex);
    while (!stopping) {
        busy = next();
        if (busy == nullptr) {
            rest(lock);
            continue;
        }
        FileSegmentStore& store = *busy;
        lock.unlock();
        const Outcome outcome = store.step();
        lock.lock();
        settle(outcome);
        changed.notify_all();
        if (outcome != Outcome::made || wake == nullptr) continue;
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
    state_->bell.ring();
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
