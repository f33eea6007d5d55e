#include "core/journal/scrubber.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "core/journal/posix_file.hpp"
#include "core/journal/scan.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t piece_bytes = 64U << 10;
constexpr std::size_t faults_max = 64;  // kept until they are taken
constexpr std::size_t said_max = 1024;  // beyond that the same fault may be said twice

// Best effort: where the kernel refuses, it is a thread like others, and its pace keeps it small.
void become_idle() {
    const sched_param none{};
    static_cast<void>(::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none));
    constexpr int who_process = 1, class_idle = 3, class_shift = 13;  // ioprio_set(2): the calling thread
    static_cast<void>(::syscall(SYS_ioprio_set, who_process, 0, class_idle << class_shift));
    static_cast<void>(::pthread_setname_np(::pthread_self(), "scrubber"));
}

}  // namespace

void Scrubber::start() {
    if (options_.period_s == 0) return;
    thread_ = std::thread([this] { run(); });
}

void Scrubber::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Scrubber::run() {
    become_idle();
    std::uint64_t wait_s = std::min(options_.first_round_s, options_.period_s);
    while (pause_us(wait_s * 1'000'000)) {
        const auto began = std::chrono::steady_clock::now();
        if (!round()) return;
        const auto took = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
        const auto took_s = static_cast<std::uint64_t>(took.count());
        wait_s = options_.period_s > took_s ? options_.period_s - took_s : 0;
    }
}

bool Scrubber::round() {
    for (std::size_t number = 0; number < options_.directories.size(); ++number) {
        if (!scrub(number)) return false;
    }
    counters_.rounds.add(1);
    return true;
}

bool Scrubber::scrub(std::size_t number) {
    const std::string& directory = options_.directories[number];
    const auto list = list_segments(directory);
    if (!list) return true;  // not there (yet): nothing to read
    for (const std::uint64_t index : list.value().damaged) found_damage(number, index);
    auto opened = Scanner::open(directory, {0});
    if (!opened) return true;
    Scanner& scanner = opened.value();
    scanner.on_segment([&](std::uint64_t index) {
        const PosixFile file(directory + "/" + segment_file_name(index), O_RDONLY);
        if (file.is_open()) io::files().drop_cache(file.handle());
    });
    // What the disk reads counts, with what is searched for records where a journal ends. Once it is to stop it is not slowed down any more.
    scanner.read_in_pieces(piece_bytes,
                           [&](std::uint64_t bytes) { (void)pause_us(bytes * 1'000'000 / options_.bytes_per_second); });
    // What is written beside it from its end on, or in segments that were not there, is for the next round: it would never be done.
    const SegmentHeader last = list.value().segments.empty() ? SegmentHeader{} : list.value().segments.back().header;
    for (auto record = scanner.next(); record; record = scanner.has_met_end() ? std::nullopt : scanner.next()) {
        if (record->position.value >= (last.segment_index + 1) * last.segment_bytes) break;
        counters_.bytes.add(record->end.value - record->position.value);
        counters_.records.add(1);
        if (!pause_us(0)) return false;
    }
    for (const std::uint64_t index : scanner.damaged_segments()) found_damage(number, index);
    if (!scanner.fault().empty()) {
        const std::lock_guard lock(mutex_);
        if (said_.size() >= said_max) said_.clear();
        if (said_.insert(scanner.fault()).second && faults_.size() < faults_max) faults_.push_back(scanner.fault());
    }
    return pause_us(0);
}

void Scrubber::found_damage(std::size_t number, std::uint64_t segment_index) {
    if (!known_.insert({number, segment_index}).second) return;
    counters_.damaged_segments.add(1);
    if (options_.on_damage) options_.on_damage(number, segment_index);
}

bool Scrubber::pause_us(std::uint64_t microseconds) {
    std::unique_lock lock(mutex_);
    if (microseconds > 0) {
        changed_.wait_for(lock, std::chrono::microseconds(microseconds), [this] { return stopping_; });
    }
    return !stopping_;
}

std::vector<std::string> Scrubber::take_faults() {
    const std::lock_guard lock(mutex_);
    return std::exchange(faults_, {});
}

}  // namespace weir::journal
