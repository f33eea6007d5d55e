#include "edge/memory_lanes.hpp"

#include <algorithm>
#include <cerrno>

#include "core/io/files.hpp"
#include "edge/stream_segments.hpp"

namespace weir::edge {
namespace {

// Numbers that no lane gets by itself: those are few and small.
constexpr LaneId fresh_lane_min = 0x400;
constexpr LaneId fresh_lane_max = 0xefff;

Result<LaneId> fresh_lane(const std::vector<SpoolLane>& lanes) {
    for (;;) {
        std::uint16_t drawn = 0;
        if (io::files().random(std::as_writable_bytes(std::span(&drawn, 1))) != 0)
            return error_from_errno(errno, "getrandom");
        const auto id = static_cast<LaneId>(fresh_lane_min + drawn % (fresh_lane_max - fresh_lane_min + 1));
        const auto has_it = [id](const SpoolLane& lane) { return lane.state.id == id; };
        if (std::none_of(lanes.begin(), lanes.end(), has_it)) return id;
    }
}

// All of an earlier life that is known to this one are numbers.
void begin_one(SpoolLane& lane) {
    lane.marks = {};
    lane.before_this_life = lane.state.last_sequence;
    lane.promise = SequencePromise(lane.state.last_sequence);
    lane.state.has_lost_some = lane.state.delivered_sequence < lane.state.last_sequence;
}

// It has no journal. Should it come to the disk one day, or come from there: places are behind any that intake's checkpoint may know.
void begin_places(StreamJournal& journal, std::uint64_t segment_bytes) {
    const std::uint64_t end = std::max(journal.tail.end, journal.durable_end).value;
    journal.exists = false;
    journal.durable_crc = 0;
    journal.tail = {};
    journal.tail.end.value = round_up(end, segment_bytes);
    journal.durable_end = journal.delivered = journal.kept_from = journal.covered = journal.stored_start =
        journal.tail.end;
}

}  // namespace

bool lives_in_memory(const EdgeConfig& config, std::string_view lane) {
    return std::any_of(config.lanes.begin(), config.lanes.end(),
                       [&](const LaneConfig& one) { return one.name == lane && one.is_in_memory(); });
}

Status begin_memory_lanes(const EdgeConfig& config, const CheckpointFound& found, std::vector<SpoolLane>& lanes,
                          std::vector<std::string>& faults) {
    for (SpoolLane& lane : lanes) {
        const bool was_in_memory = lane.state.in_memory;
        lane.state.in_memory = lives_in_memory(config, lane.state.name);
        if (was_in_memory && found.has_lost_copy) {
            const std::uint64_t ahead = lane.journal.durable_crc;  // as it is stored
            lane.state.totals.accepted += SequencePromise::beyond_lost_copy(0, ahead);
            lane.state.last_sequence = SequencePromise::beyond_lost_copy(lane.state.last_sequence, ahead);
        }
        if (was_in_memory || lane.state.in_memory) {
            begin_places(lane.journal, stream_segment_bytes(config, lane.state.name));
        }
        if (!lane.state.in_memory) continue;
        if (!found.is_usable && !found.is_new_spool) {
            auto id = fresh_lane(lanes);
            if (!id) return id.error();
            lane.state.id = id.value();
            faults.push_back("lane " + lane.state.name + " (in memory): what it had promised is lost with the " +
                             "checkpoint; it goes on as lane number " + std::to_string(id.value()) +
                             ", and what it held is not known");
        }
        begin_one(lane);
        // In doubt: the first welcome says what of it is there. Where there is no place for it the uplink gives it up when there is one.
        const TookAlong along =
            give_up_took_along(lane.given_up, lane.state.delivered_sequence + 1, lane.state.last_sequence);
        const std::uint64_t lost = along.events;
        lane.shed_events -= along.shed;
        lane.expired_events -= along.expired;
        lane.gap_events += lost + along.shed + along.expired;
        if (lost == 0) continue;
        faults.push_back("lane " + lane.state.name + " (in memory): of the last " + std::to_string(lost) +
                         " sequences that were promised before it ended, what central has not is named to it as a gap");
    }
    return Done{};
}

}  // namespace weir::edge
