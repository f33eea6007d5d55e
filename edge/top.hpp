// `weir-edge top`: a live table of a running edge.
//
// Thread    Control thread.
#pragma once

#include <iosfwd>

#include "core/control/top_screen.hpp"

namespace weir::edge {

// As control::run_top.
[[nodiscard]] int run_top(const control::TopArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace weir::edge
