#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "bench/limits/limits.hpp"

namespace weir::limits {
namespace {

constexpr std::uint64_t trips_per_sample = 64;
constexpr std::uint64_t calls = 20'000;

struct alignas(64) Line {
    std::atomic<std::uint64_t> value{0};
};

// Of `what`, called over and over.
template <class What>
double mean_ns(const What& what) {
    const std::uint64_t begun = now_ns();
    for (std::uint64_t i = 0; i < calls; ++i) what();
    return static_cast<double>(now_ns() - begun) / static_cast<double>(calls);
}

}  // namespace

Measured measure_hop(const LimitsOptions& options) {
    Line there;
    Line back;
    std::atomic<bool> is_over{false};
    std::thread peer([&] {
        pin(1);
        for (std::uint64_t seen = 0; !is_over.load(std::memory_order_relaxed);) {
            const std::uint64_t value = there.value.load(std::memory_order_acquire);  // pairs with the release below
            if (value == seen) continue;
            seen = value;
            back.value.store(seen, std::memory_order_release);
        }
    });
    std::vector<std::uint64_t> samples;
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(options.seconds * 1e9);
    for (std::uint64_t trip = 0; now_ns() < end;) {
        const std::uint64_t begun = now_ns();
        for (std::uint64_t i = 0; i < trips_per_sample; ++i) {
            there.value.store(++trip, std::memory_order_release);
            // Pairs with the peer's release. With one core only it must be let run.
            for (std::uint64_t looks = 1; back.value.load(std::memory_order_acquire) != trip; ++looks) {
                if (looks % (1U << 20U) == 0) std::this_thread::yield();
            }
        }
        samples.push_back((now_ns() - begun) / trips_per_sample);
    }
    is_over.store(true, std::memory_order_relaxed);
    peer.join();
    return {{"hop_round_trip_ns", percentile(samples, 0.5)},
            {"system_call_ns", mean_ns([] { static_cast<void>(::syscall(SYS_getppid)); })},
            {"clock_ns", mean_ns([] { static_cast<void>(now_ns()); })}};
}

}  // namespace weir::limits
