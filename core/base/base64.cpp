#include "core/base/base64.hpp"

#include <algorithm>
#include <cstdint>

namespace weir {
namespace {

constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void append_base64(std::string_view bytes, std::string& out) {
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i) out += i <= count ? digits[(group >> (18 - 6 * i)) & 63U] : '=';
    }
}

std::optional<std::string> read_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes;
    for (std::size_t at = 0; at < text.size(); at += 4) {
        const std::string_view four = text.substr(at, 4);
        const std::size_t padding = at + 4 == text.size() ? 4 - four.find_last_not_of('=') - 1 : 0;
        if (padding > 2) return std::nullopt;
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const std::size_t digit = i + padding >= 4 ? 0 : digits.find(four[i]);
            if (digit == digits.npos) return std::nullopt;
            group = group << 6 | static_cast<std::uint32_t>(digit);
        }
        // Bits beyond the last byte must be 0: one text for each run of bytes.
        if (padding > 0 && (group & ((1U << (8 * padding)) - 1)) != 0) return std::nullopt;
        for (std::size_t i = 0; i + padding < 3; ++i) bytes += static_cast<char>(group >> (16 - 8 * i) & 0xffU);
    }
    return bytes;
}

}  // namespace weir
