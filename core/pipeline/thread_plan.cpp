#include "core/pipeline/thread_plan.hpp"

#include <sched.h>

namespace weir {

namespace {

constexpr std::size_t cores_of_one_runner = 2;  // under "auto"

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : "+") + name;
    return text;
}

}  // namespace

std::vector<int> usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cores;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
    return cores;
}

ThreadPlan make_thread_plan(std::string_view plan, const std::vector<std::string>& names, IdlePolicy wanted,
                            const std::vector<int>& cores) {
    const bool is_one = plan == "one" || (plan == "auto" && cores.size() <= cores_of_one_runner);
    const std::vector<std::string> runners = is_one ? std::vector{joined(names)} : names;
    const bool has_core_each = cores.size() >= runners.size();
    const bool has_spare = cores.size() > runners.size();
    const bool pins = plan == "pinned" || (plan == "auto" && has_spare && !is_one);
    ThreadPlan made;
    made.explanation = std::to_string(cores.size()) + " cores, " + std::to_string(runners.size()) +
                       (runners.size() == 1 ? " runner: " : " runners: ");
    made.explanation += pins ? "each on a core" : "not pinned, the kernel places them";
    for (std::size_t index = 0; index < runners.size(); ++index) {
        ThreadPlan::Place place{runners[index], -1, wanted};
        if (pins && !cores.empty()) place.core = cores[(index + (has_spare ? 1 : 0)) % cores.size()];
        const bool owns_core = pins && has_core_each;
        if (wanted == IdlePolicy::spin && !owns_core) place.idle = IdlePolicy::spin_then_park;
        made.places.push_back(place);
        made.explanation += (index == 0 ? " (" : ", ") + place.runner;
        if (place.core >= 0) made.explanation += "=" + std::to_string(place.core);
    }
    made.explanation += ")";
    if (wanted == IdlePolicy::spin && !(pins && has_core_each))
        made.explanation += "; idle = spin needs a core each: parks instead";
    return made;
}

}  // namespace weir
