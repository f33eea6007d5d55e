#include "core/control/admin_config.hpp"

namespace weir::control {
namespace {

constexpr const char* operator_role = "operator";

void read_tls_of_admin(ConfigTable& table, AdminConfig& config, const tls::TlsFiles& peers) {
    auto& files = config.files;
    table.text("certificate", files.certificate);
    table.text("key", files.key);
    table.text("client_ca", files.ca);
    table.text("trust_domain", files.trust_domain);
    table.text("deny_list", files.deny_list);
    table.choice("client_certificate", config.client_certificate,
                 {{"none", ClientCertificate::none},
                  {"asked", ClientCertificate::asked},
                  {"required", ClientCertificate::required}});
    const bool is_any_set = !files.certificate.empty() || !files.key.empty() || !files.ca.empty();
    const bool asks = config.client_certificate != ClientCertificate::none;
    if (files.certificate.empty() != files.key.empty() || (files.certificate.empty() && (is_any_set || asks))) {
        const char* const missing = files.certificate.empty() ? "certificate" : "key";
        table.fault(missing, "is missing: TLS on the admin port needs certificate and key");
        return;
    }
    if (asks && files.ca.empty()) table.fault("client_ca", "is missing: client_certificate asks for certificates");
    if (!asks && !files.ca.empty())
        table.fault("client_ca", R"(is for nothing: client_certificate must be "asked" or "required")");
    if (asks && config.tokens.empty())
        table.fault("tokens", "is missing: the file says which certificate has which role");
    if (!files.is_set()) return;
    if (files.trust_domain.empty()) files.trust_domain = peers.trust_domain;
    if (files.deny_list.empty()) files.deny_list = peers.deny_list;
    if (asks && files.trust_domain.empty()) {
        table.fault("trust_domain", "is missing, here and in [tls]: whose operators may come");
    } else if (!files.trust_domain.empty() && !tls::is_trust_domain(files.trust_domain)) {
        table.fault("trust_domain", "must be of a-z, 0-9, '.', '-' and '_'");
    }
}

}  // namespace

tls::PeerRule AdminConfig::client_rule() const {
    return {.trust_domain = files.trust_domain,
            .role = operator_role,
            .names = {},
            .is_optional = client_certificate != ClientCertificate::required,
            .is_asked = client_certificate != ClientCertificate::none};
}

void read_admin(ConfigTable& table, AdminConfig& config, const tls::TlsFiles& peers) {
    AdminLimits& limits = config.limits;
    table.text("tokens", config.tokens);
    table.number("connections_max", config.connections_max, Bounds{1, 65'536, "connections"});
    table.number("requests_per_second", limits.requests_per_second, Bounds{10, 1'000'000, "requests"});
    table.number("failures_max", limits.failures_max, Bounds{1, 1000, "failures"});
    table.number("backoff_ms", limits.backoff_ms, Bounds{10, 600'000, "ms"});
    table.number("backoff_ms_max", limits.backoff_ms_max, Bounds{10, 3'600'000, "ms"});
    table.number("audit_bytes_max", config.audit_bytes_max, Bounds{1U << 20, 1ULL << 40, "bytes"});
    read_tls_of_admin(table, config, peers);
    if (limits.backoff_ms_max < limits.backoff_ms) {
        table.fault("backoff_ms_max",
                    "must not be less than admin.backoff_ms, " + std::to_string(limits.backoff_ms) + " ms");
    }
}

}  // namespace weir::control
