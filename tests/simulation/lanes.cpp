#include "tests/simulation/lanes.hpp"

#include <algorithm>

#include "edge/handover.hpp"

namespace weir::sim {
namespace {

using edge::Drain;
using edge::LaneClass;
using edge::LaneConfig;
using edge::LaneSpool;
using edge::ShedPolicy;

LaneConfig named(std::string_view name) {
    LaneConfig lane;
    lane.name = name;
    return lane;
}

void draw_expiry(Random& random, LaneConfig& lane) {
    lane.keep_undelivered_s = random.within(1, 6);
}

LaneConfig draw_lane(Random& random, std::string_view name, std::uint64_t unit_bytes) {
    LaneConfig lane = named(name);
    const std::uint64_t kind = random.below(10);
    if (kind < 2) {  // durable, with a bound, an age, or neither
        if (random.chance(500)) lane.bytes_max = unit_bytes * random.within(4, 16);
        if (random.chance(500)) draw_expiry(random, lane);
    } else {
        lane.lane_class = LaneClass::best_effort;
        lane.bytes_max = unit_bytes * random.within(4, 16);
        if (random.chance(200)) draw_expiry(random, lane);
        const std::uint64_t policy = random.below(4);
        lane.shed = policy < 2 ? ShedPolicy::oldest : policy == 2 ? ShedPolicy::newest : ShedPolicy::random;
    }
    if (kind >= 7) {
        lane.spool = LaneSpool::memory;
    } else if (random.chance(350)) {
        lane.drain = Drain::live_first;
        lane.backlog_weight = static_cast<std::uint32_t>(random.within(1, 8));
    }
    lane.priority = static_cast<std::uint8_t>(random.below(4));
    return lane;
}

}  // namespace

std::vector<LaneConfig> durable_lanes() {
    return {named("default"), named(alarms_lane)};
}

std::vector<LaneConfig> draw_lanes(Random& random, std::uint64_t unit_bytes) {
    std::vector<LaneConfig> lanes;
    for (const std::string_view name : {std::string_view("default"), alarms_lane, bulk_lane}) {
        lanes.push_back(draw_lane(random, name, unit_bytes));
    }
    return lanes;
}

std::string text_of(const LaneConfig& lane) {
    constexpr const char* policies[] = {"oldest", "newest", "random"};
    std::string text = "lane " + lane.name;
    text += lane.lane_class == LaneClass::durable
                ? ": durable"
                : ": best_effort, sheds " + std::string(policies[static_cast<int>(lane.shed)]);
    if (lane.is_in_memory()) text += ", in memory";
    if (lane.drain == Drain::live_first) text += ", live_first";
    if (lane.bytes_max > 0) text += ", bytes_max " + std::to_string(lane.bytes_max);
    if (lane.keep_undelivered_s > 0) text += ", keeps " + std::to_string(lane.keep_undelivered_s) + " s";
    return text;
}

LaneLosses losses_of(const LaneConfig& lane) {
    LaneLosses losses;
    losses.at_intake = lane.lane_class == LaneClass::best_effort;
    losses.for_room = losses.at_intake && lane.shed == ShedPolicy::oldest;
    losses.by_age = lane.keep_undelivered_s > 0;
    losses.by_crash = lane.is_in_memory();
    return losses;
}

std::uint64_t full_bytes_of(const edge::EdgeConfig& config, const LaneConfig& lane) {
    if (lane.bytes_max == 0) return UINT64_MAX;
    const std::uint64_t pool_bytes = std::uint64_t{config.spool.batches_max} * edge::batch_buffer_bytes;
    return lane.bytes_max - std::min(pool_bytes, lane.bytes_max / 4);
}

}  // namespace weir::sim
