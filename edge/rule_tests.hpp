// RuleTests: a configuration's own tests of its rules and routes: an event goes in, verdict and lane come out (`weir-edge test`).
//
// They run what the edge runs (Judgement), on events that never touch a network or a disk.
//
// Thread    Control thread.
#pragma once

#include <iosfwd>

#include "edge/config.hpp"

namespace weir::edge {

struct RuleTestCounts {
    std::size_t passed = 0;
    std::size_t failed = 0;
};
// Runs all and says of each on `out`: "ok    NAME", or "FAIL  NAME" and each expectation that was not met.
[[nodiscard]] RuleTestCounts run_rule_tests(const EdgeConfig& config, std::ostream& out);

}  // namespace weir::edge
