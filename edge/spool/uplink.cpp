#include "edge/spool/uplink.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"
#include "core/wire/control.hpp"

namespace weir::edge {
namespace {

// Frames from central are small: a part of a table is the largest.
constexpr std::uint32_t central_frame_body_bytes_max = wire::table_frame_body_bytes_max;
static_assert(central_frame_body_bytes_max >=
              sizeof(wire::EdgeWelcome) + wire::hello_lanes_max * sizeof(wire::LanePosition));
constexpr std::uint32_t hello_bytes_max =
    wire::frame_bytes(sizeof(wire::EdgeHello) + wire::hello_lanes_max * sizeof(wire::LaneOffer));
constexpr std::uint32_t control_bytes_max = hello_bytes_max + 4096;

// Token::index of the session's own operations and of the probe's.
constexpr std::uint32_t session_index = 0;
constexpr std::uint32_t probe_index = 1;

template <class T>
ConstBytes bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

}  // namespace

Uplink::Uplink(io::Io& io, std::uint8_t owner, UplinkKinds kinds, UplinkOptions options, const SpoolIdentity& identity,
               LaneTable& lanes, JournalReader& reader, BatchPool& pool, IntakeNotes& notes, SpoolCounters& counters,
               SpoolExtent extent)
    : io_(io),
      owner_(owner),
      kinds_(kinds),
      options_(std::move(options)),
      identity_(identity),
      lanes_(lanes),
      reader_(reader),
      pool_(pool),
      notes_(notes),
      counters_(counters),
      extent_(extent),
      endpoints_({.endpoints = options_.centrals.size(),
                  .pause_ms_min = options_.reconnect_ms_min,
                  .pause_ms_max = options_.reconnect_ms_max,
                  .breaker_failures = options_.breaker_failures,
                  .breaker_ms = options_.breaker_ms,
                  .seed = options_.jitter_seed}),
      return_({.return_ms = options_.return_ms,
               .return_stable_ms = options_.return_stable_ms,
               .seed = options_.jitter_seed}),
      probe_(io,
             {.owner = owner,
              .connect = kinds.connect,
              .receive = kinds.receive,
              .send = kinds.send,
              .index = probe_index},
             options_.silent_ms_max * ns_per_ms),
      carry_pool_(1, central_frame_body_bytes_max),
      splitter_(carry_pool_, central_frame_body_bytes_max),
      // Half of the pool may wait here for credit; the other half stays for batches to be filled and written.
      memory_(std::max<std::size_t>(1, pool.count() / 2)),
      unacked_(unacked_max) {
    WEIR_ASSERT(!options_.centrals.empty());
    control_waiting_.reserve(control_bytes_max);
    control_sending_.reserve(control_bytes_max);
}

bool Uplink::offer(const DurableBatch& batch) {
    const Position before = extent_.durable_end;
    extent_.durable_end = batch.end;
    if (state_ != UplinkState::live || is_leaving_ || memory_count_ == memory_.size()) return false;
    if (!reader_.has_passed(before)) return false;
    memory_[(memory_head_ + memory_count_++) % memory_.size()] = batch;
    reader_.skip_to(batch.end);
    return true;
}

std::size_t Uplink::do_work(MonotonicNs now) {
    std::size_t work = 0;
    if (state_ == UplinkState::closing) finish_closing(now);
    if (state_ == UplinkState::waiting && !draining_ && now >= retry_at_) {
        connect(now);
        ++work;
    }
    if (state_ == UplinkState::waiting || state_ == UplinkState::closing) return work;
    if (now.since(heard_at_) >= options_.silent_ms_max * ns_per_ms) {
        lose(now, endpoints_.failed(now));
        return work + 1;
    }
    if (draining_ && now >= drain_until_) {
        lose(now, options_.reconnect_ms_max);
        return work + 1;
    }
    if (state_ == UplinkState::live) {
        const std::uint64_t ping_ns = options_.ping_ms * ns_per_ms;
        if (now.since(heard_at_) >= ping_ns && now.since(pinged_at_) >= ping_ns) {
            pinged_at_ = now;
            queue_control(wire::FrameKind::ping, ++ping_number_, {});
        }
        const bool has_all_delivered =
            unacked_count_ == 0 && memory_count_ == 0 && reader_.is_caught_up(extent_.durable_end);
        if (draining_ && has_all_delivered) {
            if (!goodbye_queued_) {
                goodbye_queued_ = true;
                queue_control(wire::FrameKind::goodbye, 0, {});
            } else if (sending_ == Sending::nothing && control_waiting_.empty()) {
                lose(now, options_.reconnect_ms_max);
                return work + 1;
            }
        }
        work += look_for_preferred(now);
        if (is_leaving_ && leave_when_acked(now)) return work + 1;
    }
    return work + pump(now);
}

// Asks more preferred centrals whether they are there; begins to leave for one that has answered for long enough.
std::size_t Uplink::look_for_preferred(MonotonicNs now) {
    if (draining_ || is_leaving_) return 0;
    std::size_t work = 0;
    if (const auto is_there = probe_.take_outcome(now)) {
        ++work;
        if (*is_there) counters_.probes_answered.add(1);
        if (return_.answered(*is_there, now)) {
            is_leaving_ = true;
            goodbye_queued_ = false;
            leave_until_ = now.plus_ns(options_.drain_ms_max * ns_per_ms);
            return work;
        }
    }
    if (!probe_.is_idle()) return work;
    if (const auto index = return_.ask(now)) {
        ++work;
        counters_.probes.add(1);
        probe_.begin(options_.centrals[*index], now);
    }
    return work;
}

// True: the session has ended, all of it acked or the time for that over, and the next goes to the preferred central.
bool Uplink::leave_when_acked(MonotonicNs now) {
    const bool is_late = now >= leave_until_;
    if (!is_late && (unacked_count_ > 0 || sending_ != Sending::nothing || !control_waiting_.empty())) return false;
    if (!is_late && !goodbye_queued_) {
        goodbye_queued_ = true;
        queue_control(wire::FrameKind::goodbye, 0, {});
        return false;
    }
    lose(now, 0);
    return true;
}

// Central has done what only one that is well does: acked, or answered a ping.
void Uplink::note_proof(MonotonicNs now) {
    endpoints_.proved();
    note_breakers(now);
}

void Uplink::note_breakers(MonotonicNs now) {
    for (std::size_t index = 0; index < endpoints_.endpoints(); ++index) {
        counters_.breakers[index].set(static_cast<std::uint64_t>(endpoints_.breaker(index, now)));
    }
}

MonotonicNs Uplink::next_deadline() const {
    switch (state_) {
        case UplinkState::waiting:
            return draining_ ? never : retry_at_;
        case UplinkState::connecting:
        case UplinkState::greeting:
        case UplinkState::live: {
            MonotonicNs at = heard_at_.plus_ns(options_.silent_ms_max * ns_per_ms);
            if (state_ == UplinkState::live) {
                at = std::min(at, std::max(heard_at_, pinged_at_).plus_ns(options_.ping_ms * ns_per_ms));
                const bool may_read = memory_count_ == 0 && !reader_.is_reading();
                if (may_read && reader_.retry_at().value != 0) at = std::min(at, reader_.retry_at());
                at = std::min(at, probe_.next_deadline());
                if (!draining_ && probe_.is_idle()) at = std::min(at, return_.next_at());
                if (is_leaving_) at = std::min(at, leave_until_);
            }
            return draining_ ? std::min(at, drain_until_) : at;
        }
        case UplinkState::closing:
            return never;  // a completion ends it
    }
    return never;
}

void Uplink::drain(MonotonicNs now) {
    if (draining_) return;
    draining_ = true;
    is_leaving_ = false;
    goodbye_queued_ = false;
    probe_.cancel();
    drain_until_ = now.plus_ns(options_.drain_ms_max * ns_per_ms);
    if (state_ == UplinkState::connecting || state_ == UplinkState::greeting) lose(now, options_.reconnect_ms_max);
}

bool Uplink::is_drained() const {
    return draining_ && state_ == UplinkState::waiting && probe_.is_idle();
}

void Uplink::connect(MonotonicNs now) {
    WEIR_ASSERT(sending_ == Sending::nothing && memory_count_ == 0 && !reader_.is_reading());
    ++generation_;
    is_over_ = false;
    heard_at_ = pinged_at_ = now;
    counters_.endpoint.set(endpoints_.endpoint());
    note_breakers(now);
    auto socket =
        io_.connect(io::Address{options_.centrals[endpoints_.endpoint()]},
                    {.owner = owner_, .kind = kinds_.connect, .generation = generation_, .index = session_index});
    if (!socket) {
        retry_at_ = now.plus_ns(endpoints_.failed(now) * ns_per_ms);
        return_.lost(now);
        return;
    }
    socket_ = socket.value();
    state_ = UplinkState::connecting;
}

bool Uplink::on_completion(const io::Completion& completion, MonotonicNs now) {
    const io::Token token = completion.token;
    const bool is_socket = token.kind == kinds_.connect || token.kind == kinds_.receive || token.kind == kinds_.send;
    if (is_socket && token.index == probe_index) {
        probe_.on_completion(completion);
        return true;
    }
    if (token.kind == kinds_.read) {
        reader_.on_completion(completion);
        counters_.damaged_records.set(reader_.damaged_records());
        counters_.read_back_bytes.set(reader_.read_bytes());
        if (state_ == UplinkState::closing) finish_closing(now);
        return true;
    }
    if (token.kind == kinds_.send) {
        // One send at a time, and no new session before it is through: it is always the one that sending_ names.
        WEIR_ASSERT(sending_ != Sending::nothing);
        sent(now);
        if (state_ == UplinkState::closing) {
            finish_closing(now);
        } else if (completion.result < 0) {
            lose(now, state_ == UplinkState::live ? endpoints_.lost(now) : endpoints_.failed(now));
        } else {
            (void)pump(now);
        }
        return true;
    }
    const bool is_stale =
        token.generation != generation_ || state_ == UplinkState::waiting || state_ == UplinkState::closing;
    if (token.kind == kinds_.connect) {
        if (is_stale || state_ != UplinkState::connecting) return true;
        if (completion.result < 0) {
            lose(now, endpoints_.failed(now));
        } else {
            greet(now);
        }
        return true;
    }
    if (token.kind == kinds_.receive) {
        if (!is_stale) {
            if (completion.result <= 0) {
                const bool was_live = state_ == UplinkState::live;
                lose(now, was_live ? endpoints_.lost(now) : endpoints_.failed(now));
            } else {
                take_bytes(completion, now);
            }
        }
        if (completion.slot != io::no_slot) io_.release(completion.slot);
        return true;
    }
    return false;
}

void Uplink::greet(MonotonicNs now) {
    state_ = UplinkState::greeting;
    heard_at_ = now;
    splitter_.reset(central_frame_body_bytes_max);
    control_waiting_.clear();
    std::array<std::byte, sizeof(wire::EdgeHello) + wire::hello_lanes_max * sizeof(wire::LaneOffer)> body;
    wire::EdgeHello hello;
    hello.lanes = static_cast<std::uint16_t>(lanes_.count());
    hello.edge_id = wire::name_field<wire::edge_id_bytes_max>(identity_.edge_id);
    hello.lineage = identity_.lineage;
    hello.epoch = identity_.epoch;
    hello.config_digest = identity_.config_digest;
    if (tables_ != nullptr) {
        hello.features = wire::edge_feature_tables;
        tables_->begin_session();
    }
    wire::store(Bytes{body}, hello);
    std::size_t at = sizeof(hello);
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        const LaneState& lane = lanes_[index].state;
        wire::LaneOffer offered;
        offered.lane = lane.id;
        offered.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane.name);
        offered.oldest_sequence = lane.delivered_sequence + 1;
        offered.last_sequence = lane.last_sequence;
        wire::store(Bytes{body}.subspan(at), offered);
        at += sizeof(offered);
    }
    queue_control(wire::FrameKind::edge_hello, 0, ConstBytes{body}.first(at));
    io_.receive(socket_, {.owner = owner_, .kind = kinds_.receive, .generation = generation_, .index = session_index});
    (void)pump(now);
}

