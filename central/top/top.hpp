// `weir-central top`: a live table of a running central.
//
// Thread    Control thread.
#pragma once

#include <iosfwd>

#include "core/control/top_screen.hpp"

namespace weir::central {

// As control::run_top.
[[nodiscard]] int run_top(const control::TopArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace weir::central
