// StdSync: the atomics with which one thread parks and others wake it. A parameter of that code, so that tests/interleaving can
// run the same source on atomics of its own in every interleaving, also with a bug planted in it.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir {

// What could be wrong with parking and waking. In the product each is the constant false.
enum class ParkBug : std::uint8_t {
    none,
    ring_without_fence,   // the caller may look at `asleep` before its element can be seen
    sleep_without_fence,  // the sleeper may look at its inlets before `asleep` can be seen
    no_second_look,       // the sleeper does not look again once it has said that it sleeps
    look_before_sleep,    // the sleeper looks again, but before it has said that it sleeps
    no_look_at_wishes,    // the second look is at the inlets only
    halt_without_ring,    // nobody wakes the sleeper that is to halt
};

struct StdSync {
    template <class T>
    using Atomic = std::atomic<T>;
    static void fence_seq_cst() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
    static constexpr bool has(ParkBug) noexcept { return false; }
};

}  // namespace weir