void Uplink::take_bytes(const io::Completion& completion, MonotonicNs now) {
    heard_at_ = now;
    ConstBytes bytes{completion.bytes, static_cast<std::size_t>(completion.result)};
    wire::SplitFault fault = wire::SplitFault::none;
    const auto take = [&](const wire::FrameHeader& header, ConstBytes frame) {
        if (is_over_) return false;
        if (!take_frame(header, frame.subspan(sizeof(header), header.body_bytes), now)) {
            is_over_ = true;
            return false;
        }
        return true;
    };
    while (!is_over_ && !bytes.empty()) {
        const std::size_t used = splitter_.split(bytes, UINT32_MAX, take, fault);
        if (fault != wire::SplitFault::none || (used == 0 && !is_over_)) {
            counters_.refusals.add(1);
            over_pause_ms_ = endpoints_.turned_away(now);
            is_over_ = true;
        }
        bytes = bytes.subspan(used);
    }
    if (is_over_) {
        lose(now, over_pause_ms_);
        return;
    }
    retire_acked(now);
    (void)pump(now);
}

// False ends the session, over_pause_ms_ set.
bool Uplink::take_frame(const wire::FrameHeader& header, ConstBytes body, MonotonicNs now) {
    switch (header.kind) {
        case wire::FrameKind::edge_welcome:
            if (take_welcome(body, now)) return true;
            over_pause_ms_ = endpoints_.turned_away(now);
            return false;
        case wire::FrameKind::edge_ack:
            if (state_ == UplinkState::live && take_ack(body, now)) return true;
            break;
        case wire::FrameKind::credit:
            if (state_ == UplinkState::live && body.size() == sizeof(wire::Credit)) {
                credit_bytes_ = std::max(credit_bytes_, wire::load<wire::Credit>(body).credit_bytes);
                return true;
            }
            break;
        case wire::FrameKind::table_offers:
        case wire::FrameKind::table_chunk:
            if (state_ != UplinkState::live || tables_ == nullptr) break;
            tables_->take(header.kind, body);
            return true;
        case wire::FrameKind::refusal:
            if (body.size() != sizeof(wire::Refusal)) break;
            take_refusal(body, now);
            return false;
        case wire::FrameKind::ping:
            queue_control(wire::FrameKind::pong, header.number, {});
            return true;
        case wire::FrameKind::pong:
            if (state_ == UplinkState::live) note_proof(now);
            return true;
        case wire::FrameKind::goodbye:
            over_pause_ms_ = endpoints_.failed(now);
            return false;
        case wire::FrameKind::event:
        case wire::FrameKind::dead_letter:
        case wire::FrameKind::producer_hello:
        case wire::FrameKind::producer_welcome:
        case wire::FrameKind::producer_ack:
        case wire::FrameKind::edge_hello:
        case wire::FrameKind::batch:
        case wire::FrameKind::table_pull:
            break;
    }
    counters_.refusals.add(1);
    over_pause_ms_ = endpoints_.turned_away(now);
    return false;
}

