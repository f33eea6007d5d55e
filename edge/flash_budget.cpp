#include "edge/flash_budget.hpp"

#include <fstream>
#include <string>

namespace weir::edge {
namespace {

constexpr std::uint64_t day_ns = 86'400 * ns_per_second;

// bytes * part / whole, where the product may not fit.
std::uint64_t share_of(std::uint64_t bytes, std::uint64_t part, std::uint64_t whole) {
    return static_cast<std::uint64_t>(static_cast<double>(bytes) * static_cast<double>(part) /
                                      static_cast<double>(whole));
}

}  // namespace

bool FlashBudget::look(const Seen& seen) {
    if (!has_day_ || seen.wall.value / day_ns != day_) begin_day(seen);
    sample(seen);
    const std::uint64_t today_bytes = seen.written_bytes - day_written_bytes_;
    const std::uint64_t today_events = seen.events - day_events_;
    const std::uint64_t projected_bytes = projected(seen, today_bytes);
    const bool was_over = is_over();
    counters_.written_bytes.set(seen.written_bytes);
    counters_.today_bytes.set(today_bytes);
    counters_.projected_bytes.set(projected_bytes);
    counters_.event_bytes.set(today_events == 0 ? 0 : today_bytes / today_events);
    counters_.is_over.set(limit_bytes_ != 0 && projected_bytes > limit_bytes_ ? 1 : 0);
    return is_over() != was_over;
}

// What was written before the first look is the first day's too: the start prepares files.
void FlashBudget::begin_day(const Seen& seen) {
    day_ = seen.wall.value / day_ns;
    if (has_day_) day_written_bytes_ = seen.written_bytes;
    day_events_ = seen.events;
    has_day_ = true;
}

void FlashBudget::sample(const Seen& seen) {
    const std::size_t newest = (samples_head_ + samples_count_ + samples_.size() - 1) % samples_.size();
    if (samples_count_ > 0 && seen.now.since(samples_[newest].at) < flash_sample_ns) return;
    if (samples_count_ == samples_.size()) {
        samples_head_ = (samples_head_ + 1) % samples_.size();
        --samples_count_;
    }
    samples_[(samples_head_ + samples_count_) % samples_.size()] = {seen.now, seen.written_bytes};
    ++samples_count_;
}

std::uint64_t FlashBudget::projected(const Seen& seen, std::uint64_t today_bytes) const {
    const Sample& oldest = samples_[samples_head_];
    const std::uint64_t known_ns = seen.now.since(oldest.at);
    if (known_ns < flash_known_ns_min) return today_bytes;
    const std::uint64_t left_ns = day_ns - seen.wall.value % day_ns;
    return today_bytes + share_of(seen.written_bytes - oldest.written_bytes, left_ns, known_ns);
}

std::uint64_t process_written_bytes() {
    std::ifstream account("/proc/self/io");
    for (std::string name; account >> name;) {
        std::uint64_t value = 0;
        if (!(account >> value)) return 0;
        if (name == "write_bytes:") return value;
    }
    return 0;
}

}  // namespace weir::edge
