#include "tests/simulation/lane_watch.hpp"

#include <algorithm>

#include "core/journal/record.hpp"
#include "core/wire/event.hpp"

namespace weir::sim {
namespace {

// A lane that is full and might shed does so within; a session needs less to learn that it is over.
constexpr std::uint64_t stuck_ns_max = 5 * ns_per_second;
// Without a look for so long the process stood still.
constexpr std::uint64_t pause_ns_min = 2 * ns_per_second;

std::uint64_t disk_bytes_of(std::uint32_t batch_bytes) {
    return round_up(journal::record_bytes(batch_bytes), std::uint64_t{journal::block_bytes});
}

}  // namespace

void LaneWatch::sends(ConstBytes bytes) {
    while (bytes.size() >= sizeof(wire::FrameHeader)) {
        const auto frame = wire::load<wire::FrameHeader>(bytes);
        if (frame.kind == wire::FrameKind::batch) {
            const auto batch = wire::load<wire::BatchHeader>(bytes.subspan(sizeof frame));
            const bool is_gap = batch.kind == wire::BatchKind::gap;
            sent_.push_back(
                {.stream = {batch.lane, batch.part},
                 .disk_bytes = is_gap ? 0 : disk_bytes_of(frame.body_bytes),
                 .last_sequence = batch.last_sequence(),
                 .is_given_up = is_gap && (batch.flags == wire::gap_shed || batch.flags == wire::gap_expired)});
        }
        bytes = bytes.subspan(std::min<std::size_t>(wire::frame_bytes(frame.body_bytes), bytes.size()));
    }
}

void LaneWatch::writes(ConstBytes bytes) {
    constexpr std::size_t body_at = sizeof(journal::RecordHeader) + sizeof(wire::BatchHeader);
    if (bytes.size() < body_at || wire::load<journal::RecordHeader>(bytes).magic != journal::record_magic) return;
    const auto batch = wire::load<wire::BatchHeader>(bytes.subspan(sizeof(journal::RecordHeader)));
    if (batch.kind != wire::BatchKind::events || batch.lane == dead_letter_lane) return;
    auto& events = written_[{batch.lane, batch.part}];
    Sequence sequence = batch.first_sequence;
    wire::for_each_frame(bytes.subspan(body_at, batch.body_bytes), [&](const wire::FrameView& frame, std::uint32_t) {
        wire::EventView event;
        if (wire::verify_event(frame.body, event) == wire::Reason::none) {
            events[sequence] = {std::string(event.source), std::stoull(std::string(event.id))};
        }
        ++sequence;
    });
}

const std::map<Sequence, LaneWatch::Key>* LaneWatch::written(const Stream& stream) const {
    const auto found = written_.find(stream);
    return found == written_.end() ? nullptr : &found->second;
}

std::string LaneWatch::judge(const Look& look) {
    if (!look.is_well || look.now_ns - looked_at_ns_ >= pause_ns_min) {
        for (Lane& lane : lanes_) lane.stuck_since_ns = 0;
    }
    looked_at_ns_ = look.now_ns;
    const bool is_new_life = lanes_.empty();
    lanes_.resize(config_.lanes.size());
    for (std::size_t index = 0; index < config_.lanes.size(); ++index) {
        if (is_new_life) lanes_[index].begun_with = UINT64_MAX;
        if (auto wrong = judge_lane(config_.lanes[index], index, look); !wrong.empty()) return wrong;
    }
    return {};
}

std::string LaneWatch::judge_lane(const edge::LaneConfig& config, std::size_t index, const Look& look) {
    if (config.bytes_max == 0) return {};
    std::uint64_t bytes = 0, given_up = 0;
    LaneId id = 0;
    for (std::size_t stream = 0; stream < look.streams.size(); ++stream) {
        if (look.streams[stream].name != config.name) continue;
        id = look.streams[stream].id;
        bytes += look.counters.lanes[stream].bytes.get();
        given_up += look.counters.lanes[stream].shed.get() + look.counters.lanes[stream].expired.get();
    }
    Lane& lane = lanes_[index];
    if (lane.begun_with == UINT64_MAX) lane.begun_with = bytes;
    const std::string who = config_.edge_id + " lane " + config.name + " holds " + std::to_string(bytes) + " bytes";
    // What is in buffers when intake is told that the lane is full still comes, and may open a segment.
    const std::uint64_t full = full_bytes_of(config_, config);
    const std::uint64_t on_the_way = config_.spool.batches_max * 2 * disk_bytes_of(config.batch_bytes * 2);
    const std::uint64_t most = config.is_in_memory() ? config.bytes_max : std::max(full, lane.begun_with) + on_the_way;
    if (bytes > most) return "P12: " + who + ", which may hold " + std::to_string(most);
    const bool has_moved = bytes != lane.bytes || given_up != lane.given_up;
    lane.bytes = bytes;
    lane.given_up = given_up;
    const bool is_stuck = look.is_well && !has_moved && bytes >= full && losses_of(config).for_room &&
                          might_shed(config, id, bytes, look);
    if (!is_stuck) lane.stuck_since_ns = 0;
    if (is_stuck && lane.stuck_since_ns == 0) lane.stuck_since_ns = look.now_ns;
    if (!is_stuck || look.now_ns - lane.stuck_since_ns < stuck_ns_max) return {};
    return "P7: " + who + ", is full and does not give up its oldest";
}

bool LaneWatch::might_shed(const edge::LaneConfig& config, LaneId id, std::uint64_t bytes, const Look& look) const {
    // What an earlier session sent may go, in doubt.
    if (look.counters.is_connected.get() == 0) return true;
    const std::size_t unacked = std::min<std::size_t>(look.counters.unacked_batches.get(), sent_.size());
    std::uint64_t unacked_bytes = 0;
    std::map<wire::Part, bool> has_hole;
    for (std::size_t at = 0; at < sent_.size(); ++at) {
        const SentBatch& one = sent_[at];
        if (one.stream.first != id) continue;
        // What is sent behind a hole holds up the next one; here until the session ends, whatever is acked.
        if (one.is_given_up) {
            has_hole[one.stream.second] = true;
        } else if (has_hole[one.stream.second]) {
            return false;
        }
        if (at < sent_.size() - unacked) continue;
        unacked_bytes += one.disk_bytes;
        // A ring is freed from its front.
        if (config.is_in_memory()) return false;
    }
    return bytes > unacked_bytes && bytes - unacked_bytes > bytes / 2;
}

}  // namespace weir::sim
