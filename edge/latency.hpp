// Latency: the edge's hops (edge/hops.hpp) as the admin port tells them.
//
// Thread    Control threads.
#pragma once

#include <string>

#include "core/control/metrics_text.hpp"
#include "edge/counters.hpp"

namespace weir::edge {

// The body of GET /api/v1/latency; core/control/hops_text.hpp.
[[nodiscard]] std::string latency_json(const EdgeCounters& counters);
// weir_edge_hop_seconds, and the wholes weir_edge_spooled_ack_seconds and weir_edge_delivered_ack_seconds.
void append_latency(control::MetricsText& text, const EdgeCounters& counters);

}  // namespace weir::edge
