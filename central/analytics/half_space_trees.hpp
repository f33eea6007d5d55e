// HalfSpaceTrees: a streaming forest: how few of the recent points lay where this one lies.
//
// Each tree halves the space of points again and again, along dimensions that a fixed seed chose; its cells count the points of the last
// window. A point in a cell that few visited is unusual. No tree is ever rebuilt.
//
// Law       Deterministic: the trees are the same at every start.
// Bounds    tree_count * 2^(tree_depth + 1) cells, two 16-bit counts each: 24 KiB a series.
// Source    Tan, Ting, Liu: Fast anomaly detection for streaming data (IJCAI 2011).
#pragma once

#include <array>
#include <vector>

#include "central/analytics/state_io.hpp"

namespace weir::analytics {

inline constexpr std::size_t tree_dimensions = 2;
inline constexpr std::size_t tree_count = 12;
inline constexpr std::uint32_t tree_depth = 8;
inline constexpr std::uint32_t tree_window = 256;

using TreePoint = std::array<double, tree_dimensions>;  // each in 0..1

class HalfSpaceTrees {
  public:
    HalfSpaceTrees();
    // 0 until the first window is full; then -log2, coarsely, of the share of points one would expect to find as alone as this one.
    [[nodiscard]] double take(const TreePoint& point);
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    static constexpr std::size_t cells_per_tree = std::size_t{2} << tree_depth;
    struct Cell {
        std::uint16_t reference = 0;  // of the window before
        std::uint16_t latest = 0;
    };
    std::vector<Cell> cells_;
    std::uint32_t in_window_ = 0;
    bool has_reference_ = false;
};

}  // namespace weir::analytics
