// What the edge's log and admin port have words for.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "core/wire/control.hpp"
#include "edge/intake/fuse.hpp"

namespace weir::edge {

inline constexpr std::array<const char*, fused_stages> stage_names{"decode", "validate"};
// What an edge on that rung does.
[[nodiscard]] const char* rung_words(wire::Rung rung);
// 16 digits.
[[nodiscard]] std::string hex(std::uint64_t value);
// With commas between them.
[[nodiscard]] std::string joined(const std::vector<std::string>& texts);

}  // namespace weir::edge