bool Uplink::take_welcome(ConstBytes body, MonotonicNs now) {
    if (state_ != UplinkState::greeting || body.size() < sizeof(wire::EdgeWelcome)) return false;
    const auto welcome = wire::load<wire::EdgeWelcome>(body);
    if (welcome.lanes > wire::hello_lanes_max ||
        body.size() != sizeof(welcome) + welcome.lanes * sizeof(wire::LanePosition)) {
        return false;
    }
    for (std::size_t index = 0; index < lanes_.count(); ++index) lanes_[index].next_sequence = 0;
    central_.reset();
    if (welcome.identity != 0) central_ = lanes_.know_central(welcome.identity);
    bool is_behind = false;
    for (std::uint32_t i = 0; i < welcome.lanes; ++i) {
        const auto position =
            wire::load<wire::LanePosition>(body.subspan(sizeof(welcome) + i * sizeof(wire::LanePosition)));
        const auto index = lanes_.find(position.lane);
        if (!index || position.part != wire::Part::live) continue;
        SpoolLane& lane = lanes_[*index];
        if (position.last_sequence > lane.state.last_sequence) lane.is_diverged = true;
        if (lane.is_diverged) {
            // Central has what this spool never made durable: a copied, restored or damaged disk. Nothing may be mixed,
            // also not when this spool's own sequences have come as far: its events would count as delivered unseen.
            counters_.central_ahead.add(1);
            counters_.last_refusal.set(static_cast<std::uint64_t>(wire::RefusalReason::diverged));
            return false;
        }
        if (compare_with_central(*index, position.last_sequence)) is_behind = true;
    }
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        if (lanes_[index].next_sequence == 0) return false;
    }
    if (is_behind && !WEIR_PLANTED(gap_for_what_is_kept)) {
        // It lost what it had acked: everything that is still kept is sent again, and the rest is named as a gap.
        counters_.central_behind.add(1);
        extent_.delivered = extent_.kept_from;
    }
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        set_delivered(index, lanes_[index].next_sequence - 1);
    }
    unacked_head_ = unacked_count_ = 0;
    reader_.restart(extent_.delivered);
    tail_gaps_sent_ = false;
    sent_bytes_ = 0;
    credit_bytes_ = welcome.credit_bytes;
    state_ = UplinkState::live;
    const std::size_t endpoint = endpoints_.endpoint();
    if (last_endpoint_ && *last_endpoint_ != endpoint) {
        counters_.switch_overs.add(1);
        if (return_.target() == endpoint) counters_.returns.add(1);
    }
    last_endpoint_ = endpoint;
    return_.settled(endpoint, now);
    counters_.is_connected.set(1);
    counters_.last_refusal.set(0);
    counters_.sessions.add(1);
    pinged_at_ = now;
    return true;
}

