// The system's clocks. Only Io implementations and control threads call these; stages are given `now`.
#pragma once

#include "core/base/types.hpp"

namespace weir {
[[nodiscard]] MonotonicNs monotonic_now() noexcept;
[[nodiscard]] WallNs wall_now() noexcept;
}  // namespace weir
