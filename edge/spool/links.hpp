// Links: first-in-first-out queues of one kind over one set of places: as many queues as wanted, no more items than places.
//
// Thread    One.
// Bounds    Fixed at construction; a place is in one queue at most.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/assert.hpp"

namespace weir::edge {

template <class Item>
class Links {
  public:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct Queue {
        std::uint32_t head = none;
        std::uint32_t tail = none;
        std::uint32_t count = 0;
        [[nodiscard]] bool is_empty() const { return count == 0; }
    };

    explicit Links(std::size_t places) : items_(places), next_(places, none) {
        free_.reserve(places);
        for (std::size_t place = places; place > 0; --place) free_.push_back(static_cast<std::uint32_t>(place - 1));
    }
    [[nodiscard]] std::size_t places() const { return items_.size(); }
    [[nodiscard]] std::size_t used() const { return items_.size() - free_.size(); }
    [[nodiscard]] bool is_full() const { return free_.empty(); }

    // Precondition: !is_full().
    void push(Queue& queue, const Item& item) {
        WEIR_ASSERT(!free_.empty());
        const std::uint32_t place = free_.back();
        free_.pop_back();
        items_[place] = item;
        next_[place] = none;
        if (queue.count++ == 0) {
            queue.head = place;
        } else {
            next_[queue.tail] = place;
        }
        queue.tail = place;
    }
    // Preconditions: !queue.is_empty().
    [[nodiscard]] Item& front(const Queue& queue) {
        WEIR_ASSERT(queue.count > 0);
        return items_[queue.head];
    }
    [[nodiscard]] const Item& front(const Queue& queue) const {
        WEIR_ASSERT(queue.count > 0);
        return items_[queue.head];
    }
    void pop(Queue& queue) {
        WEIR_ASSERT(queue.count > 0);
        const std::uint32_t place = queue.head;
        queue.head = next_[place];
        --queue.count;
        free_.push_back(place);
    }
    void clear(Queue& queue) {
        while (queue.count > 0) pop(queue);
    }

  private:
    std::vector<Item> items_;
    std::vector<std::uint32_t> next_;
    std::vector<std::uint32_t> free_;
};

}  // namespace weir::edge
