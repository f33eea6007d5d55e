// weir-central cursors: groups of consumers, from the command line; also beside a running daemon.
//
// Thread    The one that calls.
#pragma once

#include <iosfwd>
#include <string>

#include "central/config.hpp"

namespace weir::central {

struct CursorOptions {
    std::string verb{};   // ls, make, read, commit, drop
    std::string group{};  // of all but ls
    std::uint32_t partition = 0;
    std::uint32_t partitions = 1;
    std::uint64_t limit = 1000;  // events
    std::string place{};         // a number; "first" (also as it is left out) or "end"
};
// 0; 2: a wrong question, or nothing to read. `read` prints events as lines of JSON and, last, {"place":N,...}: what to commit.
[[nodiscard]] int cursors_command(const CentralConfig& config, const CursorOptions& options, std::ostream& out,
                                  std::ostream& err);

}  // namespace weir::central
