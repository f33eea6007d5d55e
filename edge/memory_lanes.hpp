// Lanes in memory, as a start finds them: what the checkpoint says of them, and what the life before took along.
//
// Thread    Control thread, at start.
// Law       No sequence that an earlier life may have sent is given out again (edge/spool/sequence_promise.hpp).
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "edge/config.hpp"
#include "edge/spool/lane_table.hpp"

namespace weir::edge {

[[nodiscard]] bool lives_in_memory(const EdgeConfig& config, std::string_view lane);
// What the checkpoint was when it was loaded.
struct CheckpointFound {
    bool is_usable = false;
    bool has_lost_copy = false;  // the newer one, perhaps
    bool is_new_spool = false;   // nothing was ever promised
};
// Each of `lanes` that lives in memory now begins behind what was promised; what is worth a word goes to `faults`. Fails where no random
// number can be had.
[[nodiscard]] Status begin_memory_lanes(const EdgeConfig& config, const CheckpointFound& found,
                                        std::vector<SpoolLane>& lanes, std::vector<std::string>& faults);

}  // namespace weir::edge
