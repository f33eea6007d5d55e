#include "edge/spool/spool_stage.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace weir::edge {
namespace {

UplinkOptions uplink_options(const EdgeConfig& config, std::uint64_t jitter_seed) {
    UplinkOptions options;
    options.centrals = config.uplink.centrals;
    options.reconnect_ms_min = config.uplink.reconnect_ms_min;
    options.reconnect_ms_max = config.uplink.reconnect_ms_max;
    options.ping_ms = config.uplink.ping_ms;
    options.silent_ms_max = config.uplink.silent_ms_max;
    options.breaker_failures = config.uplink.breaker_failures;
    options.breaker_ms = config.uplink.breaker_ms;
    options.return_ms = config.uplink.return_ms;
    options.return_stable_ms = config.uplink.return_stable_ms;
    options.catch_up_queue_us = config.uplink.catch_up_queue_us;
    options.catch_up = {.readers = config.uplink.readers_max, .buffer_bytes = config.uplink.reader_bytes};
    options.jitter_seed = jitter_seed;
    return options;
}

std::vector<StreamTurns> all_turns(const EdgeConfig& config, const std::vector<SpoolLane>& lanes) {
    std::vector<StreamTurns> turns;
    for (std::uint32_t index = 0; index < lanes.size(); ++index) {
        const LaneState& state = lanes[index].state;
        const bool is_second = index > 0 && lanes[index - 1].state.id == state.id;
        turns.push_back(turns_of(config.lanes, state.name, state.part, is_second ? turns[index - 1].lane : index));
    }
    return turns;
}

std::vector<CatchUp::Source> sources_of(const EdgeConfig& config, const SpoolParts& parts) {
    std::vector<CatchUp::Source> sources;
    for (std::size_t index = 0; index < parts.start.lanes.size(); ++index) {
        const SpoolLane& lane = parts.start.lanes[index];
        const std::uint64_t segment_bytes = lane.journal.segment_bytes;
        JournalPlace place{.directory = stream_directory(config.data_dir, lane.state.name, lane.state.part),
                           .segment_bytes = segment_bytes,
                           .journal_id = parts.start.identity.lineage};
        // What this life writes is behind the tail's segment, where that was plain.
        if (config.at_rest.key != 0) place.plain_until = {round_up(lane.journal.tail.end.value + 1, segment_bytes)};
        sources.push_back({.place = std::move(place), .segments = parts.segments[index].get()});
    }
    return sources;
}

std::uint64_t memory_bytes_of(const EdgeConfig& config, std::string_view name) {
    for (const LaneConfig& lane : config.lanes) {
        if (lane.name == name) return lane.memory_bytes();
    }
    return memory_lane_bytes_default;
}

}  // namespace

SpoolStage::SpoolStage(io::Io& io, std::uint8_t owner, SpoolParts parts)
    : io_(io),
      owner_(owner),
      pool_(parts.pool),
      from_intake_(parts.from_intake),
      counters_(parts.counters),
      bytes_max_(parts.config.spool.bytes_max),
      checkpoint_ns_(parts.config.spool.checkpoint_ms * ns_per_ms),
      keep_bytes_(parts.config.spool.keep_delivered_bytes),
      lineage_(parts.start.identity.lineage),
      epoch_(parts.start.identity.epoch),
      lanes_(parts.start.lanes, parts.start.centrals),
      notes_(parts.to_intake, parts.intake_doorbell, lanes_.count(), parts.pool.count()),
      checkpoint_(spool_checkpoint_path(parts.config.data_dir), parts.start.checkpoint_serial),
      uplink_(io, owner, {.connect = connect_kind, .receive = receive_kind, .send = send_kind, .read = read_kind},
              uplink_options(parts.config, parts.jitter_seed), parts.start.identity, lanes_,
              all_turns(parts.config, parts.start.lanes), sources_of(parts.config, parts), parts.pool, notes_,
              parts.counters),
      keeper_({.config = parts.config,
               .running_ms = parts.start.running_ms,
               .pool_bytes = std::uint64_t{parts.pool.count()} * batch_buffer_bytes,
               .lanes = lanes_,
               .streams = streams_,
               .segments = parts.segments,
               .uplink = uplink_,
               .notes = notes_,
               .counters = parts.counters},
              io.now()),
      accepted_(parts.pool.count()) {
    WEIR_ASSERT(parts.segments.size() == lanes_.count());
    if (parts.rung != nullptr) uplink_.take_rung_from(*parts.rung);
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        SpoolLane& lane = lanes_[index];
        // A write's completion names its stream by its generation.
        const StreamSpool::Options options{
            .directory = stream_directory(parts.config.data_dir, lane.state.name, lane.state.part),
            .lineage = lineage_,
            .token = {.owner = owner,
                      .kind = journal_kind,
                      .generation = static_cast<std::uint16_t>(index),
                      .index = 0},
            .keep_ns = parts.config.spool.keep_delivered_ms * ns_per_ms,
            .key_id = parts.config.at_rest.key,
            .memory_bytes = lane.state.in_memory ? memory_bytes_of(parts.config, lane.state.name) : 0};
        streams_.push_back(std::make_unique<StreamSpool>(io, *parts.segments[index], options, lane));
        if (MemoryJournal* memory = streams_.back()->memory()) uplink_.send_from(index, *memory);
        counters_.lanes[index].spooled.set(lane.state.last_sequence);
        counters_.lanes[index].delivered.set(lane.delivered_events());
        counters_.lanes[index].shed.set(lane.shed_events);
        counters_.lanes[index].expired.set(lane.expired_events);
        counters_.lanes[index].gap.set(lane.gap_events);
        counters_.gap_events.add(lane.gap_events - lane.unacked_of(wire::gap_not_kept));
    }
}

