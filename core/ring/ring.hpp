// Ring: a bounded hand-over of small elements from exactly one writer thread to exactly one reader thread.
//
// Thread    RingWriter belongs to one thread, RingReader to another; each can be taken once.
// Pressure  Nothing here waits. publish() takes what fits and says how much that was.
// Ownership The ring outlives both ends.
// Seam      Boost.Lockfree spsc_queue enters weir here and nowhere else.
#pragma once

#include <boost/lockfree/spsc_queue.hpp>
#include <cstddef>
#include <span>
#include <type_traits>

#include "core/base/assert.hpp"

namespace weir {

template <class T>
class Ring;

template <class T>
class RingWriter {
  public:
    // Elements that publish() would take now: a lower bound, as the reader only makes room.
    [[nodiscard]] std::size_t room() const { return queue_->write_available(); }
    // Hands over the first elements of `values`; returns how many (fewer only when the ring is full).
    [[nodiscard]] std::size_t publish(std::span<const T> values) { return queue_->push(values.data(), values.size()); }
    [[nodiscard]] bool publish(const T& value) { return queue_->push(value); }

  private:
    friend class Ring<T>;
    explicit RingWriter(boost::lockfree::spsc_queue<T>& queue) : queue_(&queue) {}
    boost::lockfree::spsc_queue<T>* queue_;
};

template <class T>
class RingReader {
  public:
    // Hands each waiting element to `take`, oldest first; returns how many there were.
    template <class Take>
    std::size_t consume_all(Take&& take) {
        return queue_->consume_all(std::forward<Take>(take));
    }
    // Moves up to `values.size()` elements out; returns how many.
    [[nodiscard]] std::size_t consume(std::span<T> values) { return queue_->pop(values.data(), values.size()); }
    [[nodiscard]] bool is_empty() const { return waiting() == 0; }
    // Elements that consume() would give now: a lower bound, as the writer only adds.
    [[nodiscard]] std::size_t waiting() const { return queue_->read_available(); }

  private:
    friend class Ring<T>;
    explicit RingReader(boost::lockfree::spsc_queue<T>& queue) : queue_(&queue) {}
    boost::lockfree::spsc_queue<T>* queue_;
};

template <class T>
class Ring {
    static_assert(std::is_trivially_copyable_v<T>, "what crosses a ring is small and plain");

  public:
    explicit Ring(std::size_t capacity) : queue_(capacity) {}
    // Goes round it once, so that all its memory has its pages. Before an end is taken.
    void touch() {
        WEIR_ASSERT(!writer_taken_ && !reader_taken_);
        while (queue_.push(T{})) {
        }
        queue_.consume_all([](const T&) {});
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    [[nodiscard]] RingWriter<T> take_writer() {
        WEIR_ASSERT(!writer_taken_);
        writer_taken_ = true;
        return RingWriter<T>(queue_);
    }
    [[nodiscard]] RingReader<T> take_reader() {
        WEIR_ASSERT(!reader_taken_);
        reader_taken_ = true;
        return RingReader<T>(queue_);
    }

  private:
    boost::lockfree::spsc_queue<T> queue_;
    bool writer_taken_ = false;
    bool reader_taken_ = false;
};

}  // namespace weir
