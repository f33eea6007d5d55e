// DistinctCount: about how many different texts there were: HyperLogLog with 2^11 registers.
//
// Law       The state is a function of the set of texts: add and merge commute and associate, and repetitions change nothing.
// Bounds    At most registers_count bytes; the standard error is distinct_error. Few texts are kept as a short list of registers.
// Source    Flajolet, Fusy, Gandouet, Meunier: HyperLogLog (2007); Ertl: New cardinality estimation algorithms for HyperLogLog
//           sketches (2017), algorithm 6: no tables against bias.
#pragma once

#include <vector>

#include "central/analytics/hashed_key.hpp"
#include "central/analytics/state_io.hpp"

namespace weir::analytics {

inline constexpr std::uint32_t register_bits = 11;
inline constexpr std::uint32_t registers_count = 1U << register_bits;
inline constexpr double distinct_error = 0.023;  // 1.04 / sqrt(2^11), one standard deviation
inline constexpr std::uint32_t sparse_registers_max = 256;

class DistinctCount {
  public:
    void add(std::uint64_t hash);
    void merge(const DistinctCount& other);
    [[nodiscard]] double estimate() const;
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    void raise(std::uint32_t index, std::uint8_t rank);

    // Ascending, index * 256 + rank, while there are few; then `dense_`, one byte a register.
    std::vector<std::uint32_t> sparse_;
    std::vector<std::uint8_t> dense_;
};

}  // namespace weir::analytics
