#include "edge/spool/spool_stage.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"
#include "edge/spool/spool_checkpoint.hpp"

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
    options.jitter_seed = jitter_seed;
    return options;
}

journal::JournalOptions journal_options(const EdgeConfig& config, const SpoolStart& start) {
    journal::JournalOptions options;
    options.directory = spool_directory(config.data_dir);
    options.role = journal::Role::spool;
    options.journal_id = start.identity.lineage;
    options.segment_bytes = start.segment_bytes;
    return options;
}

}  // namespace

SpoolStage::SpoolStage(io::Io& io, std::uint8_t owner, SpoolParts parts)
    : io_(io),
      owner_(owner),
      pool_(parts.pool),
      segments_(parts.segments),
      from_intake_(parts.from_intake),
      counters_(parts.counters),
      bytes_max_(parts.config.spool.bytes_max),
      segment_bytes_(parts.start.segment_bytes),
      checkpoint_ns_(parts.config.spool.checkpoint_ms * ns_per_ms),
      keep_ns_(parts.config.spool.keep_delivered_ms * ns_per_ms),
      keep_bytes_(parts.config.spool.keep_delivered_bytes),
      lineage_(parts.start.identity.lineage),
      epoch_(parts.start.identity.epoch),
      lanes_(parts.start.lanes, parts.start.centrals),
      notes_(parts.to_intake, parts.intake_doorbell, lanes_.count(), parts.pool.count()),
      journal_(io, parts.segments, journal_options(parts.config, parts.start), parts.start.tail,
               {.owner = owner, .kind = journal_kind, .generation = 0, .index = 0}),
      checkpoint_(spool_checkpoint_path(parts.config.data_dir), parts.start.checkpoint_serial),
      reader_(io, spool_directory(parts.config.data_dir), parts.start.segment_bytes, owner, read_kind),
      uplink_(io, owner, {.connect = connect_kind, .receive = receive_kind, .send = send_kind, .read = read_kind},
              uplink_options(parts.config, parts.jitter_seed), parts.start.identity, lanes_, reader_, parts.pool,
              notes_, parts.counters,
              {.kept_from = parts.start.kept_from,
               .delivered = parts.start.delivered,
               .durable_end = parts.start.durable_end}),
      accepted_(parts.pool.count()),
      durable_end_(parts.start.durable_end),
      durable_crc_(parts.start.durable_crc),
      covered_(parts.start.covered),
      trimmed_(parts.start.kept_from),
      stored_start_(parts.start.stored_start) {
    for (std::size_t index = 0; index < lanes_.count(); ++index) {
        const SpoolLane& lane = lanes_[index];
        counters_.lanes[index].spooled.set(lane.state.last_sequence);
        const Sequence delivered = lane.state.delivered_sequence;
        counters_.lanes[index].delivered.set(delivered > lane.gap_events ? delivered - lane.gap_events : 0);
        counters_.lanes[index].gap.set(lane.gap_events);
        counters_.gap_events.add(lane.gap_events);
    }
    counters_.journal_bytes_held.set(held_bytes());
}

Status SpoolStage::open() {
    if (auto status = journal_.open(); !status) return status;
    if (auto status = checkpoint_.open(io_, {.owner = owner_, .kind = checkpoint_kind, .generation = 0, .index = 0});
        !status) {
        return status;
    }
    checkpoint_at_ = io_.now().plus_ns(checkpoint_ns_);
    return Done{};
}

std::size_t SpoolStage::do_work(MonotonicNs now) {
    std::size_t work = take_input(now);
    work += settle_durable(now);
    work += append_accepted(now);
    note_poison();
    // What is still being written is delivered too before the uplink says goodbye.
    if (draining_ && (is_quiet() || journal_.is_poisoned())) uplink_.drain(now);
    work += uplink_.do_work(now);
    const Position stored = std::max(stored_start_, storing_start_);
    const bool hurries = durable_end_.value > stored.value + read_back_bytes_max;
    if (now >= checkpoint_at_ || hurries || draining_) keep_checkpoint(now);
    work += notes_.flush();
    notes_.ring_if_published();
    return work;
}

