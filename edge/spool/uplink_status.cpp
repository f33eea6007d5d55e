// Uplink: what this edge says of itself where central asks for it (core/wire/FORMAT.md §5).
#include "core/base/assert.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {

bool Uplink::take_status_ask(ConstBytes body, MonotonicNs now) {
    if (body.size() != sizeof(wire::StatusAsk)) return false;
    const auto ask = wire::load<wire::StatusAsk>(body);
    if (ask.interval_ms < wire::status_interval_ms_min) return false;
    status_interval_ns_ = ask.interval_ms * ns_per_ms;
    status_at_ = now;
    return true;
}

bool Uplink::says_statuses() const {
    const bool has_said_goodbye = goodbye_queued_ && (draining_ || is_leaving_);
    return state_ == UplinkState::live && status_interval_ns_ != 0 && !has_said_goodbye;
}

// How things stand now, with the next send. Precondition: nothing is being sent.
void Uplink::put_status(MonotonicNs now) {
    WEIR_ASSERT(sending_ == Sending::nothing && lanes_.count() <= wire::hello_lanes_max);
    status_at_ = now.plus_ns(status_interval_ns_);
    std::array<std::byte, wire::status_body_bytes_max> body;
    wire::EdgeStatusHead head;
    head.wall_ns = io_.wall().value;
    if (rung_ != nullptr) head.rung = static_cast<wire::Rung>(rung_->get());
    std::size_t at = sizeof head;
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        if (!streams_[index].is_known_there) continue;
        const SpoolLane& lane = lanes_[index];
        wire::LaneStatus one;
        one.lane = lane.state.id;
        one.part = lane.state.part;
        one.lane_class = lane.lane_class;
        one.last_sequence = lane.state.last_sequence;
        one.held_bytes = counters_.lanes[index].bytes.get();  // of this same thread
        wire::store(Bytes{body}.subspan(at), one);
        at += sizeof one;
        ++head.lanes;
    }
    wire::store(Bytes{body}, head);
    queue_control(wire::FrameKind::edge_status, 0, ConstBytes{body}.first(at));
    counters_.statuses.add(1);
}

}  // namespace weir::edge
