// What a request's target must look like, whoever sends it: judged before anything reads it.
//
// Thread    Any.
#pragma once

#include <string_view>

namespace weir::control {

inline constexpr std::size_t target_bytes_max = 2048;

// Why it is refused; empty: it is an absolute path without empty, "." or ".." segments, backslashes, control bytes or bytes beyond
// ASCII, in which no %XX stands for one of those, for '/' or for '%'; and a query of printable ASCII.
[[nodiscard]] std::string_view target_fault(std::string_view target) noexcept;
// Without the query.
[[nodiscard]] std::string_view path_of(std::string_view target) noexcept;

}  // namespace weir::control