Status SpoolStage::open() {
    for (const auto& stream : streams_) {
        if (auto status = stream->open(); !status) return status;
    }
    if (auto status = checkpoint_.open(io_, {.owner = owner_, .kind = checkpoint_kind, .generation = 0, .index = 0});
        !status) {
        return status;
    }
    stored_at_ = io_.now();
    checkpoint_at_ = stored_at_.plus_ns(checkpoint_ns_);
    count_bytes();
    return Done{};
}

std::size_t SpoolStage::do_work(MonotonicNs now) {
    take_orders(now);
    std::size_t work = take_input(now);
    work += settle_durable(now);
    work += write_accepted(now);
    note_poison();
    // What is still being written is delivered too before the uplink says goodbye.
    if (draining_ && (is_quiet() || is_poisoned())) uplink_.drain(now);
    work += uplink_.do_work(now);
    keep_promises(now);
    keep_lanes(now);
    if (uplink_.take_checkpoint_wish()) wish_checkpoint(now);
    if (now >= checkpoint_at_ || checkpoint_hurries() || draining_) keep_checkpoint(now);
    work += notes_.flush();
    notes_.ring_if_published();
    return work;
}

// Of lanes in memory: what is acked makes room, and what is used up is promised anew.
void SpoolStage::keep_promises(MonotonicNs now) {
    wants_promise_ = false;
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        if (!streams_[index]->is_in_memory()) continue;
        streams_[index]->release_delivered(uplink_.sending_from(index));
        // After a failure with the next one that is due: a disk that refuses is not asked again and again.
        const bool hurries =
            checkpoint_.last_errno() == 0 && lanes_[index].promise.wants_more(lanes_[index].state.last_sequence);
        wants_promise_ = wants_promise_ || hurries;
    }
    if (wants_promise_) checkpoint_at_ = std::min(checkpoint_at_, now);
}

void SpoolStage::keep_lanes(MonotonicNs now) {
    const LaneKeeper::Looked looked = keeper_.look(now);
    // What is given up takes room until a stored checkpoint knows of it.
    if (looked.has_given_up) wish_checkpoint(now);
    if (looked.has_no_room) {
        wish_checkpoint(now);
        give_back_kept(UINT64_MAX);
    }
    if (looked.has_given_up || looked.has_no_room) count_bytes();
}

// A stream that has a name keeps it.
void SpoolStage::take_orders(MonotonicNs now) {
    if (obeyed_) {
        if (!orders_->give_back(obeyed_.get())) return;
        static_cast<void>(obeyed_.release());
    }
    if (orders_ == nullptr) return;
    obeyed_.reset(orders_->take());
    if (!obeyed_) return;
    WEIR_ASSERT(obeyed_->streams.size() == streams_.size());
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        LaneOrders::Stream& order = obeyed_->streams[index];
        if (order.name.empty()) continue;
        uplink_.set_turns(index, order.turns);
        if (lanes_.is_named(index)) continue;
        lanes_[index].state.name.swap(order.name);
        lanes_[index].state.is_configured = true;
        uplink_.name_journal(index, order.directory);
    }
    keeper_.obey(obeyed_->lanes, now);
}

