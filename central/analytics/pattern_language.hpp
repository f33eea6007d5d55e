// compile_pattern(): a pattern's text becomes steps and conditions, or a fault at a line and column.
//
//   submitted -> !validated within 10m by key
//   submitted: type == "violation.submitted"
//   validated: type == "violation.validated" && data.by != "nobody"
//
// Law       Bounded state: every pattern says `within`, every count and list has a limit.
// Format    README.md, "Patterns"; conditions and `by` are expressions of core/rules.
#pragma once

#include <optional>
#include <vector>

#include "core/base/types.hpp"
#include "core/rules/compile.hpp"

namespace weir::analytics {

inline constexpr std::uint32_t pattern_steps_max = 16;
inline constexpr std::uint32_t pattern_elements_max = 4;     // of one step, joined by `and`
inline constexpr std::uint32_t pattern_conditions_max = 32;  // names
inline constexpr std::uint32_t pattern_repeats_max = 256;
inline constexpr std::uint64_t pattern_within_ns_max = 31ULL * 86'400 * ns_per_second;

struct PatternElement {
    std::uint32_t condition = 0;  // index of it
    std::uint32_t count = 1;
};
struct PatternStep {
    std::vector<PatternElement> elements;  // all of them, in any order; none: nothing may come until the time is over
    std::uint32_t guards = 0;              // bit of each condition that ends a run waiting at this step
};
struct Pattern {
    std::vector<PatternStep> steps;
    std::uint64_t within_ns = 0;             // from the first event to the last, both included
    std::vector<rules::Program> conditions;  // boolean
    std::optional<rules::Program> key;       // any value; absent: all events are one
};

struct CompiledPattern {
    std::optional<Pattern> pattern;
    rules::Fault fault;  // when there is none
};
[[nodiscard]] CompiledPattern compile_pattern(std::string_view text, const rules::Tables* tables = nullptr);

}  // namespace weir::analytics
