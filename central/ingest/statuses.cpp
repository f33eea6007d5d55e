// What edges say of themselves: the part of IngestStage that asks for it and keeps it (core/wire/FORMAT.md §5).
#include "central/ingest/ingest.hpp"

namespace weir::central {

// The offer says how far a stream is durable at the edge, whether or not the edge will say more. A stream that has something is
// given its row now, so that what is held of it is known before its first batch.
std::uint32_t IngestStage::take_offer(const PositionKey& key, const wire::LaneOffer& offer) {
    const std::uint32_t row = offer.last_sequence > 0 ? positions_.claim(key, offer.lane_name) : positions_.find(key);
    if (row != no_row) positions_.row(row).edge_sequence.set(offer.last_sequence);
    return row;
}

void IngestStage::take_status(Session& session, ConstBytes body) {
    const auto refused = [&](std::string_view why) { refuse(session, wire::RefusalReason::protocol, why); };
    if (!session.may_say_status || session.wants_welcome) return refused("a status that was not asked for");
    wire::EdgeStatusHead head;
    if (const char* const fault = wire::check_status(body, head); fault != nullptr) return refused(fault);
    // Looked at whole before any of it counts.
    for (std::uint32_t i = 0; i < head.lanes; ++i) {
        const wire::LaneStatus said = wire::lane_status(body, i);
        if (lane_of(session, said.lane, said.part) == nullptr) return refused("a status of a lane that nobody offered");
    }
    for (std::uint32_t i = 0; i < head.lanes; ++i) {
        const wire::LaneStatus said = wire::lane_status(body, i);
        SessionLane& lane = *lane_of(session, said.lane, said.part);
        if (lane.row == no_row && said.last_sequence > 0) {
            claim_row(session, lane, session.lane_credits[lane.credit].name);
        }
        if (lane.row == no_row) continue;
        PositionRow& row = positions_.row(lane.row);
        row.edge_sequence.set(said.last_sequence);
        row.edge_held_bytes.set(said.held_bytes);
        if (wire::is_known(said.lane_class)) row.lane_class.set(1U + static_cast<std::uint64_t>(said.lane_class));
    }
    EdgeRow& edge = positions_.edge(session.edge);
    const std::uint64_t now_wall_ns = io_.wall().value;
    edge.clock_ahead_ns.set(head.wall_ns - now_wall_ns);  // as its two's complement
    edge.rung.set(wire::is_known(head.rung) ? 1U + static_cast<std::uint64_t>(head.rung) : 0);
    edge.status_wall_ns.set(now_wall_ns);
    edge.held_wall_ns.set(now_wall_ns);
    shared_.statuses.add(1);
}

// A row of its own, and the acks of it; none where limits.positions_max are known.
void IngestStage::claim_row(Session& session, SessionLane& lane, const LaneName& name) {
    lane.row = positions_.claim({session.hello.edge_id, session.hello.lineage, lane.lane, lane.part}, name);
    if (lane.row == no_row) return;
    positions_.row(lane.row).hot.session = session.index;
    positions_.row(lane.row).hot.session_lane = static_cast<std::uint32_t>(&lane - session.lanes.data());
}

}  // namespace weir::central
