#include "central/letters/retention.hpp"

#include <algorithm>

#include "core/journal/scan.hpp"

namespace weir::central {

LetterRetention::LetterRetention(const CentralConfig& config, std::uint64_t dead_letters_id,
                                 const ExpiredLetters& found, IngestShared& shared, MonotonicNs now)
    : directory_(dead_letters_directory(config)),
      segment_bytes_(config.journal.segment_bytes),
      keep_s_(config.dead_letters.keep_s),
      bytes_max_(config.dead_letters.bytes_max),
      dead_letters_id_(dead_letters_id),
      shared_(shared),
      file_(expired_letters_path(config), found.serial),
      started_(now) {
    if (found.head.dead_letters_id == dead_letters_id) {
        running_base_s_ = stored_s_ = found.head.running_s;
        kept_from_ = found.head.kept_from;
        for (const CheckpointRow& row : found.rows) rows_[{row.edge, row.lineage, row.lane, row.part}] = row;
        for (const ClosedSegment& one : found.segments) closed_s_[one.index] = one.closed_at_s;
    }
    publish();
}

Result<bool> LetterRetention::look(MonotonicNs now) {
    // Pairs with ingest's release: the segment of the last durable record, and it alone, is written.
    const std::uint64_t durable = shared_.letters_durable.load(std::memory_order_acquire);
    if (durable == 0) return false;
    const std::uint64_t open_index = (durable - 1) / segment_bytes_;
    auto list = journal::list_segments(directory_);
    if (!list) return list.error();
    const std::uint64_t now_s = running_s(now);
    bool is_changed = now_s >= stored_s_ + store_s && !closed_s_.empty();
    closed_s_.erase(closed_s_.begin(), closed_s_.lower_bound(kept_from_));
    std::uint64_t bytes = 0;
    for (const auto& segment : list.value().segments) {
        const std::uint64_t index = segment.header.segment_index;
        bytes += segment_bytes_;
        if (index < kept_from_ || index >= open_index) continue;
        is_changed = closed_s_.try_emplace(index, now_s).second || is_changed;
    }
    shared_.letters_bytes.set(bytes);
    const std::uint64_t wanted = wanted_from(open_index, now_s);
    std::uint64_t from = kept_from_;
    if (wanted > kept_from_) {
        auto taken = take_before(wanted);
        if (!taken) return taken.error();
        from = std::max(from, taken.value());
    }
    if (from == kept_from_ && !is_changed && !is_unstored_) return false;
    kept_from_ = from;
    is_unstored_ = true;
    if (auto stored = store(now_s); !stored) return stored.error();
    is_unstored_ = false;
    const bool has_released = shared_.letters_kept_from.load(std::memory_order_relaxed) < from * segment_bytes_;
    publish();
    return has_released;
}

std::uint64_t LetterRetention::wanted_from(std::uint64_t open_index, std::uint64_t now_s) const {
    std::uint64_t from = kept_from_;
    // The one that is written and the one made ready ahead of it count too.
    std::uint64_t bytes = (closed_s_.size() + 2) * segment_bytes_;
    for (const auto& [index, closed_at_s] : closed_s_) {
        if (index >= open_index || (bytes <= bytes_max_ && now_s < closed_at_s + keep_s_)) break;
        from = index + 1;
        bytes -= segment_bytes_;
    }
    return from;
}

Result<std::uint64_t> LetterRetention::take_before(std::uint64_t index) {
    auto scanner = journal::Scanner::open(directory_, {});
    if (!scanner) return scanner.error();
    auto rows = rows_;
    while (const auto record = scanner.value().next()) {
        // Only a record behind them shows that all before it was read.
        if (record->position.value / segment_bytes_ >= index) {
            rows_ = std::move(rows);
            return index;
        }
        const wire::BatchHeader& batch = record->batch_header;
        if (batch.kind == wire::BatchKind::tick || batch.count == 0) continue;
        CheckpointRow& row = rows[{batch.edge_id, batch.lineage, batch.lane, batch.part}];
        if (batch.last_sequence() <= row.last_sequence) continue;
        row.edge = batch.edge_id;
        row.lane_name = batch.lane_name;
        row.lineage = batch.lineage;
        row.lane = batch.lane;
        row.part = batch.part;
        row.epoch = batch.epoch;
        row.last_sequence = batch.last_sequence();
        row.previous_crc = batch.header_crc;
        row.is_after_gap = batch.kind == wire::BatchKind::gap ? 1 : 0;
        if (batch.kind != wire::BatchKind::gap) {
            row.appended += batch.count;
        } else {
            (batch.flags == wire::gap_elsewhere ? row.elsewhere : row.gap) += batch.count;
        }
    }
    return Error{0, directory_ + ": not read to segment " + std::to_string(index) +
                        ": nothing is released: " + scanner.value().fault()};
}

Status LetterRetention::store(std::uint64_t now_s) {
    ExpiredHead head;
    head.dead_letters_id = dead_letters_id_;
    head.running_s = now_s;
    head.kept_from = kept_from_;
    closed_s_.erase(closed_s_.begin(), closed_s_.lower_bound(kept_from_));
    head.rows = static_cast<std::uint32_t>(rows_.size());
    head.segments = static_cast<std::uint32_t>(closed_s_.size());
    std::vector<std::byte> content(sizeof head + head.rows * sizeof(CheckpointRow) +
                                   head.segments * sizeof(ClosedSegment));
    if (content.size() > journal::checkpoint_content_bytes_max) {
        return Error{0, directory_ + ": more streams or segments than letters-expired holds: nothing is released"};
    }
    Bytes out(content);
    const auto put = [&](const auto& value) {
        wire::store(out, value);
        out = out.subspan(sizeof value);
    };
    put(head);
    for (const auto& [key, row] : rows_) put(row);
    for (const auto& [index, closed_at_s] : closed_s_) put(ClosedSegment{index, closed_at_s});
    if (auto stored = file_.store_now(content); !stored) return stored;
    stored_s_ = now_s;
    return Done{};
}

void LetterRetention::publish() {
    std::uint64_t expired = 0;
    for (const auto& [key, row] : rows_) expired += row.appended;
    shared_.letters_expired.set(expired);
    // Pairs with ingest's acquire: what it releases is written down.
    shared_.letters_kept_from.store(kept_from_ * segment_bytes_, std::memory_order_release);
}

}  // namespace weir::central
