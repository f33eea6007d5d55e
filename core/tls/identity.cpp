#include "core/tls/identity.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "core/tls/openssl.hpp"

namespace weir::tls {
namespace {

constexpr std::string_view scheme = "spiffe://";

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= identity_name_bytes_max && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

std::string hex_of(const unsigned char* bytes, std::size_t count) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += digits[bytes[i] >> 4U];
        text += digits[bytes[i] & 15U];
    }
    return text;
}

std::string serial_of(X509* certificate) {
    const std::unique_ptr<BIGNUM, FreedBy<BN_free>> number(
        ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    if (!number) return {};
    std::vector<unsigned char> bytes(static_cast<std::size_t>(BN_num_bytes(number.get())));
    BN_bn2bin(number.get(), bytes.data());
    const std::string text = hex_of(bytes.data(), bytes.size());
    const auto first = text.find_first_not_of('0');
    return first == std::string::npos ? "0" : text.substr(first);
}

WallNs wall_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    const std::time_t seconds = ::timegm(&parts);
    return {seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds) * ns_per_second};
}

// Empty: none, or more than one.
std::string uri_of(X509* certificate) {
    const auto free = [](GENERAL_NAMES* names) { GENERAL_NAMES_free(names); };
    const std::unique_ptr<GENERAL_NAMES, decltype(free)> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)), free);
    std::string found;
    int count = 0;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* one = sk_GENERAL_NAME_value(names.get(), i);
        if (one->type != GEN_URI) continue;
        const ASN1_IA5STRING* text = one->d.uniformResourceIdentifier;
        found.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<std::size_t>(ASN1_STRING_length(text)));
        ++count;
    }
    return count == 1 ? found : std::string();
}

}  // namespace

bool is_trust_domain(std::string_view text) {
    return !text.empty() && text.size() <= trust_domain_bytes_max && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    });
}

std::optional<Identity> parse_identity(std::string_view uri) {
    if (!uri.starts_with(scheme)) return std::nullopt;
    uri.remove_prefix(scheme.size());
    const auto slash = uri.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    Identity identity;
    identity.trust_domain = uri.substr(0, slash);
    identity.path = uri.substr(slash + 1);
    const auto between = identity.path.find('/');
    if (between == std::string_view::npos) return std::nullopt;
    identity.role = identity.path.substr(0, between);
    identity.name = identity.path.substr(between + 1);
    if (!is_trust_domain(identity.trust_domain) || !is_name(identity.role) || !is_name(identity.name)) {
        return std::nullopt;
    }
    return identity;
}

CertificateFacts facts_of(X509* certificate) {
    CertificateFacts facts;
    facts.uri = uri_of(certificate);
    facts.serial = serial_of(certificate);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int bytes = 0;
    if (X509_digest(certificate, EVP_sha256(), digest.data(), &bytes) == 1) {
        facts.fingerprint = hex_of(digest.data(), bytes);
    }
    facts.not_before = wall_of(X509_get0_notBefore(certificate));
    facts.not_after = wall_of(X509_get0_notAfter(certificate));
    return facts;
}

bool names_host(X509* certificate, const std::string& host) {
    return X509_check_ip_asc(certificate, host.c_str(), 0) == 1 ||
           X509_check_host(certificate, host.data(), host.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

std::string peer_fault(X509* certificate, const PeerRule& rule) {
    const std::string uri = uri_of(certificate);
    const auto identity = parse_identity(uri);
    const bool is_of_role = identity && identity->trust_domain == rule.trust_domain && identity->role == rule.role;
    bool names_hosts = false;
    for (const std::string& name : rule.names) {
        if (name.starts_with("dns:") || name.starts_with("ip:")) {
            names_hosts = true;
            const std::string host = name.substr(name.find(':') + 1);
            const bool is_it = name.front() == 'd' ? X509_check_host(certificate, host.data(), host.size(),
                                                                     X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1
                                                   : X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
            // Who has a name of weir may not pass for another role by a host's name beside it.
            if (is_it && (uri.empty() || is_of_role)) return {};
        } else if (is_of_role && identity->name == name) {
            return {};
        }
    }
    if (!is_of_role) {
        if (names_hosts && uri.empty()) return "none of its names is one that is expected";
        return "its name is not spiffe://" + rule.trust_domain + "/" + rule.role + "/NAME but \"" + uri + '"';
    }
    return rule.names.empty() ? std::string() : "\"" + uri + "\" is none of the names that are expected";
}

}  // namespace weir::tls
