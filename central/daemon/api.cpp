#include "central/daemon/api.hpp"

#include <string>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/page.hpp"
#include "central/api/problem.hpp"
#include "central/daemon/metrics.hpp"
#include "core/control/hops_text.hpp"

namespace weir::central {
namespace {

using control::AdminResponse;

AdminResponse ready(const ApiSources& sources) {
    ListText reasons;
    const auto all = unready_reasons(sources);
    for (const auto& why : all) reasons.add_text(why);
    return json_answer(ObjectText().truth("ready", all.empty()).raw("reasons", reasons.end()).end(),
                       all.empty() ? 200 : 503);
}

}  // namespace

AdminResponse answer(const ApiSources& sources, std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    if (path == "/healthz") {
        const bool is_alive = sources.is_alive.load(std::memory_order_relaxed);
        return json_answer(ObjectText().truth("healthy", is_alive).end(), is_alive ? 200 : 503);
    }
    if (path == "/readyz") return ready(sources);
    if (path == "/metrics") return metrics(sources);
    if (path == "/api/v1/latency") return tagged_answer(control::hops_json(hops_of(sources.shared.hops)));
    if (auto page = answer_page(target)) return std::move(*page);
    if (auto answered = answer_api(sources, target)) return std::move(*answered);
    return problem(404, "there is no such path");
}

}  // namespace weir::central
