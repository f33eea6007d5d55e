// Doorbell: wakes a runner that sleeps in its Io, and costs its callers one load while it does not sleep.
//
// Protocol  The sleeper: prepare_sleep(); look at every inlet once more; sleep in Io::wait; end_sleep().
//           The caller: publish to the inlet first; then ring().
// Law       A published element is either seen by that second look or its ring() sees `asleep_`: the two seq_cst fences
//           order store-publish/load-asleep against store-asleep/load-inlet (the store-buffer pattern).
//           tests/interleaving runs it in every interleaving.
#pragma once

#include <atomic>

#include "core/io/io.hpp"
#include "core/pipeline/sync.hpp"

namespace weir {

template <class Sync>
class DoorbellOver {
  public:
    // Thread: before the runner starts.
    void attach(io::Io& io) { io_.store(&io, std::memory_order_release); }  // pairs with the acquire in ring()
    // Any thread, after publishing.
    void ring() noexcept {
        if (!Sync::has(ParkBug::ring_without_fence)) Sync::fence_seq_cst();  // pairs with the fence in prepare_sleep()
        if (!asleep_.load(std::memory_order_relaxed)) return;
        if (io::Io* io = io_.load(std::memory_order_acquire)) io->wake();
    }
    // Owner only.
    void prepare_sleep() noexcept {
        asleep_.store(true, std::memory_order_relaxed);
        if (!Sync::has(ParkBug::sleep_without_fence)) Sync::fence_seq_cst();  // pairs with the fence in ring()
    }
    void end_sleep() noexcept { asleep_.store(false, std::memory_order_relaxed); }

  private:
    alignas(64) typename Sync::template Atomic<bool> asleep_{false};
    typename Sync::template Atomic<io::Io*> io_{nullptr};
};

using Doorbell = DoorbellOver<StdSync>;

}  // namespace weir
