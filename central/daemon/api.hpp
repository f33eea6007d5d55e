// Api: what the admin port answers.
//
// Thread    The admin server's.
#pragma once

#include <string_view>

#include "central/api/acts.hpp"
#include "central/api/sources.hpp"
#include "core/control/admin.hpp"

namespace weir::central {

[[nodiscard]] control::AdminResponse answer(const ApiSources& sources, std::string_view target);

}  // namespace weir::central
