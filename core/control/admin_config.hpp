// AdminConfig: the table [admin] of a configuration: who may use the admin port, and how much.
//
// Thread    Start and control threads.
#pragma once

#include <string>

#include "core/control/admin_guard.hpp"
#include "core/control/config_reader.hpp"
#include "core/tls/files.hpp"
#include "core/tls/identity.hpp"

namespace weir::control {

// Whether those who come are asked for a certificate: never; they may show one; they must.
enum class ClientCertificate : std::uint8_t { none, asked, required };

struct AdminConfig {
    std::string tokens;  // a file, mode 0600 (token_book.hpp); empty: everyone on this machine may do everything
    AdminLimits limits;
    std::uint32_t connections_max = 64;  // at once; more are closed as they come
    std::uint64_t audit_bytes_max = audit_bytes_default;
    tls::TlsFiles files;  // of the port's own TLS; not set: plain HTTP, on loopback only
    ClientCertificate client_certificate = ClientCertificate::none;

    // Beyond loopback nobody reads along, and everybody is asked who he is.
    [[nodiscard]] bool may_leave_loopback() const { return files.is_set() && !tokens.empty(); }
    [[nodiscard]] tls::PeerRule client_rule() const;
    bool operator==(const AdminConfig&) const = default;
};
// The files themselves are read at start, and again whenever they change.
// `peers`: [tls], whose trust domain and deny list hold here too where [admin] names none.
void read_admin(ConfigTable& table, AdminConfig& config, const tls::TlsFiles& peers);

}  // namespace weir::control
