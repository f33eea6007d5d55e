// Digest: SHA-256, comparison in constant time, and random bytes for secrets.
//
// Thread    Any.
// Source    FIPS 180-4; OpenSSL's EVP and CRYPTO_memcmp.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/types.hpp"

namespace weir::tls {

inline constexpr std::size_t digest_bytes = 32;
using Digest = std::array<std::byte, digest_bytes>;

[[nodiscard]] Digest sha256(std::string_view text);
[[nodiscard]] std::string hex_of(const Digest& digest);  // 64 lower-case digits
[[nodiscard]] std::optional<Digest> digest_of_hex(std::string_view digits);
// The time taken says nothing of where they differ.
[[nodiscard]] bool is_equal(const Digest& left, const Digest& right) noexcept;
// From the kernel's generator; false: there is none.
[[nodiscard]] bool fill_random(Bytes bytes) noexcept;
// Zeros, whatever the compiler thinks of it.
void wipe(Bytes bytes) noexcept;

}  // namespace weir::tls
