// LaneTable: what the spool knows of each lane while it runs: how far it is durable here, and how far at central.
//
// Thread    Filled at start; afterwards the spool runner alone reads and writes it.
// Law       delivered_sequence <= last_sequence. The order never changes; the dead-letter lane is last.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "edge/handover.hpp"

namespace weir::edge {

inline constexpr std::size_t known_centrals_max = 16;

struct SpoolLane {
    LaneState state;
    std::uint64_t gap_events = 0;  // of what central has acked: sequences that only a gap batch stands for
    Sequence next_sequence = 1;    // of this session: the first that was not sent yet
    // A central had sequences that this spool had not: they mean other events there than here, and ever will.
    bool is_diverged = false;
    // How far each known central has acked; everything before is there, or was named to it. Index: LaneTable::centrals().
    std::array<Sequence, known_centrals_max> acked_by{};
    // Of this session: what only other centrals have, to be named and not sent; none if first > last.
    Sequence elsewhere_first = 1;
    Sequence elsewhere_last = 0;
    [[nodiscard]] bool is_next_elsewhere() const {
        return elsewhere_first <= next_sequence && next_sequence <= elsewhere_last;
    }
};

// Centrals by wire::EdgeWelcome::identity, the one first met first.
struct KnownCentrals {
    std::array<std::uint32_t, known_centrals_max> identities{};
    std::size_t count = 0;
    bool operator==(const KnownCentrals&) const = default;
};

class LaneTable {
  public:
    LaneTable() = default;
    explicit LaneTable(std::vector<SpoolLane> lanes, KnownCentrals centrals = {})
        : lanes_(std::move(lanes)), centrals_(centrals) {}
    [[nodiscard]] const KnownCentrals& centrals() const { return centrals_; }
    // The place of a central in SpoolLane::acked_by. When all are taken the one first met is forgotten.
    [[nodiscard]] std::size_t know_central(std::uint32_t identity) {
        for (std::size_t index = 0; index < centrals_.count; ++index) {
            if (centrals_.identities[index] == identity) return index;
        }
        if (centrals_.count == known_centrals_max) {
            std::rotate(centrals_.identities.begin(), centrals_.identities.begin() + 1, centrals_.identities.end());
            for (SpoolLane& lane : lanes_) {
                std::rotate(lane.acked_by.begin(), lane.acked_by.begin() + 1, lane.acked_by.end());
                lane.acked_by.back() = 0;
            }
            --centrals_.count;
        }
        centrals_.identities[centrals_.count] = identity;
        return centrals_.count++;
    }
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
    KnownCentrals centrals_;
};

}  // namespace weir::edge
