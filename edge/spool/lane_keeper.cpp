#include "edge/spool/lane_keeper.hpp"

#include <algorithm>
#include <cerrno>

namespace weir::edge {
namespace {

// Time as a distance between marks where only bytes count.
constexpr std::uint64_t no_ms = 1ULL << 30;
// The same of bytes.
constexpr std::uint64_t no_bytes = 1ULL << 30;

// What is left of a bound when intake is stopped: the rest is for batches on their way, but a quarter at most.
std::uint64_t without_reserve(std::uint64_t bytes_max, std::uint64_t pool_bytes) {
    return bytes_max - std::min(pool_bytes, bytes_max / 4);
}

}  // namespace

LaneKeeper::LaneKeeper(Parts parts, MonotonicNs now)
    : running_ms_before_(parts.running_ms),
      started_at_(now),
      lanes_(parts.lanes),
      streams_(parts.streams),
      segments_(parts.segments),
      uplink_(parts.uplink),
      notes_(parts.notes),
      counters_(parts.counters),
      pool_bytes_(parts.pool_bytes),
      bytes_max_(without_reserve(parts.config.spool.bytes_max, parts.pool_bytes)) {
    for (std::size_t stream = 0; stream < lanes_.count(); ++stream) {
        const bool is_first = *lanes_.find_lane(lanes_[stream].state.id) == stream;
        if (is_first) {
            add_lane(stream, parts.config, now);
        } else {
            ++kept_.back().count;
            lanes_[stream].lane_class = lanes_[kept_.back().first].lane_class;
        }
    }
}

void LaneKeeper::add_lane(std::size_t first, const EdgeConfig& config, MonotonicNs now) {
    Lane& lane = kept_.emplace_back();
    lane.first = first;
    lane.in_memory = lanes_[first].state.in_memory;
    lane.bytes_max = UINT64_MAX;
    if (lanes_[first].state.id == dead_letter_lane) lanes_[first].lane_class = wire::LaneClass::dead_letters;
    const auto is_same = [&](const LaneConfig& one) { return one.name == lanes_[first].state.name; };
    const auto found = std::find_if(config.lanes.begin(), config.lanes.end(), is_same);
    if (found != config.lanes.end()) configure(lane, *found, now);
}

void LaneKeeper::configure(Lane& lane, const LaneConfig& from, MonotonicNs now) {
    const bool is_best_effort = from.lane_class == LaneClass::best_effort;
    for (std::size_t i = 0; i < lane.count; ++i) {
        lanes_[lane.first + i].lane_class = is_best_effort ? wire::LaneClass::best_effort : wire::LaneClass::durable;
    }
    lane.sheds_oldest = is_best_effort && from.shed == ShedPolicy::oldest;
    lane.bytes_max = from.bytes_max > 0 ? without_reserve(from.bytes_max, pool_bytes_) : UINT64_MAX;
    if (lane.in_memory) lane.bytes_max = without_reserve(from.memory_bytes(), pool_bytes_);
    lane.keep_ms = from.keep_undelivered_s * 1000;
    lane.mark_bytes = std::min(lane.bytes_max, bytes_max_) / marks_max;
    if (from.drain == Drain::live_first && !lane.choice) lane.choice.emplace(now);
}

void LaneKeeper::obey(const std::vector<LaneConfig>& lanes, MonotonicNs now) {
    for (Lane& lane : kept_) {
        const auto is_same = [&](const LaneConfig& one) { return one.name == lanes_[lane.first].state.name; };
        const auto found = std::find_if(lanes.begin(), lanes.end(), is_same);
        if (found != lanes.end()) configure(lane, *found, now);
    }
}

std::uint64_t LaneKeeper::needed_bytes(const Lane& lane) const {
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < lane.count; ++i) bytes += streams_[lane.first + i]->needed_bytes();
    return bytes;
}

bool LaneKeeper::waits_without_room(const Lane& lane) const {
    for (std::size_t i = 0; i < lane.count; ++i) {
        const std::size_t stream = lane.first + i;
        if (segments_[stream]->prepare_errno() != ENOSPC) continue;
        const StreamSpool& spool = *streams_[stream];
        if (spool.open_room_bytes() < std::min(pool_bytes_, spool.segment_bytes() / 2)) return true;
    }
    return false;
}

LaneKeeper::Looked LaneKeeper::look(MonotonicNs now) {
    Looked looked;
    std::uint64_t needed = 0;
    bool has_no_room = false;
    for (const Lane& lane : kept_) {
        if (!lane.in_memory) needed += needed_bytes(lane);
        has_no_room = has_no_room || waits_without_room(lane);
    }
    const bool helps = has_no_room && now.since(no_room_at_) >= no_room_step_ns;
    if (helps) no_room_at_ = now;
    looked.has_no_room = helps;
    expires_at_ = never;
    for (Lane& lane : kept_) {
        choose_part(lane, now);
        mark(lane, now);
        if (expire(lane, now)) looked.has_given_up = true;
        const std::uint8_t own = fill_of(needed_bytes(lane), lane.bytes_max);
        const std::uint8_t share = lane.in_memory ? own : std::max(own, fill_of(needed, bytes_max_));
        const bool is_asked = share >= fill_sheds || (helps && !lane.in_memory);
        if (lane.sheds_oldest && is_asked && shed(lane, now)) looked.has_given_up = true;
        tell_fill(lane, waits_without_room(lane) ? fill_full : share);
    }
    return looked;
}

