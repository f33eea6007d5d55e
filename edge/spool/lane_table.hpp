// LaneTable: what the spool knows of each stream while it runs: how far it is durable here, and how far at central.
//
// Thread    Filled at start; afterwards the spool runner alone reads and writes it.
// Law       delivered_sequence <= last_sequence. The order never changes; the dead-letter lane is last, a backlog part right behind
//           its live part.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/journal/writer.hpp"
#include "core/wire/status.hpp"
#include "edge/handover.hpp"
#include "edge/spool/given_up.hpp"
#include "edge/spool/marks.hpp"
#include "edge/spool/sequence_promise.hpp"

namespace weir::edge {

inline constexpr std::size_t known_centrals_max = 16;

// A stream's own journal, DIR/spool/LANE or DIR/spool/LANE.backlog. All positions are of that journal.
struct StreamJournal {
    std::uint64_t segment_bytes = 0;  // of the segments that exist; of the configuration if there are none
    bool exists = false;              // it has segments; else it is made with its first batch
    journal::Tail tail;               // where it goes on
    Position durable_end{};           // of the last record
    std::uint32_t durable_crc = 0;    // of that record
    Position delivered{};             // every record before it is on central's disk, or given up
    Position kept_from{};             // start of the oldest segment
    Position covered{};               // by intake's checkpoint
    Position stored_start{};          // where a scan from the stored checkpoint begins
};

// Of one stream.
struct SpoolLane {
    LaneState state;
    wire::LaneClass lane_class = wire::LaneClass::durable;  // as it is configured
    StreamJournal journal;
    SequencePromise promise;        // of one in memory
    Sequence before_this_life = 0;  // of one in memory: what an earlier one used or had promised
    // Of what central has acked, sequences that only a gap batch stands for; and what an earlier life in memory took along.
    std::uint64_t gap_events = 0;
    std::uint64_t shed_events = 0;     // given up by the lane's policy, since the lineage began
    std::uint64_t expired_events = 0;  // given up because of their age
    // What of it central has not acked the naming of: ascending, apart.
    GivenUpRanges given_up{};
    // Of it, up to where a stored checkpoint knows it as it stands: only that is named, or a crash could take it for delivered.
    Sequence given_up_stored = 0;
    std::uint64_t given_up_settlings = 0;  // how often a welcome has changed it
    Marks marks;                           // of what is not delivered
    Sequence next_sequence = 1;            // of this session: the first that was not sent yet
    // A central had sequences that this spool had not: they mean other events there than here, and ever will.
    bool is_diverged = false;
    // How far each known central has acked; everything before is there, or was named to it. Index: LaneTable::centrals().
    std::array<Sequence, known_centrals_max> acked_by{};
    // Of it, what was given up behind batches that are sent and not acked: between these places nothing is sent any more.
    Position hole_begin{};
    Position hole_end{};
    Sequence hole_last_sequence = 0;
    // Of this session: central may turn out to have more than its welcome said (wire::position_unsettled).
    bool is_unsettled = false;
    // Of this session: what only other centrals have, to be named and not sent; none if first > last.
    Sequence elsewhere_first = 1;
    Sequence elsewhere_last = 0;
    [[nodiscard]] const GivenUp* given_up_at(Sequence sequence) const {
        for (const GivenUp& one : given_up) {
            if (one.count > 0 && one.first_sequence <= sequence && sequence <= one.last_sequence()) return &one;
        }
        return nullptr;
    }
    // Of the events given up for `reason`, those behind delivered_sequence: central has not acked the naming of them.
    [[nodiscard]] std::uint64_t unacked_of(std::uint32_t reason) const {
        std::uint64_t events = 0;
        for (const GivenUp& one : given_up) {
            if (one.count == 0 || one.why() != reason || one.last_sequence() <= state.delivered_sequence) continue;
            events += one.last_sequence() - std::max(one.first_sequence - 1, state.delivered_sequence);
        }
        return events;
    }
    // Events of which central has more than a gap.
    [[nodiscard]] std::uint64_t delivered_events() const {
        const std::uint64_t not_there = gap_events - unacked_of(wire::gap_not_kept) + shed_events -
                                        unacked_of(wire::gap_shed) + expired_events - unacked_of(wire::gap_expired);
        return state.delivered_sequence > not_there ? state.delivered_sequence - not_there : 0;
    }
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
    // False: a spare stream, of which nobody outside hears (spare_lanes.hpp).
    [[nodiscard]] bool is_named(std::size_t index) const { return !lanes_[index].state.name.empty(); }
    [[nodiscard]] std::size_t named_count() const {
        return static_cast<std::size_t>(
            std::count_if(lanes_.begin(), lanes_.end(), [](const SpoolLane& one) { return !one.state.name.empty(); }));
    }
    [[nodiscard]] SpoolLane& operator[](std::size_t index) { return lanes_[index]; }
    [[nodiscard]] const SpoolLane& operator[](std::size_t index) const { return lanes_[index]; }
    [[nodiscard]] std::optional<std::size_t> find(LaneId id, wire::Part part) const {
        for (std::size_t index = 0; index < lanes_.size(); ++index) {
            if (lanes_[index].state.id == id && lanes_[index].state.part == part) return index;
        }
        return std::nullopt;
    }
    // The first stream of that lane, which stands for the lane where its parts share something.
    [[nodiscard]] std::optional<std::size_t> find_lane(LaneId id) const {
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
