// Journal tools: `journal ls|cat|verify DIR` of both daemons. Dead letters: dead_letters.hpp.
//
// DIR is a daemon's data_dir: an edge keeps DIR/spool with a journal for each stream (events and dead letters), central DIR/journal and
// DIR/dead-letters. What exists is read; a daemon that runs is not disturbed.
//
// Thread    Blocking; for command lines only.
// Cost      cat of 100,000 events takes less than a second: one output buffer, no flush per line.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

namespace weir::control {

// Returns the exit code: 0, 1 (damage found, or something could not be read), 2 (unknown verb, nothing to read at
// DIR).
[[nodiscard]] int journal_command(std::string_view verb, const std::string& directory, bool json, std::ostream& out,
                                  std::ostream& err);

}  // namespace weir::control
