#include "edge/intake/intake.hpp"

#include <algorithm>

namespace weir::edge {
namespace {

constexpr std::uint64_t look_ns = 100 * ns_per_ms;          // between two looks for timeouts
constexpr std::uint64_t away_ns = 10 * look_ns;             // a longer time between them was not ours
constexpr std::uint64_t retry_ns = 1 * ns_per_ms;           // after the spool's ring was full
constexpr std::uint64_t send_ns_max = 30 * ns_per_second;   // a peer that does not read for so long is gone
constexpr std::uint64_t carry_ns_max = 30 * ns_per_second;  // or that leaves a large frame half sent
constexpr std::uint32_t spare_connections = 8;              // above connections_max: to tell them so

// By earlier lives: what got a sequence, and what was shed before it did.
std::uint64_t accepted_before(const std::vector<LaneState>& streams, IntakeCounters& counters) {
    std::uint64_t sum = 0;
    for (std::size_t index = 0; index < streams.size(); ++index) {
        const wire::LedgerTotals& totals = streams[index].totals;
        const std::uint64_t unsequenced = totals.shed_unsequenced(streams[index].last_sequence);
        counters.shed[index].unsequenced.set(unsequenced);
        counters.shed[index].sequences.set(totals.shed - std::min(totals.shed, unsequenced));
        sum += streams[index].last_sequence + unsequenced;
    }
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
      allowed_users_(config.listen.allowed_uids),
      allowed_groups_(config.listen.allowed_gids),
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
      disk_window_({.queue_ns = config.spool.disk_queue_us * ns_per_us,
                    .bytes_min = disk_window_bytes_min,
                    .bytes_first = disk_window_bytes_max,
                    .bytes_max = disk_window_bytes_max}),
      batcher_({config, identity, lanes, pool, to_spool, spool_doorbell, counters}),
      ladder_(judgement_->ladder()),
      fuses_{Fuse(judgement_->dead_letters()), Fuse(judgement_->dead_letters())},
      letters_of_producers_(producers_.slots_max()),
      shedding_(lanes, identity.lineage ^ identity.epoch),
      book_(connections_max_ + spare_connections, lanes, counters.hops, config.listen.ack_runs_max),
      checkpointing_(io, io::Token{.owner = owner, .kind = ring_kind},
                     io::Token{.owner = owner, .kind = checkpoint_kind}, memory_, lanes, counters),
      carry_(config.listen.cut_frames_max, wire::frame_body_bytes_max),
      receive_slots_(config.runtime.receive_slots),
      parked_(config.listen.waiting_bytes_max),
      slots_held_max_(receive_slots_) {
    batcher_.configure(judgement_->batch_limits(), judgement_->digest());
    shedding_.configure(judgement_->shed_rules());
    vector_.set_growth(judgement_->edit().growth_bytes_max());
    const std::uint32_t places = connections_max_ + spare_connections;
    for (std::uint32_t index = 0; index < places; ++index) connections_.emplace_back(carry_);
    for (std::uint32_t index = places; index > 0; --index) free_connections_.push_back(index - 1);
    live_.reserve(places);
    ready_.reserve(places);
    reading_.reserve(places);
    send_buffers_.resize(std::size_t{places} * send_buffer_bytes);
    held_.resize(std::size_t{receive_slots_} + parked_.count());
    vector_slots_.reserve(held_.size());
    waiting_.reserve(places);
    static_assert(lanes_max <= 64);
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        memory_lanes_ |= std::uint64_t{lanes[index].in_memory} << index;
        lossy_lanes_ |= std::uint64_t{lanes[index].in_memory && lanes[index].has_lost_some} << index;
    }
    producers_.end_recovery();
    first_id_ = filter_.next_index();
    for (const LaneState& lane : lanes) {
        counters_.duplicates.set(std::max(counters_.duplicates.get(), lane.totals.duplicates));
        counters_.rejected.set(std::max(counters_.rejected.get(), lane.totals.rejected));
    }
    counters_.accepted.set(accepted_before(lanes, counters_));
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
    tap_.keep();
    std::size_t work = take_notes(now);
    if (book_.has_forgotten() && book_.free_runs() < book_.runs_count() / 2) book_.sweep();
    work += wake_waiting();
    if (cached_tables_ != nullptr) cached_tables_->begin_cycle(now);
    work += run_vectors(now);
    if (cached_tables_ != nullptr) cached_tables_->end_cycle();
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
    if (next_judgement_ == nullptr) next_judgement_.reset(reloads_->take());
    if (next_judgement_ == nullptr) return;
    // A vector that waits was measured by the edits of before.
    const std::uint32_t growth = next_judgement_->edit().growth_bytes_max();
    if (vector_.count() > 0 && growth != judgement_->edit().growth_bytes_max()) return;
    if (vector_.count() == 0) vector_.set_growth(growth);
    reloads_->give_back(judgement_.release());
    judgement_ = std::move(next_judgement_);
    batcher_.configure(judgement_->batch_limits(), judgement_->digest());
    ladder_.configure(judgement_->ladder());
    reset_fuses();
    shedding_.configure(judgement_->shed_rules());
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
                batcher_.durable(index, note.last_sequence,
                                 [&](const Batcher::Closed& batch) { learn_disk(index, batch, now); });
                book_.reached(Wait::spooled, index, note.last_sequence, now, note.at);
                break;
            case ToIntake::Kind::delivered:
                book_.reached(Wait::delivered, index, note.last_sequence, now, note.at);
                break;
            case ToIntake::Kind::returned:
                batcher_.give_back(note.buffer);
                break;
            case ToIntake::Kind::poisoned:
                poisoned_ = true;
                break;
            case ToIntake::Kind::opens_in:
                batcher_.open_in(index);
                break;
            case ToIntake::Kind::filled:
                shedding_.filled(index, note.fill);
                counters_.fill[index].set(note.fill);
                break;
            case ToIntake::Kind::shed:
                take_shed(note);
                break;
        }
    });
}

