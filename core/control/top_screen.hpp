// TopScreen: a table of a running daemon, drawn again and again with plain ANSI sequences; into a pipe, one table after the other.
//
// Thread    Control thread.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/control/admin_client.hpp"
#include "core/control/top_text.hpp"

namespace weir::control {

struct TopArguments {
    std::string admin{};
    std::string token_file{};
    AdminTls tls{};
    double interval_s = 1;
    bool is_once = false;  // one table, of the first interval
};
// What else is asked beside /metrics. One that must be there ends the table when it is not.
struct TopTarget {
    std::string target;
    bool is_needed = true;
};
using TopView = std::function<std::string(const TopLook& now, const TopLook* before, double seconds, const TopSize&)>;
inline constexpr std::size_t columns_in_a_pipe = 120;

// 0: `q`, or --once is done; 1: the daemon went; 2: it is not there.
[[nodiscard]] int run_top(const TopArguments& arguments, const std::vector<TopTarget>& targets, const TopView& view,
                          std::ostream& out, std::ostream& err);

}  // namespace weir::control
