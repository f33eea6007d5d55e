// Hashes: of what intake knows events by. xxHash's code is compiled into the one file behind this, so that a hash of a few dozen bytes is
// no row of calls.
//
// Source    XXH3 (xxhash.com), 64 and 128 bits; the values are those of libxxhash, and fingerprints lie in files.
#pragma once

#include <cstdint>
#include <string_view>

#include "edge/intake/event_vector.hpp"

namespace weir::edge {

[[nodiscard]] std::uint64_t hash_of(std::string_view text) noexcept;

// Of the bytes of `source`, a zero, those of `id`: ("a", "bc") and ("ab", "c") are two. Precondition: of lengths that wire allows.
[[nodiscard]] Fingerprint fingerprint_of(std::string_view source, std::string_view id, std::uint64_t seed) noexcept;

}  // namespace weir::edge
