// `weir-edge tap`: asks a running edge's admin port for the events that match, and prints them as they come.
//
// Thread    Control thread.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "core/control/admin_client.hpp"
#include "edge/intake/tap.hpp"

namespace weir::edge {

struct TapArguments {
    std::string admin;
    std::string token_file{};
    control::AdminTls tls{};
    std::string where{};
    std::uint64_t limit = tap_limit_default;
    std::uint64_t rate = tap_rate_default;
    std::string format = "text";
};
// Events go to `out`, what the tap counted to `err`. 0: the limit was reached; 1: the edge refused, or went; 2: it is not there.
[[nodiscard]] int run_tap(const TapArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace weir::edge