std::size_t SpoolStage::take_input(MonotonicNs now) {
    bool is_covered = false;
    const std::size_t taken = from_intake_.consume_all([&](const ToSpool& note) {
        WEIR_ASSERT(note.stream < streams_.size());
        switch (note.kind) {
            case ToSpool::Kind::batch:
                // Its lane was added while this cycle began: the orders were there before the batch.
                if (!lanes_.is_named(note.stream)) take_orders(now);
                WEIR_ASSERT(lanes_.is_named(note.stream));
                // One place per buffer: it cannot be full.
                accepted_.push(streams_[note.stream]->accepted(), note);
                return;
            case ToSpool::Kind::covered:
                streams_[note.stream]->cover(note.position);
                is_covered = true;
                return;
        }
    });
    if (is_covered) trim(now);
    return taken;
}

// One batch of each stream in turn, as far as there is room: one that waits holds up no other.
std::size_t SpoolStage::write_accepted(MonotonicNs now) {
    std::size_t written = 0;
    std::size_t idle = 0;
    while (accepted_.used() > 0 && idle < streams_.size() && !is_poisoned()) {
        turn_ = (turn_ + 1) % streams_.size();
        if (write_next(turn_, now)) {
            idle = 0;
            ++written;
        } else {
            ++idle;
        }
    }
    if (written > 0) counters_.appends.add(written);
    count_bytes();
    counters_.batches_waiting.set(from_intake_.waiting());
    return written;
}

bool SpoolStage::write_next(std::size_t index, MonotonicNs now) {
    StreamSpool& stream = *streams_[index];
    if (stream.accepted().is_empty() || !stream.may_write()) return false;
    if (stream.is_in_memory()) return keep_next(index, now);
    const ToSpool& next = accepted_.front(stream.accepted());
    const auto group_bytes = round_up(journal::record_bytes(next.batch_bytes), std::uint64_t{journal::block_bytes});
    // What waits for nothing but a checkpoint is not counted: intake's waits in turn for batches that are still to be written,
    // and with a spool full of what is delivered already neither would ever move.
    if (needed_bytes() + group_bytes > bytes_max_) return false;
    // Space that is only kept is given back ahead of the need.
    const std::uint64_t wanted = held_bytes() + group_bytes + stream.segment_bytes();
    if (wanted > bytes_max_) give_back_kept(wanted - bytes_max_);
    if (!stream.write(next, pool_.buffer(next.buffer).first(group_bytes), io_.wall(), now)) return false;
    accepted_.pop(stream.accepted());
    return true;
}

// One that finds no room waits in its buffer, as those do that wait for the disk.
bool SpoolStage::keep_next(std::size_t index, MonotonicNs now) {
    StreamSpool& stream = *streams_[index];
    stream.release_delivered(uplink_.sending_from(index));
    const ToSpool& next = accepted_.front(stream.accepted());
    if (!stream.write(next, pool_.buffer(next.buffer), io_.wall(), now)) return false;
    accepted_.pop(stream.accepted());
    const auto kept = stream.take_durable();
    WEIR_ASSERT(kept.has_value());
    settle(index, *kept, now);
    return true;
}

std::size_t SpoolStage::settle_durable(MonotonicNs now) {
    std::size_t settled = 0;
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        while (const auto written = streams_[index]->take_durable()) {
            settle(index, *written, now);
            ++settled;
        }
    }
    if (settled > 0) {
        counters_.journal_bytes_written.set(sum([](const StreamSpool& one) { return one.written_bytes(); }));
        counters_.journal_writes.set(sum([](const StreamSpool& one) { return one.writes_begun(); }));
    }
    return settled;
}

