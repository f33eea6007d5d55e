#include "central/readmodel/reader.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "core/journal/cache_trim.hpp"

namespace weir::central {
namespace {

// Between looks: a busy journal is read in long runs, an idle one at leisure. In the shorter time even the fastest writes far less than
// journal.recent_bytes, so that what is read is still in memory.
constexpr std::uint64_t gather_ms = 20;
constexpr std::uint64_t gather_busy_ms = 2;
constexpr std::uint64_t busy_bytes = 1U << 20;  // read at one look
constexpr std::uint64_t retry_ms = 500;
// Behind ingest, but not so far that it falls out of what is in memory while the cores are full: then the disk reads for it what was
// written a moment ago, and all that costs more than its turn would have (bench/NOTES.md).
constexpr int reader_niceness = 5;

}  // namespace

void Reader::start() {
    thread_ = std::thread([this] { run(); });
}

void Reader::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_.store(true, std::memory_order_relaxed);
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

bool Reader::nap(std::uint64_t ms) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, std::chrono::milliseconds(ms),
                              [this] { return stopping_.load(std::memory_order_relaxed); });
}

void Reader::run() {
    pthread_setname_np(pthread_self(), "reader");
    // Of this thread alone, on Linux.
    static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), reader_niceness));
    std::optional<journal::Scanner> scanner;
    while (!scanner) {
        if (auto opened = journal::Scanner::open(directory_, {})) {
            scanner.emplace(std::move(opened.value()));
        } else {
            failures_.add(1);
            if (!nap(retry_ms)) return;
        }
    }
    if (recent_ != nullptr) scanner->read_recent_from(*recent_);
    journal::keep_cache_small(*scanner, directory_);
    for (;;) {
        // Pairs with ingest's release. Only a journal that has grown is looked at.
        const std::uint64_t durable = durable_.load(std::memory_order_acquire);
        if (watch_.on_look) watch_.on_look(durable);
        scanner->expect({durable});
        const std::uint64_t before = read_position_.get();
        while (round_up(read_position_.get(), journal::block_bytes) < durable) {
            if (stopping_.load(std::memory_order_relaxed)) return;
            const auto record = scanner->next();
            if (!record) break;
            // Written is not yet durable: what is ahead waits.
            while (durable_.load(std::memory_order_acquire) < record->end.value) {
                if (!nap(gather_busy_ms)) return;
            }
            model_.apply(record->batch_header, record->body(), {record->header.arrival_wall_ns}, record->end);
            read_position_.set(record->end.value);
            bytes_from_memory_.set(scanner->bytes_from_memory());
            bytes_from_disk_.set(scanner->bytes_from_disk());
            if (watch_.on_record) watch_.on_record(*record);
        }
        const bool is_busy = read_position_.get() - before >= busy_bytes;
        do {
            if (!nap(is_busy ? gather_busy_ms : gather_ms)) return;
            if (watch_.on_look) watch_.on_look(durable);
        } while (durable_.load(std::memory_order_acquire) == durable);
    }
}

}  // namespace weir::central
