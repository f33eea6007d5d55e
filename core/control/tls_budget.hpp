// For budgets: what of strangers' bytes waits until their handshake has its turn (core/tls).
#pragma once

#include <cstdint>

namespace weir::control {

inline constexpr std::uint64_t tls_stranger_bytes = 16U << 10;  // each of tls_handshakes_max; tls::handshake_bytes_max

}  // namespace weir::control
