#include "core/base/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace weir {
namespace {

constexpr std::uint32_t polynomial = 0x82f63b78;

constexpr std::array<std::uint32_t, 256> make_byte_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? polynomial : 0);
        table[i] = crc;
    }
    return table;
}
constexpr auto byte_table = make_byte_table();

#if defined(__x86_64__)

// A linear map of the CRC register: column i is what bit i alone becomes.
using Matrix = std::array<std::uint32_t, 32>;

constexpr std::uint32_t apply(const Matrix& matrix, std::uint32_t vector) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < 32; ++i) {
        if (((vector >> i) & 1U) != 0) sum ^= matrix[i];
    }
    return sum;
}

constexpr Matrix square(const Matrix& matrix) {
    Matrix product{};
    for (std::size_t i = 0; i < 32; ++i) product[i] = apply(matrix, matrix[i]);
    return product;
}

// What 2^log2_bytes zero bytes do to the register, as one table per register byte: four look-ups instead of 32 steps.
using ShiftTable = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr ShiftTable make_shift_table(unsigned log2_bytes) {
    Matrix matrix{};
    matrix[0] = polynomial;  // one zero bit
    for (std::size_t i = 1; i < 32; ++i) matrix[i] = 1U << (i - 1);
    for (unsigned i = 0; i < log2_bytes + 3; ++i) matrix = square(matrix);
    ShiftTable table{};
    for (std::size_t part = 0; part < 4; ++part) {
        for (std::uint32_t byte = 0; byte < 256; ++byte) table[part][byte] = apply(matrix, byte << (8 * part));
    }
    return table;
}

constexpr unsigned long_block_log2 = 12;  // batches: the joining of streams costs under 1 % here
constexpr unsigned short_block_log2 = 8;  // large events
constexpr std::size_t stride_bytes = 64;  // of each stream, unrolled: half of the instructions were the loop's
static_assert((1U << short_block_log2) % stride_bytes == 0);
constexpr ShiftTable long_shift = make_shift_table(long_block_log2);
constexpr ShiftTable short_shift = make_shift_table(short_block_log2);

std::uint64_t shift(const ShiftTable& table, std::uint64_t crc) noexcept {
    return table[0][crc & 0xff] ^ table[1][(crc >> 8) & 0xff] ^ table[2][(crc >> 16) & 0xff] ^
           table[3][(crc >> 24) & 0xff];
}

std::uint64_t word_at(const std::byte* at) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// The crc32 instruction takes three cycles but one may begin each cycle: three streams keep it busy. Takes whole groups
// of three blocks from the front of [front, end) and moves `front` past them.
__attribute__((target("sse4.2"))) std::uint64_t crc_in_streams(std::uint64_t crc, const std::byte*& front,
                                                               const std::byte* end, unsigned block_log2,
                                                               const ShiftTable& table) noexcept {
    const std::byte* at = front;
    const std::size_t block = std::size_t{1} << block_log2;
    while (static_cast<std::size_t>(end - at) >= 3 * block) {
        std::uint64_t second = 0;
        std::uint64_t third = 0;
        for (const std::byte* stop = at + block; at < stop; at += stride_bytes) {
#pragma GCC unroll 8
            for (std::size_t word = 0; word < stride_bytes; word += 8) {
                crc = _mm_crc32_u64(crc, word_at(at + word));
                second = _mm_crc32_u64(second, word_at(at + block + word));
                third = _mm_crc32_u64(third, word_at(at + 2 * block + word));
            }
        }
        crc = shift(table, crc) ^ second;
        crc = shift(table, crc) ^ third;
        at += 2 * block;
    }
    front = at;
    return crc;
}

// The last bytes, one stream. `crc` is the register: neither it nor what is returned is inverted.
__attribute__((target("sse4.2"), always_inline)) inline std::uint32_t crc_of_tail(std::uint64_t crc,
                                                                                  const std::byte* at,
                                                                                  const std::byte* end) noexcept {
    for (; end - at >= 8; at += 8) crc = _mm_crc32_u64(crc, word_at(at));
    auto narrow = static_cast<std::uint32_t>(crc);
    if (end - at >= 4) {
        std::uint32_t half = 0;
        std::memcpy(&half, at, sizeof half);
        narrow = _mm_crc32_u32(narrow, half);
        at += sizeof half;
    }
    for (; at < end; ++at) narrow = _mm_crc32_u8(narrow, std::to_integer<unsigned char>(*at));
    return narrow;
}

__attribute__((target("sse4.2"), noinline)) std::uint32_t crc32c_long(std::uint32_t seed, ConstBytes bytes) noexcept {
    const std::byte* at = bytes.data();
    const std::byte* const end = at + bytes.size();
    std::uint64_t crc = ~seed;
    crc = crc_in_streams(crc, at, end, long_block_log2, long_shift);
    crc = crc_in_streams(crc, at, end, short_block_log2, short_shift);
    return ~crc_of_tail(crc, at, end);
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::uint32_t seed, ConstBytes bytes) noexcept {
    if (bytes.size() >= (3U << short_block_log2)) return crc32c_long(seed, bytes);
    return ~crc_of_tail(static_cast<std::uint32_t>(~seed), bytes.data(), bytes.data() + bytes.size());
}

#endif

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t seed, ConstBytes bytes) noexcept {
    std::uint32_t crc = ~seed;
    for (const std::byte byte : bytes)
        crc = (crc >> 8) ^ byte_table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
    return ~crc;
}

std::uint32_t crc32c(std::uint32_t seed, ConstBytes bytes) noexcept {
#if defined(__x86_64__)
    // One look at a word. Before libgcc's own start-up code it is 0: the same checksum, more slowly.
    if (__builtin_cpu_supports("sse4.2") != 0) return crc32c_sse42(seed, bytes);
#endif
    return crc32c_portable(seed, bytes);
}

}  // namespace weir
