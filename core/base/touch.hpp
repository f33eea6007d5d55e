// touch: has the kernel give memory its pages now, so that no pinned thread waits for one when load first reaches it.
//
// Thread    Any, also beside others that use it: what it holds stays as it is.
// Failure   A kernel before 5.14 knows no such call: then whoever comes first waits, as without.
// Source    madvise(2), MADV_POPULATE_WRITE
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace weir {

void touch(const void* begin, std::size_t bytes) noexcept;
// The code and the variables of this program and its libraries: what runs for the first time does not wait for its pages then.
void touch_program() noexcept;
// So much of the calling thread's stack as a runner's deepest call needs.
void touch_stack() noexcept;

// What it was made for, used or not.
template <class T, class Allocator>
void touch(const std::vector<T, Allocator>& made) noexcept {
    touch(made.data(), made.capacity() * sizeof(T));
}

}  // namespace weir
