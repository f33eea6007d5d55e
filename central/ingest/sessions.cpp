// Sessions from accept to close: the part of IngestStage that admits them, gives them their lanes, and sees who is silent.
#include <algorithm>
#include <cstring>

#include "central/ingest/ingest.hpp"
#include "core/base/assert.hpp"

namespace weir::central {

void IngestStage::on_accept(const io::Completion& completion, MonotonicNs now) {
    if (completion.result < 0 || !completion.socket.is_valid()) return;
    if (is_draining_ || unused_.empty()) {
        shared_.refusals[static_cast<std::size_t>(wire::RefusalReason::limit)].add(1);
        io_.close(completion.socket);
        return;
    }
    const std::uint32_t index = unused_.back();
    unused_.pop_back();
    Session& session = *sessions_[index];
    session.socket = completion.socket;
    session.state = State::hello;
    session.since = now;
    session.heard = now;
    ++live_sessions_;
    shared_.accepted.add(1);
    shared_.connections.set(live_sessions_);
    io_.receive(session.socket, token(Kind::receive, index, session.generation));
}

void IngestStage::take_hello(std::uint32_t index, ConstBytes body, MonotonicNs now) {
    Session& session = *sessions_[index];
    const auto refused = [&](wire::RefusalReason reason, std::string_view why) { refuse(session, reason, why); };
    wire::EdgeHello hello;
    if (const auto fault = fault_of(body, hello)) return refused(fault->reason, fault->why);
    const auto name = wire::name_of(hello.edge_id);
    if (!io_.may_claim(session.socket, "edge", name)) {
        return refused(wire::RefusalReason::name, "the certificate is another edge's");
    }
    if (shared_.poison_errno.get() != 0) return refused(wire::RefusalReason::storage, "the journal cannot be written");
    if (!hello_pace_.admit(now)) {
        const std::uint64_t wait_ns = hello_pace_.take_turn(now);
        refused(wire::RefusalReason::limit, "more than limits.hellos_per_second");
        session.refusal.after_ms = static_cast<std::uint16_t>(wait_ns / ns_per_ms + 1);
        return;
    }
    const std::uint32_t edge = positions_.claim_edge({hello.edge_id, hello.lineage});
    if (edge == no_row) return refused(wire::RefusalReason::limit, "limits.edges_max edge lineages are known");
    if (hello.epoch < positions_.edge(edge).epoch.get()) {
        return refused(wire::RefusalReason::fenced, "a newer epoch is known");
    }
    if (!take_over(session, hello)) {
        return refused(wire::RefusalReason::busy, "this edge is connected already");
    }
    if (const auto fault = take_offers(index, hello, body.subspan(sizeof hello))) {
        return refused(fault->reason, fault->why);
    }
    begin_session(index, hello, edge);
}

// What is wrong with a hello's bytes; `hello` is whole where nothing is.
std::optional<IngestStage::Fault> IngestStage::fault_of(ConstBytes body, wire::EdgeHello& hello) {
    if (body.size() < sizeof hello) return Fault{wire::RefusalReason::protocol, "hello is cut"};
    hello = wire::load<wire::EdgeHello>(body);
    if (hello.magic != wire::hello_magic) return Fault{wire::RefusalReason::protocol, "hello has no magic"};
    if (hello.version != wire::protocol_version) {
        return Fault{wire::RefusalReason::version, "this central speaks version 1"};
    }
    if (hello.lanes > lanes_max) return Fault{wire::RefusalReason::limit, "more lanes than 64"};
    if (body.size() != sizeof hello + hello.lanes * sizeof(wire::LaneOffer)) {
        return Fault{wire::RefusalReason::protocol, "hello's length does not match its lanes"};
    }
    const auto name = wire::name_of(hello.edge_id);
    if (!wire::is_name(name, wire::edge_id_bytes_max) ||
        wire::name_field<wire::edge_id_bytes_max>(name) != hello.edge_id) {
        return Fault{wire::RefusalReason::name, "edge_id must be [a-z0-9-]{1,32}"};
    }
    return std::nullopt;
}

// A newer process (or a new lineage) replaces those of its edge that are here. False: this one is here already.
bool IngestStage::take_over(const Session& session, const wire::EdgeHello& hello) {
    for (const auto& other : sessions_) {
        if (other.get() == &session || other->state != State::live || other->hello.edge_id != hello.edge_id) continue;
        if (other->hello.lineage == hello.lineage && other->hello.epoch == hello.epoch) return false;
        refuse(*other, wire::RefusalReason::fenced, "a newer instance of this edge has connected");
    }
    return true;
}

std::optional<IngestStage::Fault> IngestStage::take_offers(std::uint32_t index, const wire::EdgeHello& hello,
                                                           ConstBytes offers) {
    Session& session = *sessions_[index];
    session.lane_count = session.credit_count = 0;
    session.has_both_journals = false;
    for (std::uint32_t i = 0; i < hello.lanes; ++i) {
        const auto offer = wire::load<wire::LaneOffer>(offers.subspan(i * sizeof(wire::LaneOffer)));
        if (offer.part > wire::Part::backlog ||
            !wire::is_name(wire::name_of(offer.lane_name), wire::lane_name_bytes_max)) {
            return Fault{wire::RefusalReason::name, "a lane's name or part is not allowed"};
        }
        if (lane_of(session, offer.lane, offer.part) != nullptr) {
            return Fault{wire::RefusalReason::protocol, "a lane is offered twice"};
        }
        const std::uint32_t row = take_offer({hello.edge_id, hello.lineage, offer.lane, offer.part}, offer);
        add_lane(session, offer.lane, offer.part, offer.lane_name).row = row;
        if (row != no_row) {
            positions_.row(row).hot.session = index;
            positions_.row(row).hot.session_lane = session.lane_count - 1;
        }
    }
    return std::nullopt;
}

void IngestStage::begin_session(std::uint32_t index, const wire::EdgeHello& hello, std::uint32_t edge) {
    Session& session = *sessions_[index];
    session.hello = hello;
    session.edge = edge;
    session.quota = shared_.quota.claim(hello.edge_id);
    session.state = State::live;
    session.wants_welcome = true;
    if ((hello.features & wire::edge_feature_tables) != 0) {
        tables_.begin(index, (hello.features & wire::edge_feature_rows) != 0);
    }
    session.may_say_status =
        (hello.features & wire::edge_feature_status) != 0 && config_.listen.status_interval_ms != 0;
    open_credit(session);
    speak(session);
    session.splitter.set_body_bytes_max(wire::frame_body_bytes_max);
    EdgeRow& known = positions_.edge(edge);
    known.epoch.set(hello.epoch);
    known.connected.set(1);
    known.connections.add(1);
    known.last_seen_wall_ns.set(io_.wall().value);
    known.held_wall_ns.set(io_.wall().value);
}

IngestStage::SessionLane& IngestStage::add_lane(Session& session, LaneId lane, wire::Part part, const LaneName& name) {
    WEIR_ASSERT(session.lane_count < lanes_max);
    std::uint8_t credit = 0;
    while (credit < session.credit_count && session.lane_credits[credit].lane != lane) ++credit;
    if (credit == session.credit_count) {
        ++session.credit_count;
        session.lane_credits[credit] = {.lane = lane, .name = name, .window = window_of(name)};
    }
    const bool is_letters = lane == dead_letter_lane;
    for (std::uint32_t i = 0; i < session.lane_count; ++i) {
        if ((session.lanes[i].lane == dead_letter_lane) != is_letters) session.has_both_journals = true;
    }
    SessionLane& added = session.lanes[session.lane_count++];
    added = {.lane = lane, .part = part, .credit = credit};
    return added;
}

void IngestStage::refuse(Session& session, wire::RefusalReason reason, std::string_view detail) {
    if (session.state != State::hello && session.state != State::live) return;
    shared_.refusals[static_cast<std::size_t>(reason)].add(1);
    session.refusal = {};
    session.refusal.reason = reason;
    std::memcpy(session.refusal.detail.data(), detail.data(),
                std::min(detail.size(), session.refusal.detail.size() - 1));
    session.wants_refusal = true;
    session.wants_welcome = session.wants_credit = false;
    speak(session);
    close_credit(session);
    leave_carry_queue(session);
    if (session.edge != no_row) positions_.edge(session.edge).connected.set(0);
    session.edge = no_row;
    // The connection stays for a moment and is read to nowhere, so that the refusal is not lost to a reset.
    session.state = State::refused;
    session.since = io_.now();
    release_held(session);
    if (session.is_paused) {
        session.is_paused = false;
        io_.pause_receive(session.socket, false);
    }
}

void IngestStage::release_held(Session& session) {
    while (session.held_head != io::no_slot) release_slot(session);
}

void IngestStage::close_session(Session& session) {
    if (session.state == State::unused || session.state == State::closing) return;
    release_held(session);
    close_credit(session);
    leave_carry_queue(session);
    if (session.edge != no_row) {
        EdgeRow& known = positions_.edge(session.edge);
        known.connected.set(0);
        known.last_seen_wall_ns.set(io_.wall().value);
    }
    session.edge = no_row;
    io_.close(session.socket);
    session.state = State::closing;
    if (!session.is_sending) free_session(session);  // else its send's completion does
}

void IngestStage::free_session(Session& session) {
    const std::uint32_t index = session.index;
    for (std::uint32_t i = 0; i < session.lane_count; ++i) {
        if (session.lanes[i].row == no_row) continue;
        auto& hot = positions_.row(session.lanes[i].row).hot;
        if (hot.session == index) hot.session = no_session;
    }
    session.splitter.reset();
    tables_.end(index);
    session.state = State::unused;
    ++session.generation;
    session.is_sending = session.is_paused = session.is_blocked = false;
    session.wants_welcome = session.wants_credit = session.wants_pong = session.wants_ping = false;
    session.wants_refusal = session.wants_goodbye = session.wants_ack = session.has_more_credit = false;
    session.may_say_status = false;
    session.lane_count = session.credit_count = 0;
    session.hello = {};
    session.received = session.durable = {};
    session.quota = no_row;
    unused_.push_back(index);
    --live_sessions_;
    shared_.connections.set(live_sessions_);
}

void IngestStage::leave_carry_queue(Session& session) {
    if (std::exchange(session.needs_carry, false)) std::erase(carry_waiting_, session.index);
}

void IngestStage::sweep(MonotonicNs now) {
    next_sweep_ = now.plus_ns(sweep_ns);
    const std::uint64_t silent_ns = config_.listen.silent_ms_max * ns_per_ms;
    for (const auto& one : sessions_) {
        Session& session = *one;
        switch (session.state) {
            case State::unused:
            case State::closing:
                break;
            case State::hello:
                if (now.since(session.since) > config_.listen.hello_ms_max * ns_per_ms) {
                    refuse(session, wire::RefusalReason::protocol, "no hello within listen.hello_ms_max");
                }
                break;
            case State::live:
                if (session.is_sending && now.since(session.sent) > silent_ns * silences_unread_max) {
                    // It may still be heard, but what it does not read holds memory that others wait for.
                    close_session(session);
                    break;
                }
                look_at_quota(session, now);
                if (share_.grant(session.credit) > 0) {  // what others have left
                    session.wants_credit = session.has_more_credit = true;
                    speak(session);
                }
                if (session.is_blocked || session.is_paused) {
                    session.heard = now;  // it is we who do not listen
                    session.half_sent_since = now;
                } else if (!carry_waiting_.empty() && session.splitter.is_half_sent() &&
                           now.since(session.half_sent_since) > config_.listen.frame_ms_max * ns_per_ms) {
                    refuse(session, wire::RefusalReason::limit, "a frame was left half sent while others wait");
                    break;
                } else if (now.since(session.heard) > silent_ns) {
                    close_session(session);
                } else if (now.since(session.heard) > silent_ns / 2) {
                    session.wants_ping = true;
                    speak(session);
                }
                if (session.edge != no_row && now.since(session.heard) <= sweep_ns) {
                    positions_.edge(session.edge).last_seen_wall_ns.set(io_.wall().value);
                }
                break;
            case State::refused:
                if (now.since(session.since) > linger_ns_max) close_session(session);
                break;
        }
    }
}

}  // namespace weir::central
