// LaneTable: what the spool knows of each lane while it runs: how far it is durable here, and how far at central.
//
// Thread    Filled at start; afterwards the spool runner alone reads and writes it.
// Law       delivered_sequence <= last_sequence. The order never changes; the dead-letter lane is last.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "edge/handover.hpp"

namespace weir::edge {

struct SpoolLane {
    LaneState state;
    std::uint64_t gap_events = 0;  // of what central has acked: sequences that only a gap batch stands for
    Sequence next_sequence = 1;    // of this session: the first that was not sent yet
    // A central had sequences that this spool had not: they mean other events there than here, and ever will.
    bool is_diverged = false;
};

class LaneTable {
  public:
    LaneTable() = default;
    explicit LaneTable(std::vector<SpoolLane> lanes) : lanes_(std::move(lanes)) {}
    [[nodiscard]] std::size_t count() const { return lanes_.size(); }
    [[nodiscard]] SpoolLane& operator[](std::size_t index) { return lanes_[index]; }
    [[nodiscard]] const SpoolLane& operator[](std::size_t index) const { return lanes_[index]; }
    [[nodiscard]] std::optional<std::size_t> find(LaneId id) const {
        for (std::size_t index = 0; index < lanes_.size(); ++index) {
            if (lanes_[index].state.id == id) return index;
        }
        return std::nullopt;
    }
    [[nodiscard]] std::vector<LaneState> states() const {
        std::vector<LaneState> states;
        for (const SpoolLane& lane : lanes_) states.push_back(lane.state);
        return states;
    }

  private:
    std::vector<SpoolLane> lanes_;
};

}  // namespace weir::edge
