#include "core/tls/credentials.hpp"

namespace weir::tls {

// Set by CMake, in seconds since 1970; alone in its file, so that a new build makes only this anew.
WallNs build_time() noexcept {
    return {std::uint64_t{WEIR_BUILD_TIME_S} * ns_per_second};
}

}  // namespace weir::tls
