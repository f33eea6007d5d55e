// `weir-central audit`: the account as lines of text or JSON, and as an exit code.
//
// Thread    Blocking; for the command line.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "central/audit/audit.hpp"
#include "central/config.hpp"

namespace weir::central::audit {

// One line for each stream, note and fault, and one of sums at the end; with `json` each is an object.
void print(const Report& report, bool json, std::ostream& out);

// The exit code: 0 (every event is accounted for), 1 (at least one fault, each named), 2 (there is nothing to read).
[[nodiscard]] int audit_command(const CentralConfig& config, const std::vector<std::string>& edge_dirs, bool json,
                                std::ostream& out, std::ostream& err);

}  // namespace weir::central::audit
