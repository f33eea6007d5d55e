// Identity: who a certificate says it is: its one URI name, spiffe://TRUST-DOMAIN/ROLE/NAME. The common name is never looked at.
//
// Thread    Any.
// Source    SPIFFE-ID and X509-SVID of spiffe.io: an SVID has exactly one URI SAN.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"

namespace weir::tls {

inline constexpr std::size_t trust_domain_bytes_max = 255;
inline constexpr std::size_t identity_name_bytes_max = 64;  // a producer's; an edge's has at most 32

struct Identity {
    std::string_view trust_domain;  // "weir.example"
    std::string_view path;          // "edge/north"
    std::string_view role;          // "edge"
    std::string_view name;          // "north"
};
// Points into `uri`. Nothing where it has another form: role and name are [a-z0-9-], the trust domain is [a-z0-9._-].
[[nodiscard]] std::optional<Identity> parse_identity(std::string_view uri);
[[nodiscard]] bool is_trust_domain(std::string_view text);

// What is remembered of a certificate.
struct CertificateFacts {
    std::string uri;          // the one URI SAN; empty where there is none, or more than one
    std::string serial;       // lower-case hexadecimal without leading zeros
    std::string fingerprint;  // SHA-256 of the certificate, lower-case hexadecimal
    WallNs not_before{};
    WallNs not_after{};
};
[[nodiscard]] CertificateFacts facts_of(X509* certificate);

// Whom one side of a connection takes for its peer.
struct PeerRule {
    std::string trust_domain;
    std::string role;  // "edge", "central", "producer"
    // Any of these, or with no entry anyone of the role: NAME (of the URI), "dns:NAME" or "ip:ADDRESS" (of those SANs).
    std::vector<std::string> names;
    bool is_optional = false;  // a peer without a certificate is let in, and nobody
    bool is_asked = true;      // false: a server asks nobody for a certificate
};
// Whether it was issued for that host: "central.example", "10.0.0.7" or "::1".
[[nodiscard]] bool names_host(X509* certificate, const std::string& host);
// Why the certificate, whose chain is good, is not the peer's that is wanted; empty: it is.
[[nodiscard]] std::string peer_fault(X509* certificate, const PeerRule& rule);

}  // namespace weir::tls
