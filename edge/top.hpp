// `weir-edge top`: a live table of a running edge, drawn with plain ANSI sequences; into a pipe, one table after the other.
//
// Thread    Control thread.
#pragma once

#include <iosfwd>
#include <string>

namespace weir::edge {

struct TopArguments {
    std::string admin;
    std::string token_file{};
    double interval_s = 1;
    bool is_once = false;  // one table, of the first interval
};
// 0: `q`, or --once is done; 1: the edge went; 2: it is not there.
[[nodiscard]] int run_top(const TopArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace weir::edge
