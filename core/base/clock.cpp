#include "core/base/clock.hpp"

#include <time.h>

#include "core/base/assert.hpp"

namespace weir {
namespace {

std::uint64_t read_clock_ns(clockid_t which) noexcept {
    timespec now{};
    WEIR_ASSERT(::clock_gettime(which, &now) == 0);
    return static_cast<std::uint64_t>(now.tv_sec) * ns_per_second + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

MonotonicNs monotonic_now() noexcept {
    return {read_clock_ns(CLOCK_MONOTONIC)};
}
WallNs wall_now() noexcept {
    return {read_clock_ns(CLOCK_REALTIME)};
}

}  // namespace weir