void Intake::take_shed(const ToIntake& note) {
    batcher_.note_shed_sequences(note.stream, note.shed_events);
    if (note.last_sequence > 0) book_.shed(note.stream, note.first_sequence, note.last_sequence);
}

// Closed batches that wait for their turn on the disk. Those of a full lane wait for something else, and hold up nobody.
bool Intake::is_disk_behind() const {
    std::uint32_t batches = 0;
    std::uint64_t bytes = 0;
    for (std::size_t stream = 0; stream < batcher_.lanes(); ++stream) {
        if (counters_.fill[stream].get() >= fill_full) continue;
        batches += batcher_.in_flight(static_cast<StreamIndex>(stream));
        bytes += batcher_.in_flight_bytes(static_cast<StreamIndex>(stream));
    }
    return batches >= queued_batches_max || bytes >= disk_window_.bytes();
}

void Intake::learn_disk(StreamIndex stream, const Batcher::Closed& batch, MonotonicNs now) {
    if (counters_.fill[stream].get() >= fill_full) return;
    std::uint64_t under_way = 0;
    for (std::size_t other = 0; other < batcher_.lanes(); ++other) {
        under_way += batcher_.in_flight_bytes(static_cast<StreamIndex>(other));
    }
    disk_window_.arrived(batch.bytes, now.since(batch.at), under_way, now);
    if (disk_window_.is_bound()) batcher_.fill_at_most(disk_window_.bytes() / disk_window_parts);
    counters_.disk_window_bytes.set(disk_window_.bytes());
}

std::size_t Intake::run_vectors(MonotonicNs now) {
    std::size_t events = 0;
    stalled_ = false;
    input_is_drained_ = poisoned_;
    const std::uint32_t vectors_max = connected_ > 1 ? vectors_per_cycle_max_shared : vectors_per_cycle_max;
    for (std::uint32_t i = 0; i < vectors_max && !poisoned_; ++i) {
        // A vector that found no room last time goes first, as it is.
        if (vector_.count() == 0 && gather() == Gathered::nothing) {
            input_is_drained_ = true;
            break;
        }
        if (vector_.count() == 0) continue;
        if (!has_runs() || is_disk_behind()) {
            stalled_ = true;
            counters_.stalls.add(1);
            break;
        }
        judge();
        events += vector_.count() - put_back_count_;
        finish_vector();
        batcher_.close_full();
    }
    const bool takes_nothing = stalled_ || !waiting_.empty();
    if (!takes_nothing || events > 0) {
        stalled_since_ = never;
    } else if (stalled_since_ == never) {
        stalled_since_ = now;
    }
    return events;
}

