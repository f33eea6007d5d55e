// What the peers of TLS did that must be in the audit trail: a false claim, a denied certificate, a failed handshake.
//
// Thread    Control thread.
#pragma once

#include "core/control/admin_guard.hpp"
#include "core/control/tls_watch.hpp"

namespace weir::control {

// From now on what `watch` notes of outsiders is recorded; `guard` outlives it.
void record_outsiders(TlsWatch& watch, AdminGuard& guard);

}  // namespace weir::control
