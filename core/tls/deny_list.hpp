// DenyList: certificates that are no longer good although their time has not run out.
//
// Format    A line for each: "serial:HEX" or "sha256:HEX" (of the whole certificate; colons between bytes are allowed), or
//           "uri:spiffe://DOMAIN/ROLE/NAME": every certificate of that name, whenever it was issued. Blank lines and what follows '#'
//           mean nothing. Serials of different issuers are not told apart: name such ones by sha256.
// Bounds    deny_entries_max lines of deny_line_bytes_max bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/tls/identity.hpp"

namespace weir::tls {

inline constexpr std::size_t deny_entries_max = 65'536;
inline constexpr std::size_t deny_line_bytes_max = 256;

class DenyList {
  public:
    // The error names the first line that says nothing of the above.
    [[nodiscard]] static Result<DenyList> parse(std::string_view text);
    [[nodiscard]] bool contains(const CertificateFacts& certificate) const;
    [[nodiscard]] std::size_t count() const { return entries_.size(); }

  private:
    std::vector<std::string> entries_;  // "serial:...", "sha256:..." and "uri:...", sorted
};

}  // namespace weir::tls
