// The content of a spool's checkpoint: it is refused, or encoding what was read gives the same bytes.
#include "edge/spool/spool_checkpoint.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace weir;
    const ConstBytes content = std::as_bytes(std::span(data, bytes));
    const auto checkpoint = edge::decode_spool_checkpoint(content);
    if (!checkpoint) return 0;
    for (const edge::SpoolLane& lane : checkpoint->lanes) {
        WEIR_ASSERT(lane.state.delivered_sequence <= lane.state.last_sequence);
    }
    const auto again = edge::encode(*checkpoint);
    WEIR_ASSERT(std::equal(again.begin(), again.end(), content.begin(), content.end()));
    return 0;
}
