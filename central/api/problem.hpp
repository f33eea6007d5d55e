// Answers of the API: JSON with its tag, and problems (RFC 9457).
//
// Thread    Any.
// Source    RFC 9457; RFC 9110 for ETag.
#pragma once

#include <string>
#include <string_view>

#include "core/control/admin.hpp"

namespace weir::central {

inline constexpr std::string_view problem_any = "about:blank";
inline constexpr std::string_view problem_stale = "tag:weir,2026:stale";
inline constexpr std::string_view problem_gone = "tag:weir,2026:position-gone";

// `type` says what kind, for programs; `detail` for people.
[[nodiscard]] control::AdminResponse problem(unsigned status, std::string_view detail,
                                             std::string_view type = problem_any);
// `body` and a newline.
[[nodiscard]] control::AdminResponse json_answer(std::string body, unsigned status = 200);
// With an ETag of its bytes.
[[nodiscard]] control::AdminResponse tagged_answer(std::string body);

}  // namespace weir::central