// Where this session begins in a lane, and what of it other centrals have. True if this one lost what it had acked.
bool Uplink::compare_with_central(std::size_t lane_index, Sequence at_central) {
    SpoolLane& lane = lanes_[lane_index];
    Sequence elsewhere = 0, acked = 0;
    // A stranger where only one is configured has taken its place: it gets what is kept, as if it had lost it.
    if (central_ && options_.centrals.size() > 1) {
        for (std::size_t index = 0; index < lanes_.centrals().count; ++index) {
            if (index != *central_) elsewhere = std::max(elsewhere, lane.acked_by[index]);
        }
        acked = lane.acked_by[*central_];
        elsewhere = std::min(elsewhere, lane.state.last_sequence);
    }
    // What nobody else is known to have acked, this one has.
    if (lane.state.delivered_sequence > elsewhere) acked = std::max(acked, lane.state.delivered_sequence);
    lane.next_sequence = at_central + 1;
    lane.elsewhere_first = std::max(at_central, acked) + 1;
    lane.elsewhere_last = elsewhere;
    // Gaps beyond its position went with what it lost, and are named to it anew.
    lane.gap_events = std::min(lane.gap_events, std::max(at_central, elsewhere));
    if (central_) lane.acked_by[*central_] = std::max(lane.acked_by[*central_], at_central);
    return at_central < acked;
}

