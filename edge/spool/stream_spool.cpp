#include "edge/spool/stream_spool.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"
#include "core/journal/segment_orders.hpp"

namespace weir::edge {
namespace {

// The next segment is made once this share of the open one is used: a stream that is hardly used costs one. One that is flooded fills
// a segment in 150 ms, and a disk that does both takes as long to make the next: one that is late holds up all that is behind it.
constexpr std::uint64_t ahead_after_share = 64;

journal::JournalOptions journal_options(const StreamSpool::Options& from, const StreamJournal& start) {
    journal::JournalOptions options;
    options.directory = from.directory;
    options.role = journal::Role::spool;
    options.journal_id = from.lineage;
    options.segment_bytes = start.segment_bytes;
    static_assert(ahead_after_share > journal::fill_lag_share);  // else each would lag from its begin
    options.ahead_after_bytes = start.segment_bytes / ahead_after_share;
    options.key_id = from.key_id;
    options.group_bytes_max = batch_buffer_bytes;
    options.gathers = true;
    return options;
}

}  // namespace

StreamSpool::StreamSpool(io::Io& io, journal::SegmentStore& segments, Options options, SpoolLane& lane)
    : lane_(lane),
      keep_ns_(options.keep_ns),
      memory_(options.memory_bytes == 0
                  ? nullptr
                  : std::make_unique<MemoryJournal>(options.memory_bytes, lane.journal.durable_end)),
      journal_(io, segments, journal_options(options, lane.journal), lane.journal.tail, options.token) {}

Status StreamSpool::open() {
    if (!lane_.journal.exists) {
        journal_.open_with_first_append();
        return Done{};
    }
    is_begun_ = true;
    return journal_.open();
}

bool StreamSpool::write(const ToSpool& batch, Bytes group, WallNs wall, MonotonicNs now) {
    WEIR_ASSERT(may_write());
    if (is_in_memory()) return keep(batch, group, now);
    const journal::RecordSlot slot{.at = 0, .batch_bytes = batch.batch_bytes};
    const auto position = journal_.append(group, {&slot, 1}, wall);
    if (!position) return false;
    is_begun_ = true;
    writing_[(writing_head_ + writing_count_++) % writing_.size()] = {
        .batch = batch,
        .position = *position,
        .record_crc = wire::load<journal::RecordHeader>(group).crc,
        .group_end = journal_.end_position(),
        .submitted_at = std::max(now, batch.closed_at)};
    return true;
}

bool StreamSpool::keep(const ToSpool& batch, Bytes group, MonotonicNs now) {
    const ConstBytes bytes = group.subspan(sizeof(journal::RecordHeader), batch.batch_bytes);
    const auto header = wire::load<wire::BatchHeader>(bytes);
    const auto kept = memory_->append(
        {.bytes = bytes, .first_sequence = header.first_sequence, .last_sequence = header.last_sequence()}, now);
    if (!kept) return false;
    writing_[(writing_head_ + writing_count_++) % writing_.size()] = {.batch = batch,
                                                                      .position = kept->begin,
                                                                      .record_crc = 0,
                                                                      .group_end = kept->end,
                                                                      .submitted_at = std::max(now, batch.closed_at)};
    return true;
}

void StreamSpool::release_delivered(Position in_use) {
    memory_->release_before(std::min(lane_.journal.delivered, in_use));
    lane_.journal.kept_from = memory_->begin();
}

std::optional<StreamSpool::Written> StreamSpool::take_durable() {
    if (writing_count_ == 0) return std::nullopt;
    if (!is_in_memory() && writing_[writing_head_].group_end > journal_.durable_position()) return std::nullopt;
    const Written& oldest = writing_[writing_head_];
    writing_head_ = (writing_head_ + 1) % writing_.size();
    --writing_count_;
    return oldest;
}

std::uint64_t StreamSpool::unstored_bytes() const {
    if (is_in_memory()) return 0;
    const Position stored = std::max(lane_.journal.stored_start, storing_start_);
    return lane_.journal.durable_end.value - std::min(stored, lane_.journal.durable_end).value;
}

std::uint64_t StreamSpool::held_bytes() const {
    return is_begun_ ? journal_.end_position().value - lane_.journal.kept_from.value : 0;
}

std::uint64_t StreamSpool::needed_bytes() const {
    if (is_in_memory()) return memory_->held_bytes();
    if (!is_begun_ || (lane_.journal.delivered >= lane_.journal.durable_end && writing_count_ == 0)) return 0;
    const Position from = std::max(lane_.journal.delivered, lane_.journal.kept_from);
    const std::uint64_t hole =
        lane_.hole_end > from ? lane_.hole_end.value - std::max(lane_.hole_begin, from).value : 0;
    return journal_.end_position().value - std::min(from, journal_.end_position()).value - hole;
}

Position StreamSpool::releasable() const {
    const StreamJournal& journal = lane_.journal;
    const Position delivered = std::min(given_up_floor_.value_or(journal.delivered), journal.delivered);
    const Position sent = WEIR_PLANTED(trim_undelivered) ? journal.durable_end : delivered;
    const Position last{journal.durable_end.value == 0 ? 0 : journal.durable_end.value - 1};
    return floor_of(std::min({sent, journal.covered, journal.stored_start, last}));
}

std::uint64_t StreamSpool::kept_bytes() const {
    if (is_in_memory()) return 0;
    const Position floor = releasable();
    return floor > lane_.journal.kept_from ? floor.value - lane_.journal.kept_from.value : 0;
}

bool StreamSpool::release_before(Position floor) {
    if (floor <= lane_.journal.kept_from || !is_begun_) return false;
    lane_.journal.kept_from = floor;
    journal_.release_before(floor);
    return true;
}

bool StreamSpool::release_kept() {
    if (kept_bytes() == 0) return false;
    return release_before({lane_.journal.kept_from.value + segment_bytes()});
}

Position StreamSpool::grace_floor(MonotonicNs now) {
    const Position delivered = lane_.journal.delivered;
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
    return grace_;
}

void StreamSpool::trim(MonotonicNs now) {
    if (is_in_memory()) return;
    const Position floor = std::min(releasable(), floor_of(grace_floor(now)));
    (void)release_before(floor);
}

}  // namespace weir::edge
