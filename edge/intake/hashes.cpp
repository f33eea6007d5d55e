#include "edge/intake/hashes.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstring>

#include "core/base/assert.hpp"

namespace weir::edge {
namespace {

// Two copies of `step` bytes that meet or overlap.
template <std::size_t step>
void copy_ends(char* to, std::string_view text) noexcept {
    std::memcpy(to, text.data(), step);
    std::memcpy(to + text.size() - step, text.data() + text.size() - step, step);
}

// A few dozen bytes at most, as a rule: cheaper in place than by a call that looks at length and alignment first.
char* put(char* to, std::string_view text) noexcept {
    if (text.size() >= 16) {
        for (std::size_t at = 16; at < text.size() - 16; at += 16) std::memcpy(to + at, text.data() + at, 16);
        copy_ends<16>(to, text);
    } else if (text.size() >= 8) {
        copy_ends<8>(to, text);
    } else if (text.size() >= 4) {
        copy_ends<4>(to, text);
    } else {
        for (std::size_t at = 0; at < text.size(); ++at) to[at] = text[at];
    }
    return to + text.size();
}

// Where the text ends.
char* join(char* to, std::string_view source, std::string_view id) noexcept {
    WEIR_ASSERT(source.size() <= wire::source_bytes_max && id.size() <= wire::id_bytes_max);
    to = put(to, source);
    *to++ = '\0';
    return put(to, id);
}

// No copy of it in each caller: xxHash's function goes into this one, instead of being called by both.
[[gnu::noinline]] Fingerprint hash_text(const char* begin, const char* end, std::uint64_t seed) noexcept {
    const XXH128_hash_t hash = XXH3_128bits_withSeed(begin, static_cast<std::size_t>(end - begin), seed);
    return {hash.high64, hash.low64};
}

}  // namespace

std::uint64_t hash_of(std::string_view text) noexcept {
    return XXH3_64bits(text.data(), text.size());
}

Fingerprint fingerprint_of(std::string_view source, std::string_view id, std::uint64_t seed) noexcept {
    std::array<char, wire::source_bytes_max + 1 + wire::id_bytes_max> text;
    return hash_text(text.data(), join(text.data(), source, id), seed);
}

void FingerprintTexts::add(std::string_view source, std::string_view id) noexcept {
    WEIR_ASSERT(count_ < vector_events_max);
    const char* const end = join(bytes_.data() + begins_[count_], source, id);
    begins_[++count_] = static_cast<std::uint32_t>(end - bytes_.data());
}

Fingerprint FingerprintTexts::hash(std::uint32_t index, std::uint64_t seed) const noexcept {
    WEIR_ASSERT(index < count_);
    return hash_text(bytes_.data() + begins_[index], bytes_.data() + begins_[index + 1], seed);
}

}  // namespace weir::edge
