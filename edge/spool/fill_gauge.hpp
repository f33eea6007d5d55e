// FillGauge: how full a lane is, as intake is told.
//
// Thread    One.
// Law       100 is said as soon as it is so, and left at fill_leaves or below; else a word goes out when the share has moved by
//           fill_step points or more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "edge/handover.hpp"

namespace weir::edge {

inline constexpr std::uint8_t fill_leaves = 95;
inline constexpr std::uint8_t fill_step = 5;

// `bytes` in hundredths of `bytes_max`, rounded down; 100 at most.
[[nodiscard]] inline std::uint8_t fill_of(std::uint64_t bytes, std::uint64_t bytes_max) {
    if (bytes >= bytes_max) return fill_full;
    const std::uint64_t point = bytes_max / fill_full + (bytes_max % fill_full == 0 ? 0 : 1);
    return static_cast<std::uint8_t>(bytes / point);
}

class FillGauge {
  public:
    // The word to say, if there is one.
    [[nodiscard]] std::optional<std::uint8_t> look(std::uint8_t fill) {
        const bool was_full = told_ == fill_full;
        const std::uint8_t moved = fill > told_ ? fill - told_ : told_ - fill;
        const bool says = was_full ? fill <= fill_leaves : fill == fill_full || moved >= fill_step;
        if (!says) return std::nullopt;
        told_ = fill;
        return fill;
    }
    [[nodiscard]] bool is_full() const { return told_ == fill_full; }
    [[nodiscard]] std::uint8_t told() const { return told_; }

  private:
    std::uint8_t told_ = 0;
};

}  // namespace weir::edge
