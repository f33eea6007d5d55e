#include "core/wire/status.hpp"

namespace weir::wire {

const char* check_status(ConstBytes body, EdgeStatusHead& head) noexcept {
    if (body.size() < sizeof(EdgeStatusHead)) return "a status is cut";
    head = load<EdgeStatusHead>(body);
    if (head.lanes > hello_lanes_max) return "a status of more lanes than 64";
    if (body.size() != sizeof head + head.lanes * sizeof(LaneStatus))
        return "a status's length does not match its lanes";
    for (std::uint32_t i = 0; i < head.lanes; ++i) {
        const LaneStatus one = lane_status(body, i);
        if (one.part > Part::backlog) return "a status of a part that there is not";
        for (std::uint32_t before = 0; before < i; ++before) {
            const LaneStatus other = lane_status(body, before);
            if (other.lane == one.lane && other.part == one.part) return "a status names a lane twice";
        }
    }
    return nullptr;
}

LaneStatus lane_status(ConstBytes body, std::uint32_t index) noexcept {
    return load<LaneStatus>(body.subspan(sizeof(EdgeStatusHead) + index * sizeof(LaneStatus)));
}

}  // namespace weir::wire