void SpoolStage::settle(std::size_t index, const StreamSpool::Written& written, MonotonicNs now) {
    SpoolLane& lane = lanes_[index];
    const bool is_in_memory = streams_[index]->is_in_memory();
    const std::uint32_t buffer = written.batch.buffer;
    const auto header = wire::load<wire::BatchHeader>(pool_.buffer(buffer).subspan(sizeof(journal::RecordHeader)));
    WEIR_ASSERT(header.last_sequence() >= lane.state.last_sequence);
    const DurableBatch batch{.buffer = buffer,
                             .batch_bytes = written.batch.batch_bytes,
                             .stream = static_cast<std::uint32_t>(index),
                             .first_sequence = header.first_sequence,
                             .last_sequence = header.last_sequence(),
                             .begin = written.position,
                             .end = is_in_memory
                                        ? written.group_end
                                        : Position{written.position.value +
                                                   streams_[index]->journal().stored_bytes(written.batch.batch_bytes)},
                             .durable_before = lane.journal.durable_end,
                             .due_at = written.batch.due_at,
                             .durable_at = now};
    lane.state.last_sequence = batch.last_sequence;
    lane.state.previous_crc = header.header_crc;
    lane.state.totals = header.totals;
    lane.journal.durable_end = batch.end;
    lane.journal.durable_crc = written.record_crc;
    counters_.lanes[index].spooled.set(batch.last_sequence);
    if (is_in_memory) {
        // No place on the disk: intake's checkpoint has nothing to cover.
        notes_.durable(index, batch.last_sequence, {}, now);
        return notes_.returned(batch.buffer);
    }
    counters_.append_ns.record(now.since(written.submitted_at));
    counters_.hops.written.record(written.submitted_at.since(written.batch.closed_at), header.count);
    counters_.hops.spooled.record(now.since(written.submitted_at), header.count);
    notes_.durable(index, batch.last_sequence, batch.end, now);
    if (!uplink_.offer(batch)) notes_.returned(batch.buffer);
}

// What a lane in memory has no room for waits for acks, not for the disk: a drain does not wait for it.
bool SpoolStage::is_quiet() const {
    return std::all_of(streams_.begin(), streams_.end(),
                       [](const auto& one) { return one->is_quiet() || one->is_in_memory(); });
}

// One disk lies under all of them: when it fails one write, nothing more is begun on it.
void SpoolStage::note_poison() {
    for (const auto& stream : streams_) {
        if (poison_errno_ == 0 && stream->journal().is_poisoned()) poison_errno_ = stream->journal().poison_errno();
    }
    if (poison_told_ || !is_poisoned()) return;
    poison_told_ = true;
    counters_.poisoned_errno.set(static_cast<std::uint64_t>(poison_errno_));
    notes_.poisoned();
}

bool SpoolStage::checkpoint_hurries() const {
    return sum([](const StreamSpool& one) { return one.unstored_bytes(); }) > read_back_bytes_max;
}

void SpoolStage::keep_checkpoint(MonotonicNs now) {
    if (checkpoint_.is_busy() || final_checkpoint_begun_) return;
    const bool is_last = draining_ && uplink_.is_drained() && (is_quiet() || is_poisoned());
    // While it drains, what a lane in memory has still to send may wait for its promise.
    if (draining_ && !is_last && !wants_promise_) return;
    if (is_last) {
        final_checkpoint_begun_ = true;
        give_up_memory();
    }
    checkpoint_at_ = now.plus_ns(checkpoint_ns_);
    SpoolCheckpoint head;
    head.lineage = lineage_;
    head.epoch = epoch_;
    const Bytes content = Bytes{checkpoint_bytes_}.first(encode(head, lanes_, checkpoint_bytes_));
    // What is only kept goes when its time is over, whether anything is stored or not.
    if (!is_checkpoint_worth_it(content, now)) return trim(now);
    is_checkpoint_due_ = false;
    stored_at_ = now;
    // What is stored is what is promised: it runs ahead from here.
    for (const auto& stream : streams_) stream->begin_store(now, final_checkpoint_begun_);
    stored_count_ = encode(head, lanes_, checkpoint_bytes_);
    std::copy_n(checkpoint_bytes_.begin(), stored_count_, stored_content_.begin());
    head.running_ms = keeper_.running_ms(now);
    WEIR_ASSERT(encode(head, lanes_, checkpoint_bytes_) == stored_count_);
    WEIR_ASSERT(checkpoint_.begin_store(content));
}

void SpoolStage::wish_checkpoint(MonotonicNs now) {
    is_checkpoint_due_ = true;
    checkpoint_at_ = std::min(checkpoint_at_, now);
}

// One that says what the last one said is not written; one that says little more waits until it says more.
bool SpoolStage::is_checkpoint_worth_it(ConstBytes content, MonotonicNs now) const {
    if (draining_ || is_checkpoint_due_ || wants_promise_) return true;
    const auto stored = ConstBytes{stored_content_}.first(stored_count_);
    // A promise that is not used up would be a gap after a crash: a lane that is quiet takes it back.
    bool has_unused = false;
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        const SpoolLane& lane = lanes_[index];
        has_unused = has_unused || (lane.state.in_memory && lane.promise.promised() != lane.state.last_sequence);
    }
    const bool is_new = has_unused || !std::equal(content.begin(), content.end(), stored.begin(), stored.end());
    // While something may expire, how long the edge has run is in it too.
    if (!is_new && !keeper_.may_expire()) return false;
    return checkpoint_hurries() || now.since(stored_at_) >= checkpoint_patience * checkpoint_ns_ ||
           sum([](const StreamSpool& one) { return one.unstored_bytes(); }) >= checkpoint_worth_bytes;
}

