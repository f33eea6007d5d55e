// Reader: follows the journal into the read model on a thread of its own, never past what is durable.
//
// Thread    One thread of its own, of lower priority than ingest. start/stop from a control thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "central/readmodel/readmodel.hpp"
#include "core/base/result.hpp"
#include "core/journal/scan.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

// Who looks on, on the reader's thread; may be empty.
struct ReaderWatch {
    std::function<void(const journal::RecordView&)> on_record{};  // after the model has it
    std::function<void(std::uint64_t durable)> on_look{};         // each time that the durable position is read
};

class Reader {
  public:
    // `durable_position` is stored (release) by ingest.
    Reader(std::string directory, std::atomic<std::uint64_t>& durable_position, ReadModel& model)
        : directory_(std::move(directory)), durable_(durable_position), model_(model) {}
    ~Reader() { stop(); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    // Before start(): has what was written last. It outlives the reader.
    void read_recent_from(const journal::RecentBytes& recent) { recent_ = &recent; }
    // Before start().
    void set_watch(ReaderWatch watch) { watch_ = std::move(watch); }
    void start();
    void stop();
    [[nodiscard]] std::uint64_t position() const { return read_position_.get(); }
    // What was read of the journal: out of memory, and from the disk.
    [[nodiscard]] std::uint64_t bytes_from_memory() const { return bytes_from_memory_.get(); }
    [[nodiscard]] std::uint64_t bytes_from_disk() const { return bytes_from_disk_.get(); }
    [[nodiscard]] std::uint64_t failures() const { return failures_.get(); }

  private:
    void run();
    [[nodiscard]] bool nap(std::uint64_t ms);  // false: stop

    std::string directory_;
    std::atomic<std::uint64_t>& durable_;
    const journal::RecentBytes* recent_ = nullptr;
    ReadModel& model_;
    ReaderWatch watch_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    Counter read_position_;
    Counter bytes_from_memory_, bytes_from_disk_;
    Counter failures_;
    std::thread thread_;
};

}  // namespace weir::central
