// Vitals: what the process takes of its machine, as of the last look.
//
// Thread    look(): the control thread. The others: any.
#pragma once

#include "core/base/types.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

class Vitals {
  public:
    static constexpr std::uint64_t look_ns = ns_per_second;  // no oftener
    explicit Vitals(WallNs now) : started_ms_(now.value / ns_per_ms) {}
    // `durable`: where the journal ends.
    void look(MonotonicNs now, std::uint64_t durable);
    [[nodiscard]] std::uint64_t started_ms() const { return started_ms_; }
    [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_.get(); }
    [[nodiscard]] double cpu_percent() const { return static_cast<double>(cpu_permille_.get()) / 10; }  // of one core
    [[nodiscard]] std::uint64_t journal_bytes_per_s() const { return journal_rate_.get(); }

  private:
    std::uint64_t started_ms_;
    MonotonicNs looked_{};
    std::uint64_t cpu_us_ = 0;
    std::uint64_t durable_ = 0;
    Counter memory_bytes_, cpu_permille_, journal_rate_;
};

}  // namespace weir::central
