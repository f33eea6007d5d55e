// TableCopy: what the entries of one table (Keyed) were when its copy began, as bytes, taken one after the other while the table goes on.
//
// Thread    Any; one at a time.
// Law       write() gives the same bytes in whatever order the entries came: by their last touch, the one touched longest ago first.
// Bounds    The entries of a table: less than 4 GiB.
// Format    A 32-bit count, then each entry: its key as a text, its state.
#pragma once

#include <algorithm>
#include <vector>

#include "central/analytics/state_io.hpp"
#include "core/base/assert.hpp"

namespace weir::analytics {

class TableCopy {
  public:
    // For another copy in the same room: memory that comes and goes with each costs more than it saves.
    void clear() {
        entries_.clear();
        pieces_.clear();
    }
    // `save` appends to the writer that it is given. No two entries were touched at the same time.
    template <class Save>
    void add(std::uint64_t touched, Save&& save) {
        const std::size_t begun = entries_.bytes().size();
        save(entries_);
        WEIR_ASSERT(entries_.bytes().size() <= UINT32_MAX);
        pieces_.push_back(
            {touched, static_cast<std::uint32_t>(begun), static_cast<std::uint32_t>(entries_.bytes().size() - begun)});
    }
    [[nodiscard]] std::size_t bytes() const { return sizeof(std::uint32_t) + entries_.bytes().size(); }
    // sink(std::string_view), piece by piece.
    template <class Sink>
    void write(Sink&& sink) const {
        StateWriter head;
        head.count(pieces_.size());
        sink(std::string_view(head.bytes()));
        std::vector<Piece> ordered = pieces_;
        std::sort(ordered.begin(), ordered.end(),
                  [](const Piece& left, const Piece& right) { return left.touched < right.touched; });
        const std::string_view all = entries_.bytes();
        for (const Piece& one : ordered) sink(all.substr(one.begun, one.bytes));
    }

  private:
    struct Piece {
        std::uint64_t touched = 0;
        std::uint32_t begun = 0;  // in entries_
        std::uint32_t bytes = 0;
    };

    StateWriter entries_;
    std::vector<Piece> pieces_;
};

}  // namespace weir::analytics