// At a stop: what central has not acked is gone with this process. In doubt: the next welcome says what it has after all.
void SpoolStage::give_up_memory() {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        StreamSpool& stream = *streams_[index];
        if (!stream.is_in_memory()) continue;
        SpoolLane& lane = lanes_[index];
        for (; !stream.accepted().is_empty(); accepted_.pop(stream.accepted())) {
            const std::uint32_t buffer = accepted_.front(stream.accepted()).buffer;
            const auto header =
                wire::load<wire::BatchHeader>(pool_.buffer(buffer).subspan(sizeof(journal::RecordHeader)));
            lane.state.last_sequence = header.last_sequence();
            lane.state.previous_crc = header.header_crc;
            lane.state.totals = header.totals;
            notes_.returned(buffer);
        }
        // Where there is no place for it in the list, the next life names it as a gap.
        const Sequence first = std::max(lane.state.delivered_sequence, lane.before_this_life) + 1;
        const std::uint64_t events = give_up_between(lane.given_up, first, lane.state.last_sequence, wire::gap_shed);
        lane.shed_events += events;
        lane.state.totals.shed += events;
        counters_.lanes[index].spooled.set(lane.state.last_sequence);
        counters_.lanes[index].shed.set(lane.shed_events);
        counters_.lanes[index].delivered.set(lane.delivered_events());
    }
}

void SpoolStage::trim(MonotonicNs now) {
    for (const auto& stream : streams_) stream->trim(now);
    const std::uint64_t kept = sum([](const StreamSpool& one) { return one.kept_bytes(); });
    if (kept > keep_bytes_) give_back_kept(kept - keep_bytes_);
    const std::uint64_t held = held_bytes();
    if (held > bytes_max_) give_back_kept(held - bytes_max_);
    count_bytes();
}

// Of what is only kept, from the stream that keeps the most, a segment at a time.
void SpoolStage::give_back_kept(std::uint64_t bytes_wanted) {
    for (std::uint64_t given = 0; given < bytes_wanted;) {
        StreamSpool* most = nullptr;
        for (const auto& stream : streams_) {
            if (most == nullptr || stream->kept_bytes() > most->kept_bytes()) most = stream.get();
        }
        const std::uint64_t before = most->held_bytes();
        if (!most->release_kept()) return;
        given += before - most->held_bytes();
    }
}

void SpoolStage::count_bytes() {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        counters_.lanes[index].bytes.set(streams_[index]->needed_bytes());
    }
    counters_.journal_bytes_held.set(held_bytes());
    counters_.journal_bytes_needed.set(needed_bytes());
}

void SpoolStage::on_completion(const io::Completion& completion, MonotonicNs now) {
    switch (completion.token.kind) {
        case journal_kind:
            WEIR_ASSERT(completion.token.generation < streams_.size());
            streams_[completion.token.generation]->on_completion(completion);
            (void)settle_durable(now);
            (void)write_accepted(now);
            return;
        case checkpoint_kind:
            if (checkpoint_.on_completion(completion)) {
                for (const auto& stream : streams_) stream->stored();
                counters_.checkpoints.add(1);
                counters_.checkpoint_bytes_written.set(checkpoint_.stored_bytes());
                trim(now);
            } else if (!checkpoint_.is_busy() && checkpoint_.last_errno() != 0) {
                counters_.checkpoint_failures.add(1);
                is_checkpoint_due_ = true;
                stored_count_ = 0;
            }
            return;
        default:
            WEIR_ASSERT(uplink_.on_completion(completion, now));
            return;
    }
}

MonotonicNs SpoolStage::next_deadline() const {
    return std::min({checkpoint_at_, uplink_.next_deadline(), keeper_.next_deadline()});
}

void SpoolStage::drain(MonotonicNs) {
    draining_ = true;
}

bool SpoolStage::is_drained() const {
    return draining_ && uplink_.is_drained() && final_checkpoint_begun_ && !checkpoint_.is_busy();
}

}  // namespace weir::edge
