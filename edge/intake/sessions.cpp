// Connections: from accept to the last byte.
#include <algorithm>
#include <cstring>
#include <span>

#include "core/wire/replay.hpp"
#include "edge/intake/intake.hpp"

namespace weir::edge {
namespace {

// Of the runs for acks, one in so many.
constexpr std::uint32_t connection_share = 8;  // at most, of acks that a peer does not fetch
constexpr std::uint32_t kept_free_share = 4;   // those who wait for central leave so many to the others

}  // namespace

void Intake::on_accept(const io::Completion& completion, MonotonicNs now) {
    if (completion.result < 0) return;
    if (draining_ || free_connections_.empty()) {
        counters_.refusals_by_reason[static_cast<std::size_t>(wire::RefusalReason::limit)].add(1);
        io_.close(completion.socket);
        return;
    }
    const std::uint32_t index = free_connections_.back();
    free_connections_.pop_back();
    Connection& connection = connections_[index];
    connection.socket = completion.socket;
    connection.session = Session::hello;
    connection.live_at = static_cast<std::uint32_t>(live_.size());
    live_.push_back(index);
    connection.deadline = now.plus_ns(hello_ns_max_);
    connection.label = wire::name_field<64>(io_.peer_address(completion.socket));
    ++connected_;
    counters_.connections_total.add(1);
    io_.receive(connection.socket,
                {.owner = owner_, .kind = receive_kind, .generation = connection.generation, .index = index});
    if (connected_ > connections_max_) {
        refuse(index, wire::RefusalReason::limit, "too many connections");
    } else if (!is_allowed(connection.socket)) {
        refuse(index, wire::RefusalReason::name, "this user may not send here (listen.allowed_uids, allowed_gids)");
    }
}

// Who the lists name; over anything but a Unix socket they say nothing.
bool Intake::is_allowed(io::Socket socket) const {
    if (allowed_users_.empty() && allowed_groups_.empty()) return true;
    const auto peer = io_.peer_credentials(socket);
    if (!peer) return true;
    if (std::find(allowed_users_.begin(), allowed_users_.end(), peer->user) != allowed_users_.end()) return true;
    const auto groups = std::span(peer->groups).first(peer->group_count);
    return std::any_of(groups.begin(), groups.end(), [this](std::uint32_t group) {
        return std::find(allowed_groups_.begin(), allowed_groups_.end(), group) != allowed_groups_.end();
    });
}

void Intake::on_receive(const io::Completion& completion, MonotonicNs now) {
    const std::uint32_t index = completion.token.index;
    Connection& connection = connections_[index];
    const bool is_current = connection.generation == completion.token.generation &&
                            connection.session != Session::free && connection.session != Session::closed;
    const bool is_wanted =
        is_current && connection.session != Session::refused && connection.session != Session::lingering;
    if (completion.result <= 0) {
        if (!is_current) return;
        connection.peer_ended = true;
        connection.peer_failed = completion.result < 0;
        // Nobody is there to be told, and what waits was not taken.
        if (connection.is_waiting && connection.peer_failed) return close(index);
        if (!is_wanted) {
            if (connection.session == Session::lingering) close(index);
            return;
        }
        make_ready(index);
        return;
    }
    if (!is_wanted) {
        io_.release(completion.slot);
        return;
    }
    counters_.received_bytes.add(static_cast<std::uint64_t>(completion.result));
    WEIR_ASSERT(completion.slot < receive_slots_);
    if (!keep(index, completion, now)) return;
    if (connection.held_count >= held_slots_max && !connection.is_paused) {
        connection.is_paused = true;
        io_.pause_receive(connection.socket, true);
    }
    make_ready(index);
}

// Behind what is held of it already.
void Intake::hold(Connection& connection, std::uint32_t slot) {
    held_[slot].next = no_index;
    if (connection.held_tail == no_index) {
        connection.held_head = slot;
    } else {
        held_[connection.held_tail].next = slot;
    }
    connection.held_tail = slot;
    ++connection.held_count;
}

void Intake::make_ready(std::uint32_t index) {
    if (connections_[index].is_ready) return;
    connections_[index].is_ready = true;
    ready_.push_back(index);
}

bool Intake::may_read(const Connection& connection, std::uint32_t index) const {
    // A carried frame that lies in the vector must not move.
    if (connection.in_vector || connection.session == Session::naming || is_held(connection)) return false;
    if (book_.runs_of(index) > book_.runs_count() / connection_share) return false;
    return connection.level != wire::AckLevel::delivered || book_.free_runs() > book_.runs_count() / kept_free_share;
}

namespace {

// What was received lies far away, where the kernel's copy left it. While this frame is cut, those about five ahead of it are fetched; past the
// end of what was received nothing is read. Inlined by force: gcc drops the call of a function that only fetches.
[[gnu::always_inline]] inline void fetch_ahead(ConstBytes frame) noexcept {
    constexpr std::size_t ahead_bytes = 1024;
    constexpr std::size_t frame_bytes_max = 512;  // of a long one the reading fetches the rest
    constexpr std::size_t line_bytes = 64;
    const std::byte* const from = frame.data() + ahead_bytes;
    for (std::size_t at = 0; at < std::min(frame.size(), frame_bytes_max); at += line_bytes)
        __builtin_prefetch(from + at);
}

}  // namespace

inline bool Intake::take_event(std::uint32_t index, Connection& connection, const wire::FrameHeader& header,
                               ConstBytes frame) {
    if ((connection.producer >= 0) != (header.number != 0)) {
        refuse(index, wire::RefusalReason::protocol, "a number without a name, or a name without a number");
        return false;
    }
    if (connection.ordinal >= connection.credit) {
        refuse(index, wire::RefusalReason::protocol, "more events than there was credit for");
        return false;
    }
    EventRef* const event = vector_.try_push(header.body_bytes);
    if (event == nullptr) return false;
    fetch_ahead(frame);
    event->frame = frame.data();
    event->connection = index;
    event->ordinal = ++connection.ordinal;
    event->number = header.number;
    event->received_at = connection.received_at;
    event->producer = connection.producer;
    connection.in_vector = true;
    return true;
}

void Intake::read_some(std::uint32_t index, std::uint32_t events_max) {
    Connection& connection = connections_[index];
    const std::uint32_t slot = connection.held_head;
    connection.look_slot = slot;
    connection.look_offset = connection.held_offset;
    ConstBytes bytes;
    if (slot != no_index) {
        bytes = ConstBytes(held_[slot].bytes, held_[slot].count_bytes).subspan(connection.held_offset);
        connection.received_at = held_[slot].received_at;
    }
    connection.has_stopped = false;
    wire::SplitFault fault = wire::SplitFault::none;
    const std::size_t used = connection.splitter.split(
        bytes, events_max,
        // In line at both places where it is called: it is most of what an event costs here.
        [&](const wire::FrameHeader& header, ConstBytes frame) __attribute__((always_inline)) {
            const bool is_event = header.kind == wire::FrameKind::event && connection.session == Session::open;
            const bool is_taken =
                is_event ? take_event(index, connection, header, frame) : take_frame(index, header, frame);
            connection.has_stopped = !is_taken;
            return is_taken;
        },
        fault);
    if (connection.session == Session::refused || connection.session == Session::closed) return;
    connection.held_offset += static_cast<std::uint32_t>(used);
    if (fault != wire::SplitFault::none) {
        const bool is_large = fault == wire::SplitFault::too_large;
        refuse(index, is_large ? wire::RefusalReason::too_large : wire::RefusalReason::protocol, wire::text(fault));
        return;
    }
    if (slot != no_index && connection.held_offset == held_[slot].count_bytes) {
        connection.held_head = held_[slot].next;
        if (connection.held_head == no_index) connection.held_tail = no_index;
        connection.held_offset = 0;
        --connection.held_count;
        if (connection.in_vector) {
            vector_slots_.push_back(slot);
        } else {
            release_slot(slot);
        }
        if (connection.is_paused && connection.held_count < held_slots_max / 2 && !draining_) {
            connection.is_paused = false;
            io_.pause_receive(connection.socket, false);
        }
    }
    if (connection.held_head != no_index || connection.has_stopped) {
        make_ready(index);
    } else if (connection.peer_ended) {
        // What it sent is judged; without a goodbye nobody is there to be told.
        if (connection.session == Session::ending && !connection.peer_failed) {
            end_if_done(index);
        } else if (connection.in_vector && !connection.peer_failed) {
            connection.wants_end = true;
        } else {
            close(index);
        }
    }
}

bool Intake::take_frame(std::uint32_t index, const wire::FrameHeader& header, ConstBytes frame) {
    Connection& connection = connections_[index];
    switch (connection.session) {
        case Session::hello:
            take_hello(index, header, frame);
            return connection.session != Session::refused;
        case Session::open:
            break;
        case Session::ending:
            refuse(index, wire::RefusalReason::protocol, "a frame after the goodbye");
            return false;
        case Session::free:
        case Session::naming:
        case Session::refused:
        case Session::lingering:
        case Session::closed:
            return false;
    }
    if (header.kind == wire::FrameKind::ping) {
        connection.wants_pong = true;
        connection.pong_number = header.number;
    } else if (header.kind == wire::FrameKind::goodbye) {
        connection.session = Session::ending;
    } else if (header.kind != wire::FrameKind::pong) {
        refuse(index, wire::RefusalReason::protocol, "a frame that is no producer's");
        return false;
    }
    return true;
}

void Intake::take_hello(std::uint32_t index, const wire::FrameHeader& header, ConstBytes frame) {
    Connection& connection = connections_[index];
    const auto no = [&](wire::RefusalReason reason, std::string_view detail) { refuse(index, reason, detail); };
    if (header.kind != wire::FrameKind::producer_hello || header.body_bytes != sizeof(wire::ProducerHello)) {
        return no(wire::RefusalReason::protocol, "a producer's hello comes first");
    }
    const auto hello = wire::load<wire::ProducerHello>(frame.subspan(sizeof header));
    if (hello.magic != wire::hello_magic) return no(wire::RefusalReason::protocol, "wrong magic in the hello");
    if (hello.version != wire::protocol_version) return no(wire::RefusalReason::version, "this edge speaks version 1");
    if (hello.level < wire::AckLevel::received || hello.level > wire::AckLevel::delivered) {
        return no(wire::RefusalReason::protocol, "unknown ack level");
    }
    if (poisoned_) return no(wire::RefusalReason::storage, "the spool's disk failed");
    connection.level = hello.level;
    const std::string_view name = wire::name_of(hello.name);
    if (name.empty()) return welcome(connection);
    if (!wire::is_name(name, wire::producer_name_bytes_max)) {
        return no(wire::RefusalReason::name, "names are [a-z0-9-]{1,64}");
    }
    if (wire::is_replay_name(name)) {
        const auto replay = wire::parse_replay_name(name);
        if (!replay) return no(wire::RefusalReason::name, "names that begin with dead-letters- are those of replays");
        if (replay->edge != identity_.edge_id) {
            return no(wire::RefusalReason::name,
                      "another edge's dead letters: only the one that set them aside knows which were applied");
        }
        if (replay->lineage != identity_.lineage) {
            return no(wire::RefusalReason::name,
                      "dead letters of an earlier spool of this edge: which were applied is not known");
        }
    }
    auto slot = producers_.find(name);
    if (!slot) slot = producers_.add(name);
    if (!slot) return no(wire::RefusalReason::limit, "no more names");
    if (producers_.connection(*slot) != no_connection) return no(wire::RefusalReason::busy, "the name is in use");
    producers_.set_connection(*slot, static_cast<std::int32_t>(index));
    connection.producer = static_cast<std::int32_t>(*slot);
    connection.label = wire::name_field<64>(name);
    if (*slot < checkpointing_.producers_stored()) return welcome(connection);
    // Batches name it by its slot alone: that must outlive a crash before the first of its events may be in one.
    connection.session = Session::naming;
    naming_ = true;
}

void Intake::welcome(Connection& connection) {
    connection.session = Session::open;
    connection.deadline = never;
    connection.rate = judgement_->rate_quota().begin(now_);
    connection.credit = credit_due(connection, now_);
    connection.wants_welcome = true;
    connection.splitter.set_body_bytes_max(wire::frame_body_bytes_max);
}

void Intake::welcome_named() {
    naming_ = false;
    for (std::uint32_t index = 0; index < connections_.size(); ++index) {
        Connection& connection = connections_[index];
        if (connection.session != Session::naming) continue;
        if (static_cast<std::uint32_t>(connection.producer) < checkpointing_.producers_stored()) {
            welcome(connection);
        } else {
            naming_ = true;
        }
    }
}

void Intake::refuse(std::uint32_t index, wire::RefusalReason reason, std::string_view detail) {
    Connection& connection = connections_[index];
    switch (connection.session) {
        case Session::free:
        case Session::refused:
        case Session::lingering:
        case Session::closed:
            return;
        case Session::hello:
        case Session::naming:
        case Session::open:
        case Session::ending:
            break;
    }
    counters_.refusals_by_reason[static_cast<std::size_t>(reason)].add(1);
    connection.session = Session::refused;
    connection.wants_refusal = true;
    connection.wants_welcome = connection.wants_pong = false;
    connection.refusal = wire::Refusal{};
    connection.refusal.reason = reason;
    std::memcpy(connection.refusal.detail.data(), detail.data(),
                std::min(detail.size(), connection.refusal.detail.size() - 1));
    drop_held(connection);
    // Lets what the peer still sends arrive and be thrown away.
    if (connection.is_paused) io_.pause_receive(connection.socket, false);
    connection.is_paused = false;
}

void Intake::drop_held(Connection& connection) {
    if (connection.is_waiting) stop_waiting(connection);
    while (connection.held_head != no_index) {
        const std::uint32_t slot = connection.held_head;
        connection.held_head = held_[slot].next;
        // The first may hold frames that lie in the vector.
        if (connection.in_vector) {
            vector_slots_.push_back(slot);
        } else {
            release_slot(slot);
        }
    }
    connection.held_tail = no_index;
    connection.held_count = 0;
    connection.held_offset = 0;
}

void Intake::release_slot(std::uint32_t slot) {
    if (slot >= receive_slots_) return parked_.give_back(slot - receive_slots_);
    --slots_held_;
    io_.release(slot);
}

void Intake::end_if_done(std::uint32_t index) {
    Connection& connection = connections_[index];
    if (connection.session != Session::ending || connection.acked != connection.ordinal || connection.in_vector) return;
    if (connection.sending || connection.wants_goodbye || connection.closes_after_send) return;
    connection.wants_goodbye = true;
    if (connection.producer >= 0) producers_.said_goodbye(static_cast<std::uint32_t>(connection.producer));
}

void Intake::close(std::uint32_t index) {
    Connection& connection = connections_[index];
    if (connection.session == Session::free || connection.session == Session::closed) return;
    if (connection.in_vector) {
        connection.wants_close = true;
        return;
    }
    drop_held(connection);
    io_.close(connection.socket);
    connection.session = Session::closed;
    ++connection.generation;
    book_.forget(index);
    if (connection.producer >= 0)
        producers_.set_connection(static_cast<std::uint32_t>(connection.producer), no_connection);
    connection.splitter.reset();
    --connected_;
    free_if_done(index);
}

void Intake::free_if_done(std::uint32_t index) {
    Connection& old = connections_[index];
    if (old.session != Session::closed || old.sending) return;
    old.socket = io::Socket{};
    old.session = Session::free;
    // The last takes its place.
    WEIR_ASSERT(live_[old.live_at] == index);
    connections_[live_.back()].live_at = old.live_at;
    live_[old.live_at] = live_.back();
    live_.pop_back();
    old.live_at = no_index;
    old.level = wire::AckLevel::spooled;
    old.producer = -1;
    old.label = {};
    old.ordinal = old.acked = old.credit = 0;
    old.is_paused = old.peer_ended = old.peer_failed = old.has_stopped = old.wants_close = false;
    old.wants_end = old.is_held_back = old.is_waiting = false;
    old.wants_welcome = old.wants_pong = old.wants_goodbye = old.wants_refusal = false;
    old.is_held = false;
    old.records = {};
    old.letters = {};
    old.rate = {};
    old.is_at_rate = false;
    old.rung_told = wire::Rung::healthy;
    old.closes_after_send = false;
    old.deadline = old.carry_since = never;
    free_connections_.push_back(index);
}

}  // namespace weir::edge