void Intake::keep_ladder(MonotonicNs now) {
    const std::uint32_t spool_percent =
        controls_ == nullptr ? 0 : controls_->spool_percent.load(std::memory_order_relaxed);
    const RoomMeasures measures{.spool_percent = spool_percent,
                                .buffers_free_percent = batcher_.take_buffers_free_percent(),
                                .stalled_ms = stalled_since_ == never ? 0 : now.since(stalled_since_) / ns_per_ms};
    const bool is_new = ladder_.look(measures, now);
    batcher_.linger_at_least(ladder_.effects().linger_us_min * ns_per_us);
    shed_best_effort(ladder_.effects().sheds_best_effort);
    judgement_->edit().enable_enrichment(ladder_.effects().enrich);
    if (!is_new) return;
    counters_.rung.set(static_cast<std::uint64_t>(ladder_.rung()));
    counters_.rung_changes[static_cast<std::size_t>(ladder_.rung())].add(1);
}

void Intake::keep_checkpoint(MonotonicNs now) {
    if (checkpointing_.is_busy()) return checkpointing_.advance(batcher_);
    if (poisoned_ || stalled_) return;
    // After a failure not at once again: the disk may be full.
    const bool may_hurry = !checkpointing_.has_failed() || now.since(checkpoint_at_) >= ns_per_second;
    const bool hurries = naming_ || checkpointing_.ids_since() > filter_.options().ids_max / 4 ||
                         checkpointing_.uncovered_bytes() > read_back_bytes_max || (draining_ && !final_cut_);
    if (!(hurries && may_hurry) && now.since(checkpoint_at_) < checkpoint_wait_ns()) return;
    if (draining_) {
        if (vector_.count() > 0 || !input_is_drained_) return;
        final_cut_ = true;
    }
    checkpoint_at_ = now;
    if (!checkpointing_.is_due()) return;
    batcher_.close_all();
    checkpointing_.cut(batcher_);
}

// After the last one. Where there is little room none is put off: what it covers makes some.
std::uint64_t Intake::checkpoint_wait_ns() const noexcept {
    const bool waits = !checkpointing_.is_worth_it() && !checkpointing_.has_failed() && !draining_ &&
                       ladder_.rung() == wire::Rung::healthy;
    return waits ? checkpoint_patience * checkpoint_ns_ : checkpoint_ns_;
}

void Intake::keep_time(MonotonicNs now) {
    const bool was_away =
        now.since(looked_at_) > away_ns;  // suspended, or without a core: what came meanwhile is not read yet
    looked_at_ = now;
    keep_ladder(now);
    keep_fuses(now);
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
        } else if (connection.carry_since == never || stalled_ || connection.is_held) {
            connection.carry_since = now;
        } else if (now.since(connection.carry_since) > carry_ns_max && connection.held_count == 0) {
            refuse(index, wire::RefusalReason::protocol, "a frame was left half sent");
        }
        if (poisoned_ && (connection.session == Session::hello || connection.session == Session::naming)) {
            refuse(index, wire::RefusalReason::storage, "the spool's disk failed");
        }
        if (now < connection.deadline) continue;
        const bool is_unheard = stalled_ || was_away || connection.held_head != no_index;  // it is we who do not listen
        if (is_unheard && (connection.session == Session::hello || connection.session == Session::naming)) {
            connection.deadline = now.plus_ns(hello_ns_max_);
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
    next = std::min(next, rate_look_at_);
    for (const Waiting& one : waiting_) {
        if (!one.is_parked) next = std::min(next, one.since.plus_ns(park_after_ns));
    }
    const bool looks = connected_ > 0 || draining_ || ladder_.rung() != wire::Rung::healthy;
    if (looks) next = std::min(next, looked_at_.plus_ns(look_ns));
    if (!poisoned_ && !stalled_ && !checkpointing_.is_busy()) {
        if (naming_) next = std::min(next, checkpoint_at_.plus_ns(ns_per_second));
        if (checkpointing_.is_due()) next = std::min(next, checkpoint_at_.plus_ns(checkpoint_wait_ns()));
    }
    return next;
}

void Intake::update_gauges() {
    counters_.connections.set(connected_);
    counters_.slots_held.set(slots_held_);
    counters_.waiting.set(waiting_.size());
    counters_.parked_bytes.set(std::uint64_t{parked_.count() - parked_.free_count()} * parked_block_bytes);
    counters_.filter_ids.set(filter_.count());
    counters_.producers.set(producers_.count());
    counters_.keys.set(keys_.count());
    counters_.notes_waiting.set(from_spool_.waiting());
    for (std::size_t lane = 0; lane < batcher_.lanes(); ++lane) {
        counters_.lane_accepted[lane].set(batcher_.last_sequence(static_cast<std::uint8_t>(lane)));
    }
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
