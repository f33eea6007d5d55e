// TlsConfig: the table [tls] of a configuration: which files, and what they are used for.
//
// Thread    Start and control threads.
#pragma once

#include <string>
#include <vector>

#include "core/control/config_reader.hpp"
#include "core/tls/files.hpp"

namespace weir::control {

inline constexpr std::size_t central_names_max = 64;
// For budgets: what a connection holds with TLS (OpenSSL's part, some 55 KiB, and the output buffer), and how many not agreed yet.
inline constexpr std::uint64_t tls_connection_bytes = 80U << 10;
inline constexpr std::uint64_t tls_handshakes_max = 256;

struct TlsConfig {
    tls::TlsFiles files;
    // An edge's only.
    bool uplink = true;      // with files: connections to central
    bool producers = false;  // with files: listeners for producers, who need no certificate
    std::vector<std::string> central_names;

    [[nodiscard]] bool is_for_uplink() const { return files.is_set() && uplink; }
    [[nodiscard]] bool is_for_producers() const { return files.is_set() && producers; }
    bool operator==(const TlsConfig&) const = default;
};
// Checks what can be known without the files: those are read at start, and again whenever they change.
void read_tls(ConfigTable& table, TlsConfig& config, bool is_edge);

}  // namespace weir::control
