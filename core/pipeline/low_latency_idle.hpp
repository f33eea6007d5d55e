// LowLatencyIdle: while it lives, no core of the machine falls into a sleep from which it wakes slowly.
//
// A thread that is woken waits for its core first: tens of microseconds where the kernel let it sleep deeply, and an event passes
// half a dozen threads on its way. The price is current: cores that have nothing to do stay awake, for the whole machine.
//
// Thread    Any; the control thread holds it.
// Failure   Not allowed, or no such device: hold() says why, and nothing has changed.
// Source    linux/Documentation/power/pm_qos_interface.rst: a 32-bit number of microseconds, held for as long as the file is open.
#pragma once

#include <string>
#include <utility>

#include "core/base/result.hpp"

namespace weir {

class LowLatencyIdle {
  public:
    [[nodiscard]] static Result<LowLatencyIdle> hold(const std::string& device = "/dev/cpu_dma_latency");
    ~LowLatencyIdle();
    LowLatencyIdle(LowLatencyIdle&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    LowLatencyIdle& operator=(LowLatencyIdle&& other) noexcept {
        std::swap(file_, other.file_);
        return *this;
    }

  private:
    explicit LowLatencyIdle(int file) : file_(file) {}
    int file_;
};

}  // namespace weir
