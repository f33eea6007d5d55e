#include "central/ingest/positions.hpp"

#include <algorithm>
#include <functional>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"

namespace weir::central {
namespace {

std::size_t mix(std::size_t seed, std::uint64_t value) {
    return (seed ^ value) * 0x9e3779b97f4a7c15ULL + (seed >> 29);
}

}  // namespace

std::size_t PositionTable::Hash::operator()(const EdgeKey& key) const noexcept {
    return mix(std::hash<std::string_view>{}(wire::name_of(key.edge)), key.lineage);
}

std::size_t PositionTable::Hash::operator()(const PositionKey& key) const noexcept {
    const std::size_t edge = mix(std::hash<std::string_view>{}(wire::name_of(key.edge)), key.lineage);
    return mix(edge, (std::uint64_t{key.lane} << 8) | static_cast<std::uint8_t>(key.part));
}

PositionKey key_of(const wire::BatchHeader& batch) {
    return {batch.edge_id, batch.lineage, batch.lane, batch.part};
}

PositionTable::PositionTable(std::uint32_t rows_max, std::uint32_t edges_max)
    : rows_max_(rows_max),
      edges_max_(edges_max),
      rows_(std::make_unique<PositionRow[]>(rows_max)),
      edges_(std::make_unique<EdgeRow[]>(edges_max)) {
    index_.reserve(rows_max);
    edge_index_.reserve(edges_max);
}

std::uint32_t PositionTable::find(const PositionKey& key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? no_row : found->second;
}

std::uint32_t PositionTable::claim(const PositionKey& key, const LaneName& lane_name) {
    if (const std::uint32_t known = find(key); known != no_row) return known;
    const std::uint32_t count = row_count_.load(std::memory_order_relaxed);
    if (count == rows_max_) return no_row;
    rows_[count].key = key;
    rows_[count].lane_name = lane_name;
    index_.emplace(key, count);
    row_count_.store(count + 1, std::memory_order_release);  // pairs with the acquire in row_count
    return count;
}

std::uint32_t PositionTable::claim_edge(const EdgeKey& key) {
    if (const auto found = edge_index_.find(key); found != edge_index_.end()) return found->second;
    const std::uint32_t count = edge_count_.load(std::memory_order_relaxed);
    if (count == edges_max_) return no_row;
    edges_[count].key = key;
    edge_index_.emplace(key, count);
    edge_count_.store(count + 1, std::memory_order_release);  // pairs with the acquire in edge_count
    return count;
}

Judgement PositionTable::judge(const PositionRow& row, const wire::BatchHeader& batch) {
    const Sequence last = row.hot.last_sequence;
    if (WEIR_PLANTED(accept_gap) && batch.first_sequence > last + 1) return Judgement::append;
    if (WEIR_PLANTED(no_duplicate_check) && batch.last_sequence() <= last) return Judgement::append;
    if (batch.last_sequence() <= last) return Judgement::duplicate;
    if (batch.first_sequence > last + 1) return Judgement::gap;
    if (batch.first_sequence != last + 1) return Judgement::diverged;
    // A gap stands for batches that nobody can show any more: it chains to nothing, and what follows chains to a lost one.
    const bool must_chain = batch.kind == wire::BatchKind::events && !row.hot.is_after_gap;
    return must_chain && batch.previous_crc != row.hot.previous_crc ? Judgement::diverged : Judgement::append;
}

void PositionTable::take(PositionRow& row, const wire::BatchHeader& batch, std::uint32_t unverified) {
    row.hot.last_sequence = batch.last_sequence();
    row.hot.previous_crc = batch.header_crc;
    row.hot.epoch = batch.epoch;
    row.hot.is_after_gap = batch.kind == wire::BatchKind::gap;
    row.stored_bytes.add(sizeof batch + batch.body_bytes);
    if (batch.kind == wire::BatchKind::gap) {
        (batch.flags == wire::gap_elsewhere ? row.elsewhere : row.gap).add(batch.count);
        return;
    }
    row.received.add(batch.count);
    row.appended.add(batch.count);
    row.dead_lettered.add(batch.lane == dead_letter_lane ? batch.count : unverified);
}

bool PositionTable::restore(const wire::BatchHeader& batch, std::uint32_t unverified) {
    if (batch.kind == wire::BatchKind::tick) return true;
    const std::uint32_t index = claim(key_of(batch), batch.lane_name);
    const std::uint32_t edge_index = claim_edge({batch.edge_id, batch.lineage});
    if (index == no_row || edge_index == no_row) return false;
    EdgeRow& known = edges_[edge_index];
    known.epoch.set(std::max(known.epoch.get(), batch.epoch));
    PositionRow& target = rows_[index];
    if (batch.last_sequence() <= target.hot.last_sequence) return true;
    take(target, batch, unverified);
    target.hot.durable_sequence = target.hot.last_sequence;
    target.last_sequence.set(target.hot.last_sequence);
    return true;
}

}  // namespace weir::central
