// Base64 (RFC 4648, section 4): bytes as letters, for JSON and configuration files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir {

// Appends, with padding and without line ends.
void append_base64(std::string_view bytes, std::string& out);
// The bytes of what append_base64 wrote: padding is needed, blanks are none of it. nullopt: it is no base64.
[[nodiscard]] std::optional<std::string> read_base64(std::string_view text);

}  // namespace weir
