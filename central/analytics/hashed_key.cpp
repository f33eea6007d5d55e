#include "central/analytics/hashed_key.hpp"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/base/assert.hpp"

namespace weir::analytics {
namespace {

std::uint64_t random_seed() {
    std::uint64_t seed = 0;
    WEIR_ASSERT(::getrandom(&seed, sizeof seed, 0) == sizeof seed);
    return seed;
}

}  // namespace

std::uint64_t hash_of(std::string_view text) {
    return XXH3_64bits(text.data(), text.size());
}

HashedKey::HashedKey(std::string_view text) : text_(text) {
    static const std::uint64_t seed = random_seed();
    hash_ = static_cast<std::uint32_t>(XXH3_64bits_withSeed(text.data(), text.size(), seed));
}

}  // namespace weir::analytics
