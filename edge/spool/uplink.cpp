#include "edge/spool/uplink.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"
#include "core/wire/control.hpp"

namespace weir::edge {
namespace {

// Frames from central are small: rows, or a part of a table, are the largest.
constexpr std::uint32_t central_frame_body_bytes_max =
    std::max(wire::table_frame_body_bytes_max, wire::row_answer_body_bytes_max);
static_assert(central_frame_body_bytes_max >=
              sizeof(wire::EdgeWelcome) + wire::hello_lanes_max * sizeof(wire::LanePosition));
constexpr std::uint32_t hello_bytes_max =
    wire::frame_bytes(sizeof(wire::EdgeHello) + wire::hello_lanes_max * sizeof(wire::LaneOffer));
constexpr std::uint32_t control_bytes_max = hello_bytes_max + 4096 + wire::frame_bytes(wire::row_ask_body_bytes_max);
static_assert(control_bytes_max >= wire::frame_bytes(wire::status_body_bytes_max));

template <class T>
ConstBytes bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

}  // namespace

Uplink::Uplink(io::Io& io, std::uint8_t owner, UplinkKinds kinds, UplinkOptions options, const SpoolIdentity& identity,
               LaneTable& lanes, std::vector<StreamTurns> turns, std::vector<CatchUp::Source> sources, BatchPool& pool,
               IntakeNotes& notes, SpoolCounters& counters)
    : io_(io),
      owner_(owner),
      kinds_(kinds),
      options_(std::move(options)),
      identity_(identity),
      lanes_(lanes),
      turns_(std::move(turns)),
      catch_up_(io, owner, kinds.read, std::move(sources), options_.catch_up),
      pool_(pool),
      notes_(notes),
      counters_(counters),
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
      streams_(lanes.count()),
      lane_credit_(lanes.count()),
      next_(lanes.count()),
      window_(options_.catch_up_queue_us * ns_per_us),
      pace_(options_.catch_up_queue_us * ns_per_us),
      // Half of the pool may wait here for credit; the other half stays for batches to be filled and written.
      memory_(std::max<std::size_t>(1, pool.count() / 2)),
      unacked_(unacked_max) {
    for (std::size_t stream = 0; stream < lanes.count(); ++stream) {
        lane_of_.push_back(*lanes.find_lane(lanes[stream].state.id));
    }
    WEIR_ASSERT(!options_.centrals.empty());
    control_waiting_.reserve(control_bytes_max);
    control_sending_.reserve(control_bytes_max);
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
        if (draining_ && unacked_.used() == 0 && is_all_sent()) {
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
    if (const auto outcome = probe_.take_outcome(now)) {
        ++work;
        if (outcome->life) counters_.probes_answered.add(1);
        if (return_.answered(outcome->life, now)) {
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
    if (!is_late && (unacked_.used() > 0 || sending_ != Sending::nothing || !control_waiting_.empty())) return false;
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
                at = std::min(at, catch_up_.retry_at());
                at = std::min(at, probe_.next_deadline());
                if (sending_ == Sending::nothing) {
                    at = std::min(at, paced_until_);
                    if (says_statuses()) at = std::min(at, status_at_);
                }
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
    WEIR_ASSERT(sending_ == Sending::nothing && memory_.used() == 0 && !catch_up_.is_reading());
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
        (void)catch_up_.on_completion(completion);
        counters_.damaged_records.set(catch_up_.damaged_records());
        counters_.read_back_bytes.set(catch_up_.read_bytes());
        if (state_ == UplinkState::closing) finish_closing(now);
        return true;
    }
    if (token.kind == kinds_.send) {
        // One send at a time, and no new session before it is through: it is always the one that sending_ names.
        WEIR_ASSERT(sending_ != Sending::nothing);
        sent();
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
    status_interval_ns_ = 0;
    std::array<std::byte, sizeof(wire::EdgeHello) + wire::hello_lanes_max * sizeof(wire::LaneOffer)> body;
    wire::EdgeHello hello;
    hello.lanes = static_cast<std::uint16_t>(lanes_.named_count());
    hello.edge_id = wire::name_field<wire::edge_id_bytes_max>(identity_.edge_id);
    hello.lineage = identity_.lineage;
    hello.epoch = identity_.epoch;
    hello.config_digest = identity_.config_digest;
    hello.features = wire::edge_feature_status;
    if (tables_ != nullptr) {
        hello.features |= wire::edge_feature_tables;
        tables_->begin_session();
    }
    if (row_asks_ != nullptr) {
        hello.features |= wire::edge_feature_rows;
        row_asks_->begin_session();
    }
    wire::store(Bytes{body}, hello);
    std::size_t at = sizeof(hello);
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        streams_[index].is_known_there = lanes_.is_named(index);
        if (!lanes_.is_named(index)) continue;
        const LaneState& lane = lanes_[index].state;
        wire::LaneOffer offered;
        offered.lane = lane.id;
        offered.part = lane.part;
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
    (void)pump(now);
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
void Uplink::sent() {
    switch (sending_) {
        case Sending::nothing:
        case Sending::control:
        case Sending::kept_batch:  // until it is acked
            break;
        case Sending::memory_batch: {
            Stream& stream = streams_[sending_stream_];
            notes_.returned(memory_.front(stream.memory).buffer);
            memory_.pop(stream.memory);
            break;
        }
        case Sending::read_batch:
            catch_up_.of(sending_stream_)->pop();
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
    if (sending_ != Sending::nothing || catch_up_.is_reading()) return;
    forget_session();
    control_waiting_.clear();
    counters_.unacked_batches.set(0);
    retry_at_ = now.plus_ns(pause_ms_ * ns_per_ms);
    state_ = UplinkState::waiting;
}

// Nothing is sent any more from what was on its way: buffers go back, readers to whom needs them next.
void Uplink::forget_session() {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        Stream& stream = streams_[index];
        for (; !stream.memory.is_empty(); memory_.pop(stream.memory)) {
            notes_.returned(memory_.front(stream.memory).buffer);
        }
        unacked_.clear(stream.unacked);
        if (catch_up_.of(index) != nullptr) catch_up_.take_back(index);
        lane_credit_[index] = {};
    }
    window_.forget_under_way();
}

}  // namespace weir::edge
