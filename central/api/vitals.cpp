#include "central/api/vitals.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace weir::central {
namespace {

std::uint64_t cpu_us() {
    rusage used{};
    static_cast<void>(::getrusage(RUSAGE_SELF, &used));
    const auto us = [](const timeval& time) {
        return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
    };
    return us(used.ru_utime) + us(used.ru_stime);
}

// The second number of /proc/self/statm, in pages; 0 where there is none.
std::uint64_t resident_bytes() {
    std::FILE* const file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    unsigned long total = 0, resident = 0;
    const int read = std::fscanf(file, "%lu %lu", &total, &resident);
    std::fclose(file);
    return read == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

void Vitals::look(MonotonicNs now, std::uint64_t durable) {
    if (looked_.value != 0 && now.since(looked_) < look_ns) return;
    const std::uint64_t used = cpu_us();
    if (looked_.value != 0) {
        cpu_permille_.set((used - cpu_us_) * ns_per_ms / now.since(looked_));
        journal_rate_.set((durable - durable_) * ns_per_ms / (now.since(looked_) / 1000));
    }
    cpu_us_ = used;
    durable_ = durable;
    looked_ = now;
    memory_bytes_.set(resident_bytes());
}

}  // namespace weir::central