void LaneKeeper::choose_part(Lane& lane, MonotonicNs now) {
    if (!lane.choice || lane.count < 2) return;
    const PartChoice::Seen seen{.is_live = uplink_.is_live(),
                                .is_caught_up = uplink_.has_sent_all(lane.first),
                                .undelivered_bytes = streams_[lane.first]->needed_bytes()};
    if (!lane.choice->look(seen, now)) return;
    const bool is_backlog = lane.choice->part() == wire::Part::backlog;
    notes_.opens_in(lane.first, is_backlog ? lane.first + 1 : lane.first);
    counters_.part_changes.add(1);
}

void LaneKeeper::mark(Lane& lane, MonotonicNs now) {
    if (lane.keep_ms == 0 && !lane.sheds_oldest) return;
    for (std::size_t i = 0; i < lane.count; ++i) {
        SpoolLane& stream = lanes_[lane.first + i];
        stream.marks.forget_before(stream.journal.delivered);
        // A hole may grow to many times what the lane holds: its marks would stand farther apart than the lane is long.
        stream.marks.forget_between(stream.hole_begin, stream.hole_end);
        if (stream.journal.durable_end <= stream.journal.delivered) continue;
        stream.marks.look({.position = stream.journal.durable_end,
                           .last_sequence = stream.state.last_sequence,
                           .running_ms = running_ms(now)},
                          lane.sheds_oldest ? lane.mark_bytes : no_bytes,
                          lane.keep_ms > 0 ? lane.keep_ms / expiry_steps : no_ms);
    }
}

// What was marked keep_ms ago has lain there so long, all of it.
bool LaneKeeper::expire(Lane& lane, MonotonicNs now) {
    if (lane.keep_ms == 0) return false;
    bool has_expired = false;
    const std::uint64_t running = running_ms(now);
    for (std::size_t i = 0; i < lane.count; ++i) {
        const Marks& marks = lanes_[lane.first + i].marks;
        const Mark* oldest = nullptr;
        for (std::size_t at = 0; at < marks.count() && running - marks[at].running_ms >= lane.keep_ms; ++at) {
            oldest = &marks[at];
        }
        if (oldest != nullptr && give_up(lane.first + i, Mark(*oldest), wire::gap_expired)) has_expired = true;
        if (marks.count() == 0) continue;
        const std::uint64_t age = running - marks[0].running_ms;
        const std::uint64_t wait_ms = age >= lane.keep_ms ? lane.keep_ms / expiry_steps + 1 : lane.keep_ms - age;
        expires_at_ = std::min(expires_at_, now.plus_ns(wait_ms * ns_per_ms));
    }
    return has_expired;
}

// Up to the next mark behind what was sent; of a backlog first, which is older.
bool LaneKeeper::shed(Lane& lane, MonotonicNs now) {
    for (std::size_t i = lane.count; i-- > 0;) {
        const std::size_t index = lane.first + i;
        SpoolLane& stream = lanes_[index];
        // A ring is freed from its front: behind what central has still to ack nothing is gained.
        if (lane.in_memory && uplink_.has_unacked(index)) continue;
        Position from = uplink_.unsent_from(index);
        if (stream.hole_end.value != 0 && from < stream.hole_end) from = stream.hole_end;
        if (stream.journal.durable_end <= from) continue;
        const bool is_worth_it = stream.journal.durable_end.value - from.value >= lane.mark_bytes;
        if (is_worth_it) {
            stream.marks.look({.position = stream.journal.durable_end,
                               .last_sequence = stream.state.last_sequence,
                               .running_ms = running_ms(now)},
                              lane.mark_bytes, no_ms);
        }
        for (std::size_t at = 0; at < stream.marks.count(); ++at) {
            if (stream.marks[at].position <= from) continue;
            if (give_up(index, Mark(stream.marks[at]), wire::gap_shed)) return true;
            break;
        }
    }
    return false;
}

bool LaneKeeper::give_up(std::size_t index, const Mark& mark, std::uint8_t reason) {
    if (!uplink_.may_give_up(index) || !notes_.may_shed(index)) return false;
    // A checkpoint knows nothing beyond its promise.
    const SpoolLane& lane = lanes_[index];
    if (lane.state.in_memory && mark.last_sequence > lane.promise.allowed()) return false;
    const Position delivered = lanes_[index].journal.delivered;
    const Uplink::GaveUp given_up = uplink_.give_up(index, mark, reason);
    if (given_up.first == 0) return false;
    streams_[index]->gave_up(delivered, given_up.first);
    if (given_up.reason == wire::gap_shed) {
        notes_.shed(index, given_up.first, mark.last_sequence, lanes_[index].shed_events);
    }
    return true;
}

void LaneKeeper::tell_fill(Lane& lane, std::uint8_t fill) {
    const auto word = lane.gauge.look(fill);
    if (!word) return;
    for (std::size_t i = 0; i < lane.count; ++i) notes_.filled(lane.first + i, *word);
}

MonotonicNs LaneKeeper::next_deadline() const {
    MonotonicNs at = expires_at_;
    for (const Lane& lane : kept_) {
        if (lane.choice && lane.count > 1) at = std::min(at, lane.choice->next_at());
    }
    return at;
}

}  // namespace weir::edge
