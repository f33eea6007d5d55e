// BufferShares: how many batch buffers each lane may hold, so that one whose batches wait in the spool leaves room to the others.
//
// Half of the buffers is divided evenly among the lanes that events may come to: each lane's guarantee. The other half is for whoever
// comes first.
//
// Thread    Intake runner.
// Law       free >= what all lanes together lack of their guarantees: a lane below its own always finds a buffer.
// Bounds    A lane holds at most all buffers less the others' guarantees. Fewer buffers than lanes: no guarantees.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/assert.hpp"
#include "edge/counters.hpp"

namespace weir::edge {

class BufferShares {
  public:
    // `lanes_in_use`: those that may open batches, the dead letters' among them.
    BufferShares(std::uint32_t buffers, std::uint32_t lanes_in_use)
        : guarantee_(buffers < lanes_in_use ? 0 : std::max(1U, buffers / 2 / std::max(1U, lanes_in_use))),
          unmet_(guarantee_ * lanes_in_use) {}
    // Whether `lane` may take one of `free` buffers.
    [[nodiscard]] bool may_take(std::uint8_t lane, std::uint64_t free) const noexcept {
        return held_[lane] < guarantee_ ? free > 0 : free > unmet_;
    }
    void take(std::uint8_t lane) noexcept {
        if (held_[lane]++ < guarantee_) --unmet_;
    }
    void give_back(std::uint8_t lane) noexcept {
        WEIR_ASSERT(held_[lane] > 0);
        if (--held_[lane] < guarantee_) ++unmet_;
    }
    [[nodiscard]] std::uint32_t guarantee() const { return guarantee_; }
    [[nodiscard]] std::uint32_t held(std::uint8_t lane) const { return held_[lane]; }

  private:
    std::uint32_t guarantee_;
    std::uint32_t unmet_;  // what all lanes together lack of their guarantees
    std::array<std::uint32_t, lanes_max> held_{};
};

}  // namespace weir::edge