bool Uplink::take_ack(ConstBytes body, MonotonicNs now) {
    if (body.size() != sizeof(wire::EdgeAck)) return false;
    const auto ack = wire::load<wire::EdgeAck>(body);
    const auto index = lanes_.find(ack.lane);
    if (!index) return false;
    SpoolLane& lane = lanes_[*index];
    // An ack beyond what was sent in this session is no ack of ours.
    if (ack.last_sequence >= lane.next_sequence) return false;
    gap_refused_ = false;
    if (central_) lane.acked_by[*central_] = std::max(lane.acked_by[*central_], ack.last_sequence);
    note_proof(now);
    if (ack.last_sequence > lane.state.delivered_sequence) set_delivered(*index, ack.last_sequence);
    // The ring of unacked batches is emptied once per receive; a full one would only stop the sending.
    if (unacked_count_ == unacked_max) retire_acked(now);
    return true;
}

void Uplink::take_refusal(ConstBytes body, MonotonicNs now) {
    const auto refusal = wire::load<wire::Refusal>(body);
    counters_.refusals.add(1);
    counters_.last_refusal.set(static_cast<std::uint64_t>(refusal.reason));
    switch (refusal.reason) {
        case wire::RefusalReason::sequence_gap:
            // At once, but not in a loop: only if something was acked since the last such refusal.
            over_pause_ms_ = gap_refused_ ? endpoints_.failed(now) : 0;
            gap_refused_ = true;
            return;
        case wire::RefusalReason::fenced:
        case wire::RefusalReason::diverged:
        case wire::RefusalReason::name:
        case wire::RefusalReason::version:
        case wire::RefusalReason::protocol:
        case wire::RefusalReason::too_large:
        case wire::RefusalReason::checksum:
        case wire::RefusalReason::number_gap:
            over_pause_ms_ = endpoints_.turned_away(now);
            return;
        case wire::RefusalReason::limit:
        case wire::RefusalReason::draining:
        case wire::RefusalReason::busy:
        case wire::RefusalReason::storage:
            over_pause_ms_ = endpoints_.failed(now);
            return;
    }
    over_pause_ms_ = endpoints_.turned_away(now);
}

