// SipHash-2-4 with 128 bits: a keyed hash that nobody without the key can compute or turn round by trying values.
//
// Cost      About 20 ns for 8 bytes; allocates nothing.
// Source    Aumasson, Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012); tests/base holds its published vectors.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weir {

struct SipKey {
    std::uint64_t low = 0;   // the key's first 8 bytes, little-endian
    std::uint64_t high = 0;  // the last 8
};
using SipHash128 = std::array<unsigned char, 16>;
[[nodiscard]] SipHash128 siphash_128(const SipKey& key, std::string_view bytes) noexcept;

}  // namespace weir
