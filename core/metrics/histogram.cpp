#include "core/metrics/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace weir {

std::uint64_t Histogram::percentile(double share) const noexcept {
    const std::uint64_t total = count();
    if (total == 0) return 0;
    const double wanted = std::ceil(share * static_cast<double>(total));
    const std::uint64_t rank = std::clamp<std::uint64_t>(wanted < 1 ? 1 : static_cast<std::uint64_t>(wanted), 1, total);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
        seen += bucket(i);
        if (seen >= rank) return std::min(upper_of(i), max());
    }
    return max();
}

}  // namespace weir
