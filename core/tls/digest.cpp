#include "core/tls/digest.hpp"

#include <sys/random.h>

#include "core/base/assert.hpp"
#include "core/tls/openssl.hpp"

namespace weir::tls {
namespace {

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

Digest sha256(std::string_view text) {
    Digest digest{};
    unsigned int count = 0;
    const int done = EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), &count,
                                EVP_sha256(), nullptr);
    WEIR_ASSERT(done == 1 && count == digest_bytes);
    return digest;
}

std::string hex_of(const Digest& digest) {
    std::string digits;
    for (const std::byte one : digest) {
        const auto value = std::to_integer<unsigned>(one);
        digits += "0123456789abcdef"[value >> 4U];
        digits += "0123456789abcdef"[value & 15U];
    }
    return digits;
}

std::optional<Digest> digest_of_hex(std::string_view digits) {
    if (digits.size() != 2 * digest_bytes) return std::nullopt;
    Digest digest{};
    for (std::size_t i = 0; i < digest_bytes; ++i) {
        const int high = digit_of(digits[2 * i]), low = digit_of(digits[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        digest[i] = static_cast<std::byte>(high << 4 | low);
    }
    return digest;
}

bool is_equal(const Digest& left, const Digest& right) noexcept {
    return CRYPTO_memcmp(left.data(), right.data(), digest_bytes) == 0;
}

bool fill_random(Bytes bytes) noexcept {
    while (!bytes.empty()) {
        const ssize_t count = ::getrandom(bytes.data(), bytes.size(), 0);
        if (count <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
}

void wipe(Bytes bytes) noexcept {
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

}  // namespace weir::tls
