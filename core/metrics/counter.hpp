// Counter: a number that one thread writes and any thread reads.
//
// Thread    add/set: the one writer. get: anyone; relaxed, a moment old.
// Cost      A plain load, add and store: no locked instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir {

class Counter {
  public:
    void add(std::uint64_t amount) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace weir
