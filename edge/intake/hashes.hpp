// Hashes: of what intake knows events by. xxHash's code is compiled into the one file behind this, so that a hash of a few dozen bytes is
// no row of calls.
//
// Source    XXH3 (xxhash.com), 64 and 128 bits; the values are those of libxxhash, and fingerprints lie in files.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "edge/intake/event_vector.hpp"

namespace weir::edge {

[[nodiscard]] std::uint64_t hash_of(std::string_view text) noexcept;

// Of the bytes of `source`, a zero, those of `id`: ("a", "bc") and ("ab", "c") are two. Precondition: of lengths that wire allows.
[[nodiscard]] Fingerprint fingerprint_of(std::string_view source, std::string_view id, std::uint64_t seed) noexcept;

// Of a whole vector: all texts are put down first, and hashed then. A hash that reads what was written in other pieces a moment ago waits until
// the writes have left the processor's pipeline, and with it all that comes next: one by one, each event waited for the one before.
class FingerprintTexts {
  public:
    void clear() noexcept { count_ = 0; }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    // As the one at count(). Precondition: as fingerprint_of(); at most vector_events_max.
    void add(std::string_view source, std::string_view id) noexcept;
    // fingerprint_of() the one at `index`.
    [[nodiscard]] Fingerprint hash(std::uint32_t index, std::uint64_t seed) const noexcept;

  private:
    std::uint32_t count_ = 0;
    std::array<std::uint32_t, vector_events_max + 1> begins_{};  // each where the one before ends
    std::array<char, std::size_t{vector_events_max} * (wire::source_bytes_max + 1 + wire::id_bytes_max)> bytes_;
};

}  // namespace weir::edge
