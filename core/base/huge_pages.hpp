// HugePages: an allocator for large tables that are looked up at random: on pages of 2 MiB where the kernel gives them, so that a look-up
// misses the cache once, and not the translation of its address besides.
//
// Thread    Any; for tables that are made at start.
// Failure   No memory: std::bad_alloc, as with the heap. No such pages (madvise says no): ordinary ones, and nobody is told.
// Cost      Tables of less than a page of 2 MiB come from the heap. A larger one takes up to a page more than it asked for.
// Source    madvise(2), MADV_HUGEPAGE; /sys/kernel/mm/transparent_hugepage/enabled must say madvise or always.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace weir {

inline constexpr std::size_t huge_page_bytes = 2U << 20;

template <class T>
struct HugePages {
    using value_type = T;
    HugePages() = default;
    template <class Other>
    explicit HugePages(const HugePages<Other>&) {}

    [[nodiscard]] T* allocate(std::size_t count) {
        if (count > SIZE_MAX / sizeof(T) - 2 * huge_page_bytes) throw std::bad_alloc();
        if (!is_large(count)) return static_cast<T*>(::operator new(count * sizeof(T), alignment));
        const std::size_t bytes = mapped_bytes(count);
        // One page more, so that a whole number of aligned ones lies in it; what is outside them is given back.
        void* const mapped =
            ::mmap(nullptr, bytes + huge_page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) throw std::bad_alloc();
        auto* const begin = static_cast<std::byte*>(mapped);
        const std::size_t past = reinterpret_cast<std::uintptr_t>(begin) % huge_page_bytes;
        const std::size_t before = past == 0 ? 0 : huge_page_bytes - past;
        if (before > 0) ::munmap(begin, before);
        if (before < huge_page_bytes) ::munmap(begin + before + bytes, huge_page_bytes - before);
        (void)::madvise(begin + before, bytes, MADV_HUGEPAGE);
        return reinterpret_cast<T*>(begin + before);
    }
    void deallocate(T* table, std::size_t count) noexcept {
        if (!is_large(count)) return ::operator delete(table, alignment);
        ::munmap(table, mapped_bytes(count));
    }
    template <class Other>
    bool operator==(const HugePages<Other>&) const {
        return true;
    }

  private:
    static_assert(alignof(T) <= huge_page_bytes);
    static constexpr std::align_val_t alignment{alignof(T)};
    static bool is_large(std::size_t count) { return count * sizeof(T) >= huge_page_bytes; }
    static std::size_t mapped_bytes(std::size_t count) {
        return (count * sizeof(T) + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
    }
};

template <class T>
using HugeVector = std::vector<T, HugePages<T>>;

}  // namespace weir
