// Keys in memory: out of core dumps, and gone when they go.
#include "core/base/secret.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

namespace weir {
namespace {

// The flags of the mapping that `address` lies in (proc(5), smaps: VmFlags).
std::string flags_at(const void* address) {
    std::ifstream maps("/proc/self/smaps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    bool is_here = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0, end = 0;
        char dash = 0;
        std::istringstream head(line);
        if (head >> std::hex >> begin >> dash >> end && dash == '-') is_here = begin <= wanted && wanted < end;
        if (is_here && line.starts_with("VmFlags:")) return line + ' ';
    }
    return {};
}

TEST(SecretBytes, AreLeftOutOfCoreDumpsAsOtherMemoryIsNot) {
    const SecretBytes secret(32);
    const auto other = std::make_unique<std::array<char, 1 << 20>>();
    EXPECT_NE(flags_at(secret.bytes().data()).find(" dd "), std::string::npos);
    EXPECT_EQ(flags_at(other->data()).find(" dd "), std::string::npos);
}

TEST(SecretBytes, GoWithTheirMemoryAndMoveWithoutACopy) {
    SecretBytes secret(32);
    std::memset(secret.bytes().data(), 0x5a, 32);
    const std::byte* const place = secret.bytes().data();
    const SecretBytes moved(std::move(secret));
    EXPECT_EQ(moved.bytes().data(), place);
    EXPECT_EQ(moved.bytes()[31], std::byte{0x5a});
    const void* gone = nullptr;
    {
        const SecretBytes brief(32);
        gone = brief.bytes().data();
    }
    EXPECT_EQ(flags_at(gone), "");
}

TEST(CoreDumps, AreForbiddenToTheWholeProcess) {
    const pid_t child = ::fork();
    if (child == 0) {
        rlimit limit{};
        const bool was_dumpable = ::prctl(PR_GET_DUMPABLE) == 1;
        const bool is_done = forbid_core_dumps();
        const bool is_forbidden =
            ::prctl(PR_GET_DUMPABLE) == 0 && ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
        ::_exit(was_dumpable && is_done && is_forbidden ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace weir
