#include "edge/lane_changes.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "edge/spool/spool_start.hpp"

namespace weir::edge {

LaneChanges::LaneChanges(std::string data_dir, std::vector<LaneState> streams)
    : data_dir_(std::move(data_dir)), streams_(std::move(streams)) {}

std::size_t LaneChanges::find(std::string_view name) const {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        if (streams_[index].name == name) return index;
    }
    return none;
}

bool LaneChanges::has_backlog(std::size_t first) const {
    return first + 1 < streams_.size() && streams_[first + 1].id == streams_[first].id;
}

std::size_t LaneChanges::spare_lanes() const {
    return static_cast<std::size_t>(std::count_if(streams_.begin(), streams_.end(), [](const LaneState& one) {
        return one.name.empty() && one.part == wire::Part::live;
    }));
}

std::vector<std::string> LaneChanges::why_not(const EdgeConfig& next) const {
    std::vector<std::string> reasons;
    std::size_t spare = spare_lanes();
    for (const LaneConfig& lane : next.lanes) {
        const std::size_t first = find(lane.name);
        if (first == none && lane.is_in_memory()) {
            reasons.push_back("lanes[" + lane.name + "] (a lane in memory is made at a start)");
            continue;
        }
        if (first == none) {
            if (spare-- > 0) continue;
            reasons.push_back("lanes[" + lane.name + "] (no more lanes can be added in this life)");
            return reasons;
        }
        if (streams_[first].is_configured) continue;
        if (lane.is_in_memory() != streams_[first].in_memory) reasons.push_back("lanes[" + lane.name + "].spool");
        // It was removed and comes back: with the parts that it has.
        const bool is_live_first = has_backlog(first) && streams_[first + 1].name == lane.name;
        if (is_live_first != (lane.drain == Drain::live_first)) reasons.push_back("lanes[" + lane.name + "].drain");
    }
    return reasons;
}

std::vector<std::size_t> LaneChanges::take(const EdgeConfig& next) {
    std::vector<std::size_t> named;
    for (LaneState& stream : streams_) {
        if (stream.id == dead_letter_lane) continue;
        const auto is_same = [&](const LaneConfig& lane) { return lane.name == stream.name; };
        stream.is_configured = std::any_of(next.lanes.begin(), next.lanes.end(), is_same);
    }
    for (const LaneConfig& lane : next.lanes) {
        if (find(lane.name) != none) continue;
        std::size_t first = 0;
        while (!streams_[first].name.empty() || streams_[first].part != wire::Part::live) ++first;
        WEIR_ASSERT(has_backlog(first));
        const std::size_t parts = lane.drain == Drain::live_first ? 2 : 1;
        for (std::size_t index = first; index < first + parts; ++index) {
            streams_[index].name = lane.name;
            streams_[index].is_configured = true;
            named.push_back(index);
        }
    }
    return named;
}

std::string LaneChanges::directory_of(std::size_t stream) const {
    return stream_directory(data_dir_, streams_[stream].name, streams_[stream].part);
}

std::unique_ptr<LaneOrders> LaneChanges::orders(const EdgeConfig& config) const {
    auto orders = std::make_unique<LaneOrders>();
    orders->lanes = config.lanes;
    for (std::uint32_t index = 0; index < streams_.size(); ++index) {
        const LaneState& state = streams_[index];
        const bool is_second = index > 0 && streams_[index - 1].id == state.id;
        orders->streams.push_back(
            {.name = state.name,
             .directory = state.name.empty() ? std::string() : directory_of(index),
             .turns = turns_of(config.lanes, state.name, state.part, is_second ? index - 1 : index)});
    }
    return orders;
}

}  // namespace weir::edge
