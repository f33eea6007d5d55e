// Milestones: places of records near a journal's end, to begin reading at.
//
// Thread    note(): one. The others: any; one mutex.
// Bounds    places_max places, apart by at least apart_bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>

namespace weir::central {

class Milestones {
  public:
    static constexpr std::size_t places_max = 16;
    static constexpr std::uint64_t apart_bytes = 32U << 10;

    void note(std::uint64_t position) {
        if (position < next_) return;
        const std::lock_guard lock(mutex_);
        next_ = position + apart_bytes;
        if (places_.size() == places_max) places_.pop_front();
        places_.push_back(position);
    }
    // The first place that is no more than `bytes` before `end`; else the last there is; 0: none.
    [[nodiscard]] std::uint64_t before(std::uint64_t end, std::uint64_t bytes) const {
        const std::lock_guard lock(mutex_);
        for (const std::uint64_t place : places_) {
            if (place + bytes >= end) return place;
        }
        return places_.empty() ? 0 : places_.back();
    }

  private:
    std::uint64_t next_ = 0;  // note()'s own
    mutable std::mutex mutex_;
    std::deque<std::uint64_t> places_;
};

}  // namespace weir::central
