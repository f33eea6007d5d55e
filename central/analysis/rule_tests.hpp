// Tests of analytics definitions, in a file of their own: events in, in virtual time, and what results must come of them.
//
// Thread    Control threads. No clock is read: a test of a day takes as long as its events and ticks take to compute.
// Bounds    tests_max tests, events_max of each (as many as `count` makes of them), test_s_max of virtual time.
// Format    central/analytics.tests.toml, with words
#pragma once

#include <iosfwd>
#include <string>

#include "central/config.hpp"

namespace weir::central {

inline constexpr std::size_t tests_max = 1024;
inline constexpr std::uint64_t test_events_max = 100'000;
inline constexpr std::uint64_t test_s_max = 31 * 86'400;

// One line for each test that fails, with what was found instead, and a sum. 0: all hold; 1: one does not; 78: the file is wrong (each
// mistake at FILE:LINE:COL).
[[nodiscard]] int rule_tests_command(const CentralConfig& config, const std::string& path, std::ostream& out,
                                     std::ostream& err);

}  // namespace weir::central
