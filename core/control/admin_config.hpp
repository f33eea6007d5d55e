// AdminConfig: the table [admin] of a configuration: who may use the admin port, and how much.
//
// Thread    Start and control threads.
#pragma once

#include <string>

#include "core/control/admin_guard.hpp"
#include "core/control/config_reader.hpp"

namespace weir::control {

struct AdminConfig {
    std::string tokens;  // a file, mode 0600 (token_book.hpp); empty: everyone on this machine may do everything
    AdminLimits limits;
    std::uint32_t connections_max = 64;  // at once; more are closed as they come
    std::uint64_t audit_bytes_max = audit_bytes_default;
    bool operator==(const AdminConfig&) const = default;
};
// The file itself is read at start, and again whenever it changes.
void read_admin(ConfigTable& table, AdminConfig& config);

}  // namespace weir::control
