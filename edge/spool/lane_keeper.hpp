// LaneKeeper: holds each lane to what its configuration says: how much, how long, in which part; and tells intake.
//
//   bytes_max        of a lane, both parts, and spool.bytes_max in all: intake is told the share that is used (FillGauge)
//   shed = oldest    a best_effort lane that is nearly full, or on a disk without room, gives up the oldest that was not sent
//   keep_undelivered_s   what is older, in running time, is given up, of a durable lane too
//   spool = memory   its own bytes alone count for it, and neither those of the disk nor its room
//   drain = live_first   which part new batches belong to (PartChoice)
//
// Thread    Spool runner.
// Pressure  A hundred says that what buffers can still bring is all that fits: a lane that is held there never waits with batches
//           in its hands while the whole has room.
//           On a disk without room a lane is held while its open segment still takes what buffers can bring (half of it, if that
//           is less): intake's checkpoint waits for those batches, and room is made by what a checkpoint covers.
// Law       Given up is only what the session at hand has not sent, up to a mark (in doubt without one: given_up.hpp); it is in a
//           stored checkpoint before its bytes are deleted.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/journal/segments.hpp"
#include "edge/config.hpp"
#include "edge/counters.hpp"
#include "edge/spool/fill_gauge.hpp"
#include "edge/spool/intake_notes.hpp"
#include "edge/spool/lane_table.hpp"
#include "edge/spool/part_choice.hpp"
#include "edge/spool/stream_spool.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {

// A best_effort lane that sheds its oldest does so from this share on, so that intake need not.
inline constexpr std::uint8_t fill_sheds = 90;
// A disk without room is helped by one step of each lane that may shed, so often.
inline constexpr std::uint64_t no_room_step_ns = ns_per_second;
// What is undelivered is marked so often within its time.
inline constexpr std::uint64_t expiry_steps = 8;

class LaneKeeper {
  public:
    struct Parts {
        const EdgeConfig& config;  // only during construction
        std::uint64_t running_ms = 0;
        std::uint64_t pool_bytes = 0;
        LaneTable& lanes;
        std::vector<std::unique_ptr<StreamSpool>>& streams;
        const std::vector<std::unique_ptr<journal::SegmentStore>>& segments;
        Uplink& uplink;
        IntakeNotes& notes;
        SpoolCounters& counters;
    };
    LaneKeeper(Parts parts, MonotonicNs now);

    struct Looked {
        bool has_given_up = false;  // a checkpoint is wanted
        bool has_no_room = false;   // the disk: what is only kept is to be given back
    };
    // Once in a duty cycle.
    [[nodiscard]] Looked look(MonotonicNs now);
    // What lanes may hold from now on; one that is not named keeps to what it was told.
    void obey(const std::vector<LaneConfig>& lanes, MonotonicNs now);
    [[nodiscard]] std::uint64_t running_ms(MonotonicNs now) const {
        return running_ms_before_ + now.since(started_at_) / ns_per_ms;
    }
    [[nodiscard]] MonotonicNs next_deadline() const;
    // As of the last look: something undelivered has a time after which it is given up.
    [[nodiscard]] bool may_expire() const { return expires_at_ != never; }

  private:
    struct Lane {
        std::size_t first = 0;  // its streams: the live part, and the backlog behind it if there is one
        std::size_t count = 1;
        bool sheds_oldest = false;
        bool in_memory = false;
        std::uint64_t bytes_max = 0;  // without what buffers can still bring; UINT64_MAX: none of its own
        std::uint64_t mark_bytes = 0;
        std::uint64_t keep_ms = 0;
        FillGauge gauge;
        std::optional<PartChoice> choice;
    };

    void add_lane(std::size_t first, const EdgeConfig& config, MonotonicNs now);
    void configure(Lane& lane, const LaneConfig& from, MonotonicNs now);
    void choose_part(Lane& lane, MonotonicNs now);
    void mark(Lane& lane, MonotonicNs now);
    [[nodiscard]] bool expire(Lane& lane, MonotonicNs now);
    [[nodiscard]] bool shed(Lane& lane, MonotonicNs now);
    [[nodiscard]] bool give_up(std::size_t stream, const Mark& mark, std::uint8_t reason);
    void tell_fill(Lane& lane, std::uint8_t fill);
    [[nodiscard]] std::uint64_t needed_bytes(const Lane& lane) const;
    [[nodiscard]] bool waits_without_room(const Lane& lane) const;

    std::uint64_t running_ms_before_;
    MonotonicNs started_at_;
    LaneTable& lanes_;
    std::vector<std::unique_ptr<StreamSpool>>& streams_;
    const std::vector<std::unique_ptr<journal::SegmentStore>>& segments_;
    Uplink& uplink_;
    IntakeNotes& notes_;
    SpoolCounters& counters_;
    std::vector<Lane> kept_;
    std::uint64_t pool_bytes_;
    std::uint64_t bytes_max_;  // in all, without what buffers can still bring
    MonotonicNs no_room_at_{};
    MonotonicNs expires_at_ = never;
};

}  // namespace weir::edge
