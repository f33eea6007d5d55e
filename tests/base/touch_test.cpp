#include "core/base/touch.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <thread>

namespace weir {
namespace {

long faults() {
    rusage used{};
    EXPECT_EQ(::getrusage(RUSAGE_THREAD, &used), 0);
    return used.ru_minflt + used.ru_majflt;
}

// gcc says so by a macro, clang by a feature.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif
#else
constexpr bool is_sanitized = false;
#endif

// A sanitizer has memory of its own beside each page.
bool has_populate() {
    if (is_sanitized) return false;
    std::byte* const page =
        static_cast<std::byte*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const bool can = ::madvise(page, 4096, MADV_POPULATE_WRITE) == 0;
    ::munmap(page, 4096);
    return can;
}

constexpr std::size_t bytes = 8U << 20;

TEST(Touch, WhatWasTouchedIsWrittenWithoutAFault) {
    if (!has_populate()) GTEST_SKIP() << "a kernel before 5.14, or a sanitizer";
    const std::unique_ptr<std::byte[]> memory(new std::byte[bytes]);
    std::vector<std::uint64_t> reserved;
    reserved.reserve(bytes / sizeof(std::uint64_t));
    touch(memory.get(), bytes);
    touch(reserved);
    static_cast<void>(faults());
    const long before = faults();
    std::fill_n(memory.get(), bytes, std::byte{7});
    reserved.resize(reserved.capacity());
    EXPECT_EQ(faults(), before);
    const std::unique_ptr<std::byte[]> other(new std::byte[bytes]);
    std::fill_n(other.get(), bytes, std::byte{7});
    EXPECT_GT(faults(), before) << "untouched memory does fault";
}

TEST(Touch, NothingThatIsThereChanges) {
    std::vector<std::byte> memory(3 * 4096, std::byte{9});
    touch(memory.data() + 1000, 5000);
    touch(memory.data(), 0);
    touch(std::vector<int>());
    touch_program();
    touch_stack();
    EXPECT_EQ(std::count(memory.begin(), memory.end(), std::byte{9}), 3 * 4096);
}

TEST(Touch, AThreadsStackHasItsPages) {
    if (!has_populate()) GTEST_SKIP() << "a kernel before 5.14, or a sanitizer";
    long more = -1;
    std::thread thread([&] {
        touch_stack();
        static_cast<void>(faults());
        const long before = faults();
        touch_stack();
        more = faults() - before;
    });
    thread.join();
    EXPECT_EQ(more, 0);
}

}  // namespace
}  // namespace weir
