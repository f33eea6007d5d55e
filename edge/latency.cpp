#include "edge/latency.hpp"

#include <array>

#include "core/control/hops_text.hpp"

namespace weir::edge {
namespace {

// In the order in which an event passes them, the wholes last.
std::array<control::Hop, 10> hops_of(const EdgeCounters& counters) {
    const IntakeHops& intake = counters.intake.hops;
    const SpoolHops& spool = counters.spool.hops;
    return {{{"judged", "received", intake.judged},
             {"batched", "judged", intake.batched},
             {"written", "batched", spool.written},
             {"spooled", "written", spool.spooled},
             {"spooled_said", "spooled", intake.spooled_said},
             {"sent", "spooled", spool.sent},
             {"delivered", "sent", spool.delivered},
             {"delivered_said", "delivered", intake.delivered_said},
             {"spooled_ack", "received", intake.spooled_ack, true},
             {"delivered_ack", "received", intake.delivered_ack, true}}};
}

}  // namespace

std::string latency_json(const EdgeCounters& counters) {
    return control::hops_json(hops_of(counters));
}

void append_latency(control::MetricsText& text, const EdgeCounters& counters) {
    control::append_hops(text, "weir_edge_hop_seconds", hops_of(counters));
    text.histogram("weir_edge_spooled_ack_seconds", "From receive to the spooled ack, of those that asked for it", {},
                   counters.intake.hops.spooled_ack);
    text.histogram("weir_edge_delivered_ack_seconds", "From receive to the delivered ack, of those that asked for it",
                   {}, counters.intake.hops.delivered_ack);
}

}  // namespace weir::edge
