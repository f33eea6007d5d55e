// Marks: places of a stream's journal with the last sequence before each and when it was the end: where the stream can be cut.
//
// Thread    Spool runner; filled at start.
// Bounds    marks_max. When all are used every second one goes, and the next ones stand twice as far apart.
// Law       Positions, sequences and times only grow from mark to mark. Times are running time, not a clock's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/assert.hpp"
#include "core/base/types.hpp"

namespace weir::edge {

inline constexpr std::size_t marks_max = 16;

struct Mark {
    Position position{};  // the end of a record
    Sequence last_sequence = 0;
    std::uint64_t running_ms = 0;
    bool operator==(const Mark&) const = default;
};

class Marks {
  public:
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] const Mark& operator[](std::size_t index) const { return marks_[index]; }
    // The journal ends at `end`; it becomes a mark if it lies `bytes` behind the newest, or `ms` later.
    void look(const Mark& end, std::uint64_t bytes, std::uint64_t ms) {
        if (count_ == 0) {
            coarse_ = 0;
        } else {
            const Mark& newest = marks_[count_ - 1];
            if (end.position <= newest.position) return;
            const bool is_far = end.position.value - newest.position.value >= bytes << coarse_;
            if (!is_far && end.running_ms - newest.running_ms < ms << coarse_) return;
        }
        add(end);
    }
    // As they were stored.
    [[nodiscard]] bool restore(const Mark& mark) {
        const bool fits =
            count_ < marks_max && (count_ == 0 || (marks_[count_ - 1].position < mark.position &&
                                                   marks_[count_ - 1].last_sequence <= mark.last_sequence));
        if (fits) marks_[count_++] = mark;
        return fits;
    }
    // What lies before `position` needs no marks any more.
    void forget_before(Position position) {
        std::size_t gone = 0;
        while (gone < count_ && marks_[gone].position <= position) ++gone;
        if (gone == 0) return;
        std::copy(marks_.begin() + static_cast<std::ptrdiff_t>(gone),
                  marks_.begin() + static_cast<std::ptrdiff_t>(count_), marks_.begin());
        count_ -= gone;
    }

    // Between the two nothing is left to be cut.
    void forget_between(Position begin, Position end) {
        const auto is_between = [&](const Mark& one) { return begin < one.position && one.position < end; };
        const auto last = marks_.begin() + static_cast<std::ptrdiff_t>(count_);
        count_ = static_cast<std::size_t>(std::remove_if(marks_.begin(), last, is_between) - marks_.begin());
    }

  private:
    void add(const Mark& mark) {
        if (count_ == marks_max) {
            for (std::size_t index = 0; index < marks_max / 2; ++index) marks_[index] = marks_[2 * index + 1];
            count_ = marks_max / 2;
            if (coarse_ < 32) ++coarse_;
        }
        marks_[count_++] = mark;
    }

    std::array<Mark, marks_max> marks_{};
    std::size_t count_ = 0;
    std::uint32_t coarse_ = 0;  // how often the distance was doubled
};

}  // namespace weir::edge
