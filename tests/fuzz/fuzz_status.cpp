// A status of an edge: refused, or all of it can be read and written again to the same bytes, and names nothing twice.
//
// Input     the body of an edge_status.
#include <set>

#include "core/wire/status.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

void look_at(ConstBytes body) {
    wire::EdgeStatusHead head;
    if (wire::check_status(body, head) != nullptr) return;
    WEIR_ASSERT(head.lanes <= wire::hello_lanes_max);
    std::vector<std::byte> again(sizeof head + head.lanes * sizeof(wire::LaneStatus));
    wire::store(again, head);
    std::set<std::pair<LaneId, wire::Part>> named;
    for (std::uint32_t i = 0; i < head.lanes; ++i) {
        const wire::LaneStatus one = wire::lane_status(body, i);
        WEIR_ASSERT(one.part <= wire::Part::backlog && named.emplace(one.lane, one.part).second);
        WEIR_ASSERT(is_known(one.lane_class) == (text(one.lane_class) != "unknown"));
        wire::store(Bytes(again).subspan(sizeof head + i * sizeof one), one);
    }
    WEIR_ASSERT(std::equal(again.begin(), again.end(), body.begin(), body.end()));
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    look_at(std::as_bytes(std::span(data, bytes)));
    return 0;
}
