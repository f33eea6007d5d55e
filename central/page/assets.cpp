#include "central/page/assets.hpp"

namespace weir::central {

std::span<const Asset> assets() {
    return {};
}

}  // namespace weir::central