std::size_t SpoolStage::take_input(MonotonicNs now) {
    return from_intake_.consume_all([this, now](const ToSpool& note) {
        switch (note.kind) {
            case ToSpool::Kind::batch:
                // One place per buffer: it cannot be full.
                WEIR_ASSERT(accepted_count_ < accepted_.size());
                accepted_[(accepted_head_ + accepted_count_++) % accepted_.size()] = note;
                return;
            case ToSpool::Kind::covered:
                covered_ = std::max(covered_, note.position);
                trim(now);
                return;
        }
    });
}

// What waits for nothing but a checkpoint is not counted: intake's waits in turn for batches that are still to be written,
// and with a spool full of what is delivered already neither would ever move.
std::uint64_t SpoolStage::needed_bytes() const {
    const std::uint64_t delivered = uplink_.delivered_position().value / segment_bytes_ * segment_bytes_;
    const std::uint64_t freed = delivered > trimmed_.value ? delivered - trimmed_.value : 0;
    return held_bytes() > freed ? held_bytes() - freed : 0;
}

std::size_t SpoolStage::append_accepted(MonotonicNs now) {
    std::size_t appended = 0;
    while (accepted_count_ > 0 && writing_count_ < writing_.size() && !journal_.is_poisoned()) {
        const ToSpool& next = accepted_[accepted_head_];
        const auto group_bytes = round_up(journal::record_bytes(next.batch_bytes), std::uint64_t{journal::block_bytes});
        if (held_bytes() + group_bytes > bytes_max_) trim(now);
        if (needed_bytes() + group_bytes > bytes_max_) break;
        const Bytes group = pool_.buffer(next.buffer).first(group_bytes);
        const journal::RecordSlot slot{.at = 0, .batch_bytes = next.batch_bytes};
        const auto position = journal_.append(group, {&slot, 1}, io_.wall());
        if (!position) break;
        const auto header = wire::load<journal::RecordHeader>(group);
        const auto batch = wire::load<wire::BatchHeader>(group.subspan(sizeof(header)));
        WEIR_ASSERT(next.stream < lanes_.count());
        writing_[(writing_head_ + writing_count_++) % writing_.size()] = {
            .batch = {.buffer = next.buffer,
                      .batch_bytes = next.batch_bytes,
                      .lane_index = next.stream,
                      .first_sequence = batch.first_sequence,
                      .last_sequence = batch.last_sequence(),
                      .end = {position->value + journal::record_bytes(next.batch_bytes)}},
            .record_crc = header.crc,
            .group_end = {position->value + group_bytes},
            .submitted_at = now};
        accepted_head_ = (accepted_head_ + 1) % accepted_.size();
        --accepted_count_;
        ++appended;
        counters_.appends.add(1);
    }
    if (appended > 0) counters_.journal_bytes_held.set(held_bytes());
    counters_.journal_bytes_needed.set(needed_bytes());
    counters_.batches_waiting.set(from_intake_.waiting());
    return appended;
}

std::size_t SpoolStage::settle_durable(MonotonicNs now) {
    std::size_t settled = 0;
    while (writing_count_ > 0 && writing_[writing_head_].group_end <= journal_.durable_position()) {
        settle(writing_[writing_head_], now);
        writing_head_ = (writing_head_ + 1) % writing_.size();
        --writing_count_;
        ++settled;
    }
    if (settled > 0) counters_.journal_bytes_written.set(journal_.written_bytes());
    return settled;
}

void SpoolStage::settle(const Written& written, MonotonicNs now) {
    const DurableBatch& batch = written.batch;
    SpoolLane& lane = lanes_[batch.lane_index];
    const auto header =
        wire::load<wire::BatchHeader>(pool_.buffer(batch.buffer).subspan(sizeof(journal::RecordHeader)));
    WEIR_ASSERT(batch.last_sequence >= lane.state.last_sequence);
    lane.state.last_sequence = batch.last_sequence;
    lane.state.previous_crc = header.header_crc;
    lane.state.totals = header.totals;
    durable_end_ = batch.end;
    durable_crc_ = written.record_crc;
    counters_.lanes[batch.lane_index].spooled.set(batch.last_sequence);
    counters_.append_ns.record(now.since(written.submitted_at));
    notes_.durable(batch.lane_index, batch.last_sequence, batch.end);
    if (!uplink_.offer(batch)) notes_.returned(batch.buffer);
}

