// Credentials: what the files of [tls] hold, read and checked whole; and the contexts that are made of them.
//
// Thread    Start and control threads. A context is used by the runner that it is handed to (endpoint.hpp).
// Bounds    Files of credential_bytes_max. The key's mode must be 0600 or stricter; it is never logged or printed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/tls/deny_list.hpp"
#include "core/tls/files.hpp"
#include "core/tls/identity.hpp"
#include "core/tls/openssl.hpp"

namespace weir::tls {

inline constexpr std::size_t credential_bytes_max = 1U << 20;
inline constexpr std::size_t deny_list_bytes_max = 16U << 20;

// What a runner needs for the handshakes of one kind of socket; never changed, only replaced.
struct TlsState {
    Side side = Side::server;
    ContextPtr context;
    PeerRule rule;
    DenyList denied;
    WallNs time_floor{};  // a clock that says less has not been set: this is taken for now
};

// No certificate is judged by an earlier time: when this was built.
[[nodiscard]] WallNs build_time() noexcept;
[[nodiscard]] inline WallNs credible_wall(WallNs wall, WallNs time_floor) {
    return wall < time_floor ? time_floor : wall;
}

class Credentials {
  public:
    // `role` and `name`: whom the certificate must be of; an empty name: anyone of that role; an empty role: anyone. The error names
    // the file and says why.
    [[nodiscard]] static Result<std::unique_ptr<Credentials>> load(const TlsFiles& files, std::string_view role,
                                                                   std::string_view name);

    [[nodiscard]] const CertificateFacts& facts() const { return facts_; }
    // TLS 1.3 only, no tickets, no early data.
    [[nodiscard]] Result<ContextPtr> make_context(Side side, const PeerRule& rule) const;

  private:
    X509Ptr certificate_;
    std::vector<X509Ptr> chain_;
    KeyPtr key_;
    std::vector<X509Ptr> authorities_;
    CertificateFacts facts_;
};

// A client that asks the server for a host's name or address. It shows the certificate of `files`, whoever that is of, or none.
[[nodiscard]] Result<ContextPtr> make_host_client(const TlsFiles& files, const std::string& host);
// One that shows none: a producer's.
[[nodiscard]] Result<ContextPtr> make_anonymous_client(const std::string& ca_file, const std::string& host);

// Whether the certificate that is shown is one for that host.
[[nodiscard]] bool serves_host(const TlsState& state, const std::string& host);

// An empty path: an empty list.
[[nodiscard]] Result<DenyList> load_deny_list(const std::string& path);

}  // namespace weir::tls
