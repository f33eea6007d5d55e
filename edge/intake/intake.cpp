#include "edge/intake/intake.hpp"

#include <algorithm>

namespace weir::edge {
namespace {

constexpr std::uint32_t vectors_per_cycle_max = 64;
constexpr std::uint64_t look_ns = 100 * ns_per_ms;          // between two looks for timeouts
constexpr std::uint64_t retry_ns = 1 * ns_per_ms;           // after the spool's ring was full
constexpr std::uint64_t send_ns_max = 30 * ns_per_second;   // a peer that does not read for so long is gone
constexpr std::uint64_t carry_ns_max = 30 * ns_per_second;  // or that leaves a large frame half sent
constexpr std::uint32_t carry_buffers = 32;                 // frames above 512 bytes that lie cut at one time
constexpr std::uint32_t spare_connections = 8;              // above connections_max: to tell them so

std::uint64_t sum_of_sequences(const std::vector<LaneState>& lanes) {
    std::uint64_t sum = 0;
    for (const LaneState& lane : lanes) sum += lane.last_sequence;
    return sum;
}

}  // namespace

Intake::Intake(io::Io& io, std::uint8_t owner, const EdgeConfig& config, SpoolIdentity identity,
               std::vector<LaneState> lanes, IntakeMemory memory, BatchPool& pool, RingWriter<ToSpool> to_spool,
               RingReader<ToIntake> from_spool, Doorbell& spool_doorbell, IntakeCounters& counters)
    : io_(io),
      owner_(owner),
      identity_(identity),
      listen_on_(config.listen.producers),
      connections_max_(config.listen.connections_max),
      hello_ns_max_(config.listen.hello_ms_max * ns_per_ms),
      credit_events_(config.listen.credit_events),
      checkpoint_ns_(config.spool.checkpoint_ms * ns_per_ms),
      counters_(counters),
      from_spool_(from_spool),
      memory_(std::move(memory)),
      filter_(memory_.filter()),
      producers_(memory_.producers()),
      keys_(config.cache.keys_max),
      judgement_(std::make_unique<Judgement>(config, lanes)),
      batcher_({config, identity, lanes, pool, to_spool, spool_doorbell, counters}),
      book_(connections_max_ + spare_connections, lanes, counters.spooled_ack_ns),
      checkpointing_(io, io::Token{.owner = owner, .kind = ring_kind},
                     io::Token{.owner = owner, .kind = checkpoint_kind}, memory_, lanes, counters),
      carry_(carry_buffers, wire::frame_body_bytes_max) {
    batcher_.configure(judgement_->batch_limits(), judgement_->digest());
    const std::uint32_t places = connections_max_ + spare_connections;
    for (std::uint32_t index = 0; index < places; ++index) connections_.emplace_back(carry_);
    for (std::uint32_t index = places; index > 0; --index) free_connections_.push_back(index - 1);
    ready_.reserve(places);
    reading_.reserve(places);
    send_buffers_.resize(std::size_t{places} * send_buffer_bytes);
    held_.resize(config.runtime.receive_slots);
    vector_slots_.reserve(held_.size());
    for (const LaneState& lane : lanes) {
        counters_.duplicates.set(std::max(counters_.duplicates.get(), lane.totals.duplicates));
        counters_.rejected.set(std::max(counters_.rejected.get(), lane.totals.rejected));
    }
    counters_.accepted.set(sum_of_sequences(lanes));
    counters_.offered.set(counters_.accepted.get() + counters_.duplicates.get() + counters_.rejected.get());
    now_ = looked_at_ = checkpoint_at_ = io.now();
    wall_ = io.wall();
    update_gauges();
}

Status Intake::start() {
    started_at_ = io_.now();
    filter_age_base_ = filter_.newest_seconds();
    if (auto opened = checkpointing_.open(); !opened) return opened;
    for (const std::string& address : listen_on_) {
        auto socket = io_.listen({address}, {.owner = owner_, .kind = accept_kind});
        if (!socket) return socket.error();
        listeners_.push_back(socket.value());
    }
    return Done{};
}

std::vector<std::string> Intake::addresses() const {
    std::vector<std::string> texts;
    for (const io::Socket& socket : listeners_) texts.push_back(io_.local_address(socket));
    return texts;
}

std::size_t Intake::do_work(MonotonicNs now) {
    now_ = now;
    wall_ = io_.wall();
    batcher_.set_time(now, wall_);
    take_reload();
    std::size_t work = take_notes(now);
    if (book_.has_forgotten() && book_.free_runs() < runs_max / 2) book_.sweep();
    work += run_vectors(now);
    batcher_.close_due(input_is_drained_ || stalled_);
    keep_checkpoint(now);
    if (draining_) finish_drain();
    work += batcher_.flush();
    if (now.since(looked_at_) >= look_ns) keep_time(now);
    work += send_all(now);
    update_gauges();
    return work;
}

// Between two vectors: what was judged before is in batches of the old digest, what comes is judged by the new one.
void Intake::take_reload() {
    if (reloads_ == nullptr) return;
    Judgement* next = reloads_->take();
    if (next == nullptr) return;
    reloads_->give_back(judgement_.release());
    judgement_.reset(next);
    batcher_.configure(judgement_->batch_limits(), judgement_->digest());
    counters_.reloads.add(1);
    counters_.config_digest.set(judgement_->digest());
}

std::size_t Intake::take_notes(MonotonicNs now) {
    return from_spool_.consume_all([&](const ToIntake& note) {
        WEIR_ASSERT(note.stream < batcher_.lanes());
        const StreamIndex index = note.stream;
        switch (note.kind) {
            case ToIntake::Kind::durable:
                checkpointing_.durable(index, note.position);
                batcher_.durable(index, note.last_sequence);
                book_.reached(Wait::spooled, index, note.last_sequence, now);
                break;
            case ToIntake::Kind::delivered:
                book_.reached(Wait::delivered, index, note.last_sequence, now);
                break;
            case ToIntake::Kind::returned:
                batcher_.give_back(note.buffer);
                break;
            case ToIntake::Kind::poisoned:
                poisoned_ = true;
                break;
            case ToIntake::Kind::opens_in:
            case ToIntake::Kind::filled:
            case ToIntake::Kind::shed:
                break;
        }
    });
}

std::size_t Intake::run_vectors(MonotonicNs now) {
    std::size_t events = 0;
    stalled_ = false;
    input_is_drained_ = poisoned_;
    for (std::uint32_t i = 0; i < vectors_per_cycle_max && !poisoned_; ++i) {
        // A vector that found no room last time goes first, as it is.
        if (vector_.count() == 0 && gather(now) == Gathered::nothing) {
            input_is_drained_ = true;
            break;
        }
        if (vector_.count() == 0) continue;
        if (!has_room()) {
            stalled_ = true;
            counters_.stalls.add(1);
            break;
        }
        events += vector_.count();
        judge();
        finish_vector();
    }
    return events;
}

void Intake::keep_checkpoint(MonotonicNs now) {
    if (checkpointing_.is_busy()) return checkpointing_.advance(batcher_);
    if (poisoned_ || stalled_) return;
    // After a failure not at once again: the disk may be full.
    const bool may_hurry = !checkpointing_.has_failed() || now.since(checkpoint_at_) >= ns_per_second;
    const bool hurries = naming_ || checkpointing_.ids_since() > filter_.options().ids_max / 4 ||
                         checkpointing_.uncovered_bytes() > read_back_bytes_max || (draining_ && !final_cut_);
    if (!(hurries && may_hurry) && now.since(checkpoint_at_) < checkpoint_ns_) return;
    if (draining_) {
        if (vector_.count() > 0 || !input_is_drained_) return;
        final_cut_ = true;
    }
    checkpoint_at_ = now;
    if (!checkpointing_.is_due()) return;
    batcher_.close_all();
    checkpointing_.cut(batcher_);
}

void Intake::keep_time(MonotonicNs now) {
    looked_at_ = now;
    // Nothing is in hand here: each event offered has been judged, as one of three.
    const std::uint64_t judged = counters_.accepted.get() + counters_.duplicates.get() + counters_.rejected.get();
    counters_.residue.set(counters_.offered.get() - judged);
    WEIR_ASSERT(counters_.residue.get() == 0);
    for (std::uint32_t index = 0; index < connections_.size(); ++index) {
        Connection& connection = connections_[index];
        if (connection.session == Session::free || connection.session == Session::closed) continue;
        if (connection.sending && now.since(connection.sending_since) > send_ns_max) {
            close(index);
            continue;
        }
        if (!connection.splitter.is_half_sent() || connection.in_vector) {
            connection.carry_since = never;
        } else if (connection.carry_since == never || stalled_) {
            connection.carry_since = now;
        } else if (now.since(connection.carry_since) > carry_ns_max && connection.held_count == 0) {
            refuse(index, wire::RefusalReason::protocol, "a frame was left half sent");
        }
        if (poisoned_ && (connection.session == Session::hello || connection.session == Session::naming)) {
            refuse(index, wire::RefusalReason::storage, "the spool's disk failed");
        }
        if (now < connection.deadline) continue;
        if (stalled_ && (connection.session == Session::hello || connection.session == Session::naming)) {
            connection.deadline = now.plus_ns(hello_ns_max_);  // it is we who do not listen
            continue;
        }
        connection.deadline = never;
        if (connection.session == Session::hello) {
            refuse(index, wire::RefusalReason::protocol, "no hello in time");
        } else if (connection.session == Session::naming) {
            refuse(index, wire::RefusalReason::storage, "the name could not be stored in time");
        } else if (connection.session == Session::lingering) {
            close(index);
        }
    }
}

void Intake::drain(MonotonicNs now) {
    if (draining_) return;
    draining_ = true;
    now_ = now;
    for (const io::Socket& socket : listeners_) io_.close(socket);
    for (Connection& connection : connections_) {
        if (connection.session == Session::free || connection.session == Session::closed) continue;
        connection.is_paused = true;
        io_.pause_receive(connection.socket, true);
    }
}

void Intake::finish_drain() {
    if (poisoned_) {
        finish_vector();  // it will never be kept; its producers were told nothing
    } else {
        if (vector_.count() > 0 || !input_is_drained_) return;
        batcher_.close_all();
        if (!final_cut_ || checkpointing_.is_busy() || !batcher_.is_all_durable() || !book_.is_quiet(Wait::spooled)) {
            return;
        }
    }
    if (said_goodbye_) return;
    for (std::uint32_t index = 0; index < connections_.size(); ++index) {
        const Connection& connection = connections_[index];
        const bool is_over = connection.session == Session::free || connection.session == Session::closed ||
                             connection.session == Session::refused || connection.session == Session::lingering;
        if (is_over || connection.closes_after_send) continue;
        // Acks that are ready go out first: more than one frame holds wait for the next cycle.
        if (book_.has_ready(index)) return;
    }
    said_goodbye_ = true;
    for (std::uint32_t index = 0; index < connections_.size(); ++index) {
        refuse(index, wire::RefusalReason::draining, "going down");
    }
}

bool Intake::is_drained() const {
    if (!said_goodbye_ || checkpointing_.is_writing()) return false;
    if (!poisoned_ && (batcher_.has_unpublished() || checkpointing_.is_busy())) return false;
    return std::all_of(connections_.begin(), connections_.end(),
                       [](const Connection& connection) { return connection.session == Session::free; });
}

MonotonicNs Intake::next_deadline() const {
    MonotonicNs next = batcher_.next_deadline();
    if (batcher_.has_unpublished()) next = std::min(next, now_.plus_ns(retry_ns));
    if (connected_ > 0 || draining_) next = std::min(next, looked_at_.plus_ns(look_ns));
    if (!poisoned_ && !stalled_ && !checkpointing_.is_busy()) {
        if (naming_) next = std::min(next, checkpoint_at_.plus_ns(ns_per_second));
        if (checkpointing_.is_due()) next = std::min(next, checkpoint_at_.plus_ns(checkpoint_ns_));
    }
    return next;
}

void Intake::update_gauges() {
    counters_.connections.set(connected_);
    counters_.slots_held.set(slots_held_);
    counters_.filter_ids.set(filter_.count());
    counters_.producers.set(producers_.count());
    counters_.keys.set(keys_.count());
}

void Intake::on_completion(const io::Completion& completion, MonotonicNs now) {
    switch (completion.token.kind) {
        case accept_kind:
            return on_accept(completion, now);
        case receive_kind:
            return on_receive(completion, now);
        case send_kind:
            return on_sent(completion, now);
        case ring_kind:
        case checkpoint_kind:
            if (checkpointing_.on_completion(completion)) {
                for (std::size_t stream = 0; stream < checkpointing_.streams(); ++stream) {
                    batcher_.cover(static_cast<StreamIndex>(stream), checkpointing_.covered(stream));
                }
                welcome_named();
            }
            return;
        default:
            WEIR_ASSERT(!"a kind of ours");
    }
}

}  // namespace weir::edge
