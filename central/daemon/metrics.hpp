// Central's counters as Prometheus' text; core/metrics/METRICS.md says what each means.
//
// Thread    The admin server's; only atomics and snapshots are read.
#pragma once

#include <array>
#include <vector>

#include "central/api/sources.hpp"
#include "core/control/admin.hpp"
#include "core/control/hops_text.hpp"

namespace weir::central {

[[nodiscard]] control::AdminResponse metrics(const ApiSources& sources);
// In the order of a batch's way; the last is the whole.
[[nodiscard]] std::array<control::Hop, 5> hops_of(const CentralHops& hops);
[[nodiscard]] std::vector<HopTimes> hop_times(const CentralHops& hops);

}  // namespace weir::central
