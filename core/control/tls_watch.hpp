// TlsWatch: a daemon's credentials: opened at start, looked after by its control loop, told of in its log, metrics and health.
//
// Thread    Control thread; metrics() and health() the admin server's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/io/io.hpp"
#include "core/tls/files.hpp"
#include "core/tls/identity.hpp"

namespace weir::tls {
class CredentialKeeper;
class Endpoint;
struct Note;
}  // namespace weir::tls

namespace weir::control {

inline constexpr std::string_view admin_label = "admin";

class TlsWatch {
  public:
    ~TlsWatch();
    TlsWatch(const TlsWatch&) = delete;
    TlsWatch& operator=(const TlsWatch&) = delete;
    // Null where the files are not set. `who`: "edge" or "central", as the metrics' names begin and the certificate's role must be.
    [[nodiscard]] static Result<std::unique_ptr<TlsWatch>> open(const tls::TlsFiles& files, std::string_view who,
                                                                std::string_view name);

    // Of an admin port: a server's, of any name. `who` as the metrics' names begin: "edge_admin".
    [[nodiscard]] static Result<std::unique_ptr<TlsWatch>> open_admin(const tls::TlsFiles& files, std::string_view who,
                                                                      tls::PeerRule rule);

    // Before the runners start. `label` tells its metrics from others: "uplink".
    [[nodiscard]] Status add(std::string label, tls::Side side, tls::PeerRule rule);
    // Of the endpoints with these labels, one of each side at most; the plain Io where there is none.
    using MakeIo = std::function<Result<std::unique_ptr<io::Io>>(io::IoChoice, const io::IoOptions&)>;
    [[nodiscard]] MakeIo io_maker(std::initializer_list<std::string_view> labels) const;

    // With this label; null where there is none. Lives as long as this.
    [[nodiscard]] tls::Endpoint* endpoint(std::string_view label) const;

    // Whoever did not show who he is, or called himself another: for the audit trail. Called by look().
    using TellOutsider = std::function<void(const tls::Note& note)>;
    void tell_outsiders(TellOutsider tell) { tell_outsider_ = std::move(tell); }
    // Every turn of the control loop; `is_asked`: SIGHUP came.
    void look(bool is_asked);

    [[nodiscard]] std::string metrics() const;
    // Empty, or a line for /readyz: a certificate that runs out stops nothing here, but peers will not take it.
    [[nodiscard]] std::string health() const;

  private:
    TlsWatch(std::string_view who, std::unique_ptr<tls::CredentialKeeper> keeper);

    std::string who_;
    std::string subject_ = "the certificate";  // in words
    TellOutsider tell_outsider_;
    std::unique_ptr<tls::CredentialKeeper> keeper_;
    std::vector<std::string> labels_;  // of the keeper's endpoints
};

}  // namespace weir::control
