// On a pinned thread nothing is allocated: neither by us nor by OpenSSL, whose allocator this program takes for itself.
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <new>

#include "core/journal/at_rest.hpp"

namespace {
std::uint64_t allocations = 0;
}

void* operator new(std::size_t bytes) {
    ++allocations;
    if (void* memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace weir::journal {
namespace {

void* counted_malloc(std::size_t bytes, const char*, int) {
    ++allocations;
    return std::malloc(bytes);
}
void* counted_realloc(void* memory, std::size_t bytes, const char*, int) {
    ++allocations;
    return std::realloc(memory, bytes);
}
void counted_free(void* memory, const char*, int) {
    std::free(memory);
}
const int is_taken = CRYPTO_set_mem_functions(&counted_malloc, &counted_realloc, &counted_free);

TEST(AtRestMemory, SealingOpeningAndDerivingAllocateNothing) {
    ASSERT_EQ(is_taken, 1);
    Keyring ring;
    ring.add(1, SecretBytes(master_key_bytes));
    static_cast<void>(use_keyring(std::move(ring)));
    const std::uint64_t before_any = allocations;
    RecordCipher sealer(1), opener(1);
    ASSERT_GT(allocations, before_any);  // it does count
    std::array<std::byte, 512> batch{}, sealed{}, opened{};
    RecordHeader header;
    header.batch_bytes = batch.size();
    RecordSeal seal{.life = {}, .key_id = 1, .tag = {}};
    const std::uint64_t before = allocations;
    std::uint64_t whole = 0;
    for (std::uint64_t i = 0; i < 100; ++i) {
        header.position = i * 4096;
        const std::uint64_t segment_index = i / 10;
        const bool is_sealed = sealer.seal(segment_index, header, batch, sealed.data(), seal);
        if (is_sealed && opener.open(segment_index, header, seal, sealed, opened.data()) == RecordCipher::Opened::whole)
            ++whole;
        sealed[i] ^= std::byte{1};
        if (opener.open(segment_index, header, seal, sealed, opened.data()) == RecordCipher::Opened::forged) ++whole;
        // One cipher for both ways, as no one uses it.
        if (sealer.open(segment_index, header, seal, sealed, opened.data()) == RecordCipher::Opened::forged) ++whole;
    }
    const std::uint64_t after = allocations;
    EXPECT_EQ(after - before, 0U);
    EXPECT_EQ(whole, 300U);
}

}  // namespace
}  // namespace weir::journal