void Uplink::set_delivered(std::size_t lane_index, Sequence last_sequence) {
    SpoolLane& lane = lanes_[lane_index];
    if (last_sequence > lane.state.delivered_sequence) notes_.delivered(lane_index, last_sequence);
    lane.state.delivered_sequence = last_sequence;
    counters_.lanes[lane_index].gap.set(lane.gap_events);
    counters_.lanes[lane_index].delivered.set(last_sequence > lane.gap_events ? last_sequence - lane.gap_events : 0);
}

// Moves the delivered position over what is acked, in journal order.
void Uplink::retire_acked(MonotonicNs now) {
    while (unacked_count_ > 0) {
        const Unacked& oldest = unacked_[unacked_head_];
        SpoolLane& lane = lanes_[oldest.lane_index];
        if (oldest.last_sequence > lane.state.delivered_sequence) break;
        counters_.elsewhere_events.add(oldest.elsewhere_count);
        if (oldest.gap_count > 0) {
            lane.gap_events += oldest.gap_count;
            counters_.gap_events.add(oldest.gap_count);
            set_delivered(oldest.lane_index, lane.state.delivered_sequence);
        } else {
            extent_.delivered = std::max(extent_.delivered, oldest.end);
        }
        if (oldest.sent_at.value != 0) {
            counters_.acked_batches.add(1);
            counters_.delivered_ns.record(now.since(oldest.sent_at));
        }
        unacked_head_ = (unacked_head_ + 1) % unacked_max;
        --unacked_count_;
    }
    counters_.unacked_batches.set(unacked_count_);
}

std::size_t Uplink::pump(MonotonicNs now) {
    std::size_t work = 0;
    if (state_ == UplinkState::live && !is_leaving_ && memory_count_ == 0 && reader_.pump(extent_.durable_end, now))
        ++work;
    if (sending_ != Sending::nothing) return work;
    if (state_ == UplinkState::live && tables_ != nullptr) {
        if (const auto pull = tables_->next_pull()) queue_control(wire::FrameKind::table_pull, 0, bytes_of(*pull));
    }
    if (!control_waiting_.empty()) {
        std::swap(control_waiting_, control_sending_);
        control_waiting_.clear();
        sending_ = Sending::control;
        io_.send(socket_, control_sending_,
                 {.owner = owner_, .kind = kinds_.send, .generation = generation_, .index = session_index});
        return work + 1;
    }
    if (state_ == UplinkState::live && !is_leaving_ && send_next_batch(now)) ++work;
    return work;
}

