// The page: GET / and /assets/*, from the binary. It may load its own parts, open WebSockets to where it came from, and nothing else.
//
// Thread    Any.
#pragma once

#include <optional>
#include <string_view>

#include "core/control/admin.hpp"

namespace weir::central {

// nullopt: the path is none of the page's.
[[nodiscard]] std::optional<control::AdminResponse> answer_page(std::string_view target);

}  // namespace weir::central
