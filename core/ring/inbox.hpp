// Inbox: many threads hand notes to one. Not for the hot path: control notes and returns.
//
// Thread    post() from any thread; consume_all() from the one reader.
// Pressure  Bounded by capacity: post() says false when it is full.
// Seam      moodycamel ConcurrentQueue enters weir here and nowhere else.
#pragma once

#include <concurrentqueue/concurrentqueue.h>

#include <array>
#include <cstddef>

namespace weir {

template <class T>
class Inbox {
  public:
    explicit Inbox(std::size_t capacity) : queue_(capacity) {}
    [[nodiscard]] bool post(const T& value) { return queue_.try_enqueue(value); }
    template <class Take>
    std::size_t consume_all(Take&& take) {
        std::array<T, 32> some;
        std::size_t total = 0;
        for (;;) {
            const std::size_t count = queue_.try_dequeue_bulk(some.begin(), some.size());
            for (std::size_t i = 0; i < count; ++i) take(some[i]);
            total += count;
            if (count < some.size()) return total;
        }
    }

  private:
    moodycamel::ConcurrentQueue<T> queue_;
};

}  // namespace weir
