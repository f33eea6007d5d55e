// Stands before Boost's header of the same name: the queue's own source then runs on the explorer's atomics.
#pragma once

#include <atomic>

#include "tests/interleaving/atomic.hpp"

namespace boost::lockfree {
namespace detail {
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using weir::interleaving::atomic;
}  // namespace detail
using detail::atomic;
using detail::memory_order_acquire;
using detail::memory_order_relaxed;
using detail::memory_order_release;
}  // namespace boost::lockfree
