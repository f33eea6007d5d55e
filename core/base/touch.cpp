#include "core/base/touch.hpp"

#include <link.h>

#include <algorithm>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

namespace weir {
namespace {

constexpr std::size_t stack_bytes = 256U << 10;

void touch_range(std::uintptr_t begin, std::uintptr_t end, int advice) noexcept {
    const auto page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    begin = begin / page_bytes * page_bytes;
    end = (end + page_bytes - 1) / page_bytes * page_bytes;
    if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

int touch_object(dl_phdr_info* object, std::size_t, void*) noexcept {
    std::uintptr_t read_only_until = 0;  // written while it was loaded, and not since
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& part = object->dlpi_phdr[i];
        if (part.p_type == PT_GNU_RELRO) read_only_until = object->dlpi_addr + part.p_vaddr + part.p_memsz;
    }
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& part = object->dlpi_phdr[i];
        if (part.p_type != PT_LOAD) continue;
        const std::uintptr_t begin = object->dlpi_addr + part.p_vaddr;
        const std::uintptr_t end = begin + part.p_memsz;
        if ((part.p_flags & PF_W) == 0) {
            touch_range(begin, end, MADV_POPULATE_READ);
        } else {
            touch_range(std::max(begin, read_only_until), end, MADV_POPULATE_WRITE);
        }
    }
    return 0;
}

}  // namespace

void touch(const void* begin, std::size_t bytes) noexcept {
    const auto first = reinterpret_cast<std::uintptr_t>(begin);
    if (bytes > 0) touch_range(first, first + bytes, MADV_POPULATE_WRITE);
}

void touch_program() noexcept {
    ::dl_iterate_phdr(&touch_object, nullptr);
}

[[gnu::noinline]] void touch_stack() noexcept {
    volatile std::byte deepest[stack_bytes];
    const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    for (std::size_t at = 0; at < stack_bytes; at += page_bytes) deepest[at] = std::byte{0};
    static_cast<void>(deepest[0]);
}

}  // namespace weir
