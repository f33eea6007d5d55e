// Starved: the sockets that have something to receive and found no slot, the longest first. Each has a turn when slots come back,
// and none asks for more than there is: with many sockets and few slots that is what keeps the work per receive the same.
//
// Thread    The Io's. Nothing is allocated after construction.
// Bounds    One place for each socket.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/assert.hpp"

namespace weir::io {

class Starved {
  public:
    explicit Starved(std::size_t sockets_max) { handles_.reserve(sockets_max); }
    [[nodiscard]] bool is_empty() const { return handles_.empty(); }
    [[nodiscard]] std::size_t count() const { return handles_.size(); }
    void add(std::int32_t handle) {
        WEIR_ASSERT(handles_.size() < handles_.capacity());
        handles_.push_back(handle);
    }
    [[nodiscard]] std::int32_t take() {
        const std::int32_t handle = handles_.front();
        handles_.erase(handles_.begin());  // a kilobyte or so is moved: less than what a receive costs
        return handle;
    }
    void remove(std::int32_t handle) { handles_.erase(std::find(handles_.begin(), handles_.end(), handle)); }

  private:
    std::vector<std::int32_t> handles_;
};

}  // namespace weir::io