bool Uplink::send_next_batch(MonotonicNs now) {
    // What was read back is always older than what waits in memory.
    while (const ReadRecord* record = reader_.peek()) {
        const auto lane_index = lanes_.find(record->lane);
        if (!lane_index || record->last_sequence < lanes_[*lane_index].next_sequence) {
            // Central has it. It still takes its turn, so that the delivered position passes over it in order.
            if (lane_index) {
                if (unacked_count_ == unacked_max) return false;
                unacked_[(unacked_head_ + unacked_count_++) % unacked_max] = {
                    .lane_index = static_cast<std::uint32_t>(*lane_index),
                    .last_sequence = record->last_sequence,
                    .end = record->end};
            }
            reader_.pop();
            retire_acked(now);
            continue;
        }
        if (unacked_count_ == unacked_max) return false;
        const SpoolLane& lane = lanes_[*lane_index];
        if (lane.is_next_elsewhere()) return send_gap_before(*lane_index, record->first_sequence, now);
        if (lane.next_sequence < record->first_sequence) {
            if (!send_gap_before(*lane_index, record->first_sequence, now)) return false;
            reader_.confirm_suspect(*record);
            return true;
        }
        if (!may_send(wire::frame_bytes(record->batch_bytes))) return false;
        counters_.resent_batches.add(1);
        send_batch(record->batch, record->batch_bytes,
                   {.lane_index = static_cast<std::uint32_t>(*lane_index),
                    .last_sequence = record->last_sequence,
                    .end = record->end},
                   Sending::read_batch, now);
        return true;
    }
    if (unacked_count_ == unacked_max) return false;
    if (memory_count_ > 0) {
        if (reader_.is_reading()) return false;
        const DurableBatch& batch = memory_[memory_head_];
        if (lanes_[batch.lane_index].next_sequence < batch.first_sequence) {
            return send_gap_before(batch.lane_index, batch.first_sequence, now);
        }
        if (!may_send(wire::frame_bytes(batch.batch_bytes))) return false;
        send_batch(pool_.buffer(batch.buffer).data() + sizeof(journal::RecordHeader), batch.batch_bytes,
                   {.lane_index = batch.lane_index, .last_sequence = batch.last_sequence, .end = batch.end},
                   Sending::memory_batch, now);
        return true;
    }
    if (!tail_gaps_sent_ && reader_.is_caught_up(extent_.durable_end)) return send_tail_gaps(now);
    return false;
}

bool Uplink::may_send(std::uint64_t frame_bytes) const {
    return sent_bytes_ + frame_bytes <= credit_bytes_;
}

// Names the sequences before `first_sequence` that the spool no longer has; or all of those, if there it begins, that other centrals
// have.
bool Uplink::send_gap_before(std::size_t lane_index, Sequence first_sequence, MonotonicNs now) {
    SpoolLane& lane = lanes_[lane_index];
    constexpr std::uint32_t frame_size = wire::frame_bytes(sizeof(wire::BatchHeader));
    if (!may_send(frame_size)) return false;
    wire::BatchHeader gap;
    gap.kind = wire::BatchKind::gap;
    const bool is_elsewhere = lane.is_next_elsewhere();
    Sequence end = first_sequence;
    if (is_elsewhere) {
        end = lane.elsewhere_last + 1;
    } else if (lane.next_sequence < lane.elsewhere_first && lane.elsewhere_first <= lane.elsewhere_last) {
        end = std::min(end, lane.elsewhere_first);
    }
    gap.flags = is_elsewhere ? wire::gap_elsewhere : wire::gap_not_kept;
    gap.lane = lane.state.id;
    gap.edge_id = wire::name_field<wire::edge_id_bytes_max>(identity_.edge_id);
    gap.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane.state.name);
    gap.lineage = identity_.lineage;
    gap.epoch = identity_.epoch;
    gap.first_sequence = lane.next_sequence;
    gap.count = static_cast<std::uint32_t>(std::min<Sequence>(end - lane.next_sequence, UINT32_MAX));
    gap.config_digest = identity_.config_digest;
    gap.closed_wall_ns = io_.wall().value;
    gap.totals = lane.state.totals;
    gap.totals.gap = lane.gap_events + (is_elsewhere ? 0 : gap.count);
    wire::seal(gap, {});
    control_sending_.resize(frame_size);
    wire::store(Bytes{control_sending_}.subspan(sizeof(wire::FrameHeader)), gap);
    send_batch(control_sending_.data() + sizeof(wire::FrameHeader), sizeof(gap),
               {.lane_index = static_cast<std::uint32_t>(lane_index),
                .gap_count = is_elsewhere ? 0 : gap.count,
                .elsewhere_count = is_elsewhere ? gap.count : 0,
                .last_sequence = gap.last_sequence()},
               Sending::control, now);
    return true;
}

