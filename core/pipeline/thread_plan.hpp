// Thread plan: which core each runner gets, from the cores that this process may use.
//
// Law       Never two spinning threads on one core: a plan pins only when every runner gets a core of its own and one is left for
//           the rest of the process; else runners float and park.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/pipeline/runner.hpp"

namespace weir {

struct ThreadPlan {
    struct Place {
        std::string runner;
        int core = -1;  // -1 = floats
        IdlePolicy idle = IdlePolicy::spin_then_park;
    };
    std::vector<Place> places;
    std::string explanation;  // one line, for `check` and the log
};

// The cores of sched_getaffinity, ascending.
[[nodiscard]] std::vector<int> usable_cores();
// `plan`: "auto", "floating", "pinned" (pins as far as there are cores, and lets runners that share one park) or "one": the stages of
// all runners share one, which floats. So does "auto" on one or two cores: there every hand-over between threads is paid for with time
// that work would have had, and whoever sends and receives wants a core as well.
[[nodiscard]] ThreadPlan make_thread_plan(std::string_view plan, const std::vector<std::string>& runners,
                                          IdlePolicy wanted, const std::vector<int>& cores);

}  // namespace weir
