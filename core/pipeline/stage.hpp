// Stage: a step of the pipeline, given time by a Runner. Never waits, locks, logs, allocates or reads a clock.
#pragma once

#include "core/base/types.hpp"
#include "core/io/io.hpp"

namespace weir {

class Stage : public io::IoClient {
  public:
    // One duty cycle: returns how many things were handled (0 = nothing to do).
    [[nodiscard]] virtual std::size_t do_work(MonotonicNs now) = 0;
    // True if an inlet that another thread writes holds something (the second look before sleep).
    [[nodiscard]] virtual bool has_input() const = 0;
    // When it next wants do_work() without input; `never` if not at all.
    [[nodiscard]] virtual MonotonicNs next_deadline() const = 0;
    // True when it holds nothing any more after drain() was asked for.
    virtual void drain(MonotonicNs now) = 0;
    [[nodiscard]] virtual bool is_drained() const = 0;
};

}  // namespace weir
