#include "core/base/siphash.hpp"

#include <bit>
#include <cstring>

namespace weir {
namespace {

struct State {
    std::uint64_t v0, v1, v2, v3;
    void rounds(int count) {
        for (; count > 0; --count) {
            v0 += v1;
            v1 = std::rotl(v1, 13) ^ v0;
            v0 = std::rotl(v0, 32);
            v2 += v3;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
    }
    void take(std::uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    }
    [[nodiscard]] std::uint64_t folded() const { return v0 ^ v1 ^ v2 ^ v3; }
};

}  // namespace

SipHash128 siphash_128(const SipKey& key, std::string_view bytes) noexcept {
    State state{key.low ^ 0x736f6d6570736575ULL, key.high ^ 0x646f72616e646f6dULL ^ 0xeeU,
                key.low ^ 0x6c7967656e657261ULL, key.high ^ 0x7465646279746573ULL};
    const std::uint64_t length = bytes.size();
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), sizeof word);
        state.take(word);
    }
    std::uint64_t last = length << 56U;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        last |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    state.take(last);
    state.v2 ^= 0xeeU;
    state.rounds(4);
    const std::uint64_t low = state.folded();
    state.v1 ^= 0xddU;
    state.rounds(4);
    const std::uint64_t high = state.folded();
    SipHash128 hash;
    std::memcpy(hash.data(), &low, sizeof low);
    std::memcpy(hash.data() + sizeof low, &high, sizeof high);
    return hash;
}

}  // namespace weir
