// Scrubber: reads journals from the disk again, all that is kept once per period, and names what no longer matches its checksums
// (P9). So a disk that rots is found out while the other side may still have the events, not when they are asked for.
//
// Thread    One of its own, at the lowest priority the kernel gives (SCHED_IDLE, idle I/O class). Counters: it writes, any
//           thread reads.
// Pace      A round begins `period_s` after the one before began, the first after first_round_s; what is read no faster than
//           bytes_per_second, in pieces of 64 KiB. What the page cache holds of a segment is dropped first: the disk is what is asked.
// Bounds    A round ends in a journal where that ends when it comes there, and at the last segment that was there when it began. What is made
//           ahead is searched for records once.
// Law       It never writes, renames or deletes. A tail that is being written is no damage.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/metrics/counter.hpp"

namespace weir::journal {

inline constexpr std::uint64_t scrub_first_round_s = 60;

struct ScrubCounters {
    Counter rounds;            // whole ones
    Counter bytes;             // read and found right
    Counter records;           // the same
    Counter damaged_segments;  // since the start, each once
};

class Scrubber {
  public:
    struct Options {
        std::vector<std::string> directories;
        std::uint64_t period_s = 21'600;  // 0: no rounds
        std::uint64_t bytes_per_second = 8ULL << 20;
        std::uint64_t first_round_s = scrub_first_round_s;
        // A damaged segment was met for the first time: directory number and segment index. From the scrubber's thread.
        std::function<void(std::size_t, std::uint64_t)> on_damage{};
    };
    explicit Scrubber(Options options) : options_(std::move(options)) {}
    ~Scrubber() { stop(); }
    Scrubber(const Scrubber&) = delete;
    Scrubber& operator=(const Scrubber&) = delete;

    void start();
    void stop();
    // One round on the caller's thread, at the pace of the options. False if stop() ended it.
    bool round();
    [[nodiscard]] const ScrubCounters& counters() const { return counters_; }
    // What was found since the last call, "PATH:OFFSET: what" each; any thread.
    [[nodiscard]] std::vector<std::string> take_faults();

  private:
    void run();
    bool scrub(std::size_t number);
    void found_damage(std::size_t number, std::uint64_t segment_index);
    // False when it is time to end.
    bool pause_us(std::uint64_t microseconds);

    Options options_;
    ScrubCounters counters_;
    std::set<std::pair<std::size_t, std::uint64_t>> known_;
    std::set<std::string> said_;
    std::mutex mutex_;  // the fields below
    std::condition_variable changed_;
    std::vector<std::string> faults_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace weir::journal
