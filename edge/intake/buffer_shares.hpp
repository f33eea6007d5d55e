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
    using Lanes = std::array<bool, lanes_max>;
    // `in_use`: the lanes that may open batches, the dead letters' among them.
    BufferShares(std::uint32_t buffers, const Lanes& in_use) : buffers_(buffers) { divide_among(in_use); }
    // From now on. What a lane holds it keeps: until as much has come back, one that is new may lack of its guarantee.
    void divide_among(const Lanes& in_use) noexcept {
        const auto lanes = static_cast<std::uint32_t>(std::count(in_use.begin(), in_use.end(), true));
        each_ = buffers_ < lanes ? 0 : std::max(1U, buffers_ / 2 / std::max(1U, lanes));
        unmet_ = 0;
        for (std::size_t lane = 0; lane < in_use.size(); ++lane) {
            guarantee_[lane] = in_use[lane] ? each_ : 0;
            unmet_ += guarantee_[lane] - std::min(guarantee_[lane], held_[lane]);
        }
    }
    // Whether `lane` may take one of `free` buffers.
    [[nodiscard]] bool may_take(std::uint8_t lane, std::uint64_t free) const noexcept {
        return held_[lane] < guarantee_[lane] ? free > 0 : free > unmet_;
    }
    void take(std::uint8_t lane) noexcept {
        if (held_[lane]++ < guarantee_[lane]) --unmet_;
    }
    void give_back(std::uint8_t lane) noexcept {
        WEIR_ASSERT(held_[lane] > 0);
        if (--held_[lane] < guarantee_[lane]) ++unmet_;
    }
    [[nodiscard]] std::uint32_t guarantee() const { return each_; }
    [[nodiscard]] std::uint32_t held(std::uint8_t lane) const { return held_[lane]; }

  private:
    std::uint32_t buffers_;
    std::uint32_t each_ = 0;
    std::uint32_t unmet_ = 0;  // what all lanes together lack of their guarantees
    std::array<std::uint32_t, lanes_max> guarantee_{};
    std::array<std::uint32_t, lanes_max> held_{};
};

}  // namespace weir::edge
