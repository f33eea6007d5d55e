// TlsFiles: the files that a configuration names.
#pragma once

#include <cstdint>
#include <string>

namespace weir::tls {

enum class Side : std::uint8_t { server, client };

struct TlsFiles {
    std::string certificate;  // PEM: the leaf, then what leads up to the CA
    std::string key;          // PEM, not encrypted, mode 0600 or stricter
    std::string ca;  // PEM: every CA that peers' certificates may come from; old and new while one is replaced.
                     // Empty: no peer's is good
    std::string trust_domain;
    std::string deny_list;  // empty: none
    [[nodiscard]] bool is_set() const { return !certificate.empty(); }
    bool operator==(const TlsFiles&) const = default;
};

}  // namespace weir::tls
