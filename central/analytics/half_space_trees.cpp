#include "central/analytics/half_space_trees.hpp"

#include <algorithm>

#include "central/analytics/detectors.hpp"

namespace weir::analytics {
namespace {

constexpr std::uint16_t cell_points_min = tree_window / 10;  // below, a cell is not looked into: few points say little

struct Split {
    std::uint32_t dimension = 0;
};
struct Tree {
    TreePoint low{};  // the space that the tree halves: wider than 0..1, and another one for each tree
    TreePoint high{};
    std::array<Split, std::size_t{1} << tree_depth> splits{};  // by inner cell, from 1
};

// splitmix64 (Steele, Lea, Flood 2014)
std::uint64_t next_random(std::uint64_t& seed) {
    std::uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
}

std::array<Tree, tree_count> grow() {
    std::array<Tree, tree_count> trees;
    std::uint64_t seed = 0x77656972;
    for (Tree& tree : trees) {
        for (std::size_t dimension = 0; dimension < tree_dimensions; ++dimension) {
            const double centre = static_cast<double>(next_random(seed) >> 11U) * 0x1p-53;
            const double reach = 2 * std::max(centre, 1 - centre);
            tree.low.at(dimension) = centre - reach;
            tree.high.at(dimension) = centre + reach;
        }
        for (Split& split : tree.splits)
            split.dimension = static_cast<std::uint32_t>(next_random(seed) % tree_dimensions);
    }
    return trees;
}

const std::array<Tree, tree_count>& forest() {
    static const std::array<Tree, tree_count> trees = grow();
    return trees;
}

}  // namespace

HalfSpaceTrees::HalfSpaceTrees() : cells_(tree_count * cells_per_tree) {}

double HalfSpaceTrees::take(const TreePoint& point) {
    double mass = 0;
    for (std::size_t number = 0; number < tree_count; ++number) {
        const Tree& tree = forest().at(number);
        Cell* const cells = cells_.data() + number * cells_per_tree;
        TreePoint low = tree.low;
        TreePoint high = tree.high;
        bool is_weighed = false;
        std::size_t at = 1;
        for (std::uint32_t depth = 0;; ++depth) {
            Cell& cell = cells[at];
            if (!is_weighed && (depth == tree_depth || cell.reference < cell_points_min)) {
                mass += static_cast<double>(cell.reference) * static_cast<double>(1U << depth);
                is_weighed = true;
            }
            ++cell.latest;
            if (depth == tree_depth) break;
            const std::uint32_t dimension = tree.splits.at(at).dimension;
            const double middle = (low.at(dimension) + high.at(dimension)) / 2;
            const bool is_right = point.at(dimension) >= middle;
            (is_right ? low : high).at(dimension) = middle;
            at = 2 * at + (is_right ? 1 : 0);
        }
    }
    const bool was_ready = has_reference_;
    if (++in_window_ == tree_window) {
        for (Cell& cell : cells_) cell = {cell.latest, 0};
        in_window_ = 0;
        has_reference_ = true;
    }
    constexpr double mass_max = static_cast<double>(tree_count) * tree_window * (1U << tree_depth);
    return was_ready ? coarse_log2(mass_max / (mass + 1)) : 0;
}

void HalfSpaceTrees::save(StateWriter& out) const {
    out.put(in_window_);
    out.put(has_reference_);
    for (const Cell& cell : cells_) {
        out.put(cell.reference);
        out.put(cell.latest);
    }
}

void HalfSpaceTrees::load(StateReader& in) {
    in_window_ = in.get<std::uint32_t>();
    in.require(in_window_ < tree_window);
    has_reference_ = in.get<std::uint8_t>() != 0;
    for (Cell& cell : cells_) {
        cell.reference = in.get<std::uint16_t>();
        cell.latest = in.get<std::uint16_t>();
    }
}

}  // namespace weir::analytics
