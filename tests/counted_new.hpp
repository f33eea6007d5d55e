// operator new that counts (allocation_count.hpp). One file of a program includes this, and not under a sanitizer, which keeps operator new
// for itself.
#pragma once

#include <cstdlib>
#include <new>

#include "tests/allocation_count.hpp"

[[gnu::noinline]] void* operator new(std::size_t bytes) {
    if (weir::test::counts_allocations) ++weir::test::allocations;
    void* memory = std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