void SpoolStage::note_poison() {
    if (poison_told_ || !journal_.is_poisoned()) return;
    poison_told_ = true;
    counters_.poisoned_errno.set(static_cast<std::uint64_t>(journal_.poison_errno()));
    notes_.poisoned();
}

void SpoolStage::keep_checkpoint(MonotonicNs now) {
    if (checkpoint_.is_busy() || final_checkpoint_begun_) return;
    if (draining_) {
        if (!uplink_.is_drained() || !(is_quiet() || journal_.is_poisoned())) return;
        final_checkpoint_begun_ = true;
    }
    SpoolCheckpoint head;
    head.lineage = lineage_;
    head.epoch = epoch_;
    head.durable = durable_end_;
    head.durable_crc = durable_crc_;
    head.delivered = uplink_.delivered_position();
    head.trimmed = trimmed_;
    const std::size_t bytes = encode(head, lanes_, checkpoint_bytes_);
    storing_start_ = durable_end_;
    checkpoint_at_ = now.plus_ns(checkpoint_ns_);
    WEIR_ASSERT(checkpoint_.begin_store(ConstBytes{checkpoint_bytes_}.first(bytes)));
}

Position SpoolStage::grace_floor(MonotonicNs now) {
    const Position delivered = uplink_.delivered_position();
    if (keep_ns_ == 0) return delivered;
    while (delivered_count_ > 0) {
        const Delivered& oldest = delivered_at_[delivered_head_];
        if (now.since(oldest.at) < keep_ns_) break;
        grace_ = std::max(grace_, oldest.position);
        delivered_head_ = (delivered_head_ + 1) % delivered_samples;
        --delivered_count_;
    }
    const std::size_t last = (delivered_head_ + delivered_count_ + delivered_samples - 1) % delivered_samples;
    const bool is_due =
        delivered_count_ == 0 || now.since(delivered_at_[last].at) >= keep_ns_ / (delivered_samples - 1);
    if (is_due && delivered_count_ < delivered_samples) {
        delivered_at_[(delivered_head_ + delivered_count_++) % delivered_samples] = {now, delivered};
    }
    // Its bytes are bounded, and it never takes what the undelivered needs: a segment is given back ahead of the need.
    const std::uint64_t end = journal_.end_position().value + segment_bytes_;
    const std::uint64_t by_bytes = delivered.value > keep_bytes_ ? delivered.value - keep_bytes_ : 0;
    const std::uint64_t by_room = end > bytes_max_ ? end - bytes_max_ : 0;
    return {std::max({grace_.value, by_bytes, by_room})};
}

void SpoolStage::trim(MonotonicNs now) {
    const Position sent = WEIR_PLANTED(trim_undelivered) ? durable_end_ : uplink_.delivered_position();
    const Position needed = std::min({sent, covered_, stored_start_, grace_floor(now)});
    const Position floor{needed.value / segment_bytes_ * segment_bytes_};
    if (floor <= trimmed_) return;
    trimmed_ = floor;
    uplink_.set_kept_from(floor);
    journal_.release_before(floor);
    counters_.journal_bytes_held.set(held_bytes());
}

void SpoolStage::on_completion(const io::Completion& completion, MonotonicNs now) {
    switch (completion.token.kind) {
        case journal_kind:
            journal_.on_completion(completion);
            (void)settle_durable(now);
            (void)append_accepted(now);
            return;
        case checkpoint_kind:
            if (checkpoint_.on_completion(completion)) {
                stored_start_ = storing_start_;
                counters_.checkpoints.add(1);
                trim(now);
            } else if (!checkpoint_.is_busy() && checkpoint_.last_errno() != 0) {
                counters_.checkpoint_failures.add(1);
            }
            return;
        default:
            WEIR_ASSERT(uplink_.on_completion(completion, now));
            if (const auto damaged = reader_.take_damaged_segment()) segments_.mark_damaged(*damaged);
            return;
    }
}

MonotonicNs SpoolStage::next_deadline() const {
    return std::min(checkpoint_at_, uplink_.next_deadline());
}

void SpoolStage::drain(MonotonicNs) {
    draining_ = true;
}

bool SpoolStage::is_drained() const {
    return draining_ && uplink_.is_drained() && final_checkpoint_begun_ && !checkpoint_.is_busy();
}

}  // namespace weir::edge