// What the journal should have held at its end but did not.
bool Uplink::send_tail_gaps(MonotonicNs now) {
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        if (lanes_[index].next_sequence <= lanes_[index].state.last_sequence) {
            return send_gap_before(index, lanes_[index].state.last_sequence + 1, now);
        }
    }
    tail_gaps_sent_ = true;
    return false;
}

void Uplink::send_batch(std::byte* batch, std::uint32_t batch_bytes, Unacked entry, Sending what, MonotonicNs now) {
    const std::uint64_t bytes = wire::frame_bytes(batch_bytes);
    // The record's header has done its work on disk; its second half makes room for the frame's.
    const Bytes frame{batch - sizeof(wire::FrameHeader), bytes};
    wire::store(frame, wire::FrameHeader{.body_bytes = batch_bytes, .kind = wire::FrameKind::batch});
    lanes_[entry.lane_index].next_sequence = entry.last_sequence + 1;
    entry.sent_at = now;
    unacked_[(unacked_head_ + unacked_count_++) % unacked_max] = entry;
    sent_bytes_ += bytes;
    sending_ = what;
    counters_.sent_batches.add(1);
    counters_.unacked_batches.set(unacked_count_);
    counters_.credit_bytes_left.set(credit_bytes_ - sent_bytes_);
    io_.send(socket_, frame, {.owner = owner_, .kind = kinds_.send, .generation = generation_, .index = session_index});
}

void Uplink::queue_control(wire::FrameKind kind, std::uint64_t number, ConstBytes body) {
    const std::size_t at = control_waiting_.size();
    const auto body_bytes = static_cast<std::uint32_t>(body.size());
    const std::size_t bytes = wire::frame_bytes(body_bytes);
    // Only pings of a peer that sends many while we cannot send could fill it: those may go unanswered.
    if (at + bytes > control_bytes_max) return;
    control_waiting_.resize(at + bytes);
    const Bytes frame = Bytes{control_waiting_}.subspan(at);
    wire::store(frame, wire::FrameHeader{.body_bytes = body_bytes, .kind = kind, .number = number});
    std::copy(body.begin(), body.end(), frame.begin() + sizeof(wire::FrameHeader));
}

// The send under way is through, well or not: its bytes are free.
void Uplink::sent(MonotonicNs now) {
    (void)now;
    switch (sending_) {
        case Sending::nothing:
        case Sending::control:
            break;
        case Sending::memory_batch:
            WEIR_ASSERT(memory_count_ > 0);
            notes_.returned(memory_[memory_head_].buffer);
            memory_head_ = (memory_head_ + 1) % memory_.size();
            --memory_count_;
            break;
        case Sending::read_batch:
            reader_.pop();
            break;
    }
    sending_ = Sending::nothing;
}

void Uplink::lose(MonotonicNs now, std::uint64_t pause_ms) {
    if (state_ == UplinkState::closing || state_ == UplinkState::waiting) return;
    io_.close(socket_);
    socket_ = {};
    state_ = UplinkState::closing;
    pause_ms_ = pause_ms;
    probe_.cancel();
    if (is_leaving_ && return_.target()) {
        endpoints_.go_to(*return_.target());
        pause_ms_ = 0;
    } else {
        return_.lost(now);
    }
    is_leaving_ = false;
    note_breakers(now);
    counters_.is_connected.set(0);
    counters_.credit_bytes_left.set(0);
    finish_closing(now);
}

// A new session waits until nothing of the old one is under way.
void Uplink::finish_closing(MonotonicNs now) {
    if (sending_ != Sending::nothing || reader_.is_reading()) return;
    return_waiting();
    control_waiting_.clear();
    unacked_head_ = unacked_count_ = 0;
    counters_.unacked_batches.set(0);
    retry_at_ = now.plus_ns(pause_ms_ * ns_per_ms);
    state_ = UplinkState::waiting;
}

void Uplink::return_waiting() {
    for (; memory_count_ > 0; --memory_count_) {
        notes_.returned(memory_[memory_head_].buffer);
        memory_head_ = (memory_head_ + 1) % memory_.size();
    }
}

}  // namespace weir::edge
