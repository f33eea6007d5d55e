// Event time as text: RFC 3339 in UTC.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.hpp"

namespace weir {
// "2017-12-01T00:00:07Z", with up to nine fractional digits and Z or a numeric offset; years 1970-2553. nullopt otherwise.
[[nodiscard]] std::optional<WallNs> parse_time(std::string_view text) noexcept;
// The shortest such text in UTC: no fraction when it is zero, no trailing zeros in it.
[[nodiscard]] std::string format_time(WallNs time);
}  // namespace weir
