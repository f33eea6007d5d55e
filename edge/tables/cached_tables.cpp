#include "edge/tables/cached_tables.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "edge/declared_tables.hpp"

namespace weir::edge {
namespace {

constexpr std::uint32_t none = UINT32_MAX;
constexpr std::size_t tag_bytes_max = wire::table_column_bytes_max + 1 + 3 + wire::table_text_bytes_max;

std::vector<std::string> names_of_columns(const TableUseConfig& use) {
    std::vector<std::string> names;
    for (const std::string& column : use.columns) {
        if (auto parsed = DeclaredTables::parse(column)) names.push_back(std::move(parsed->first));
    }
    return names;
}

cache::Options options_of(const TableUseConfig& use, std::uint64_t seed) {
    cache::Options options;
    options.bytes_max = use.bytes_max;
    options.entry_bytes_max = use.entry_bytes_max;
    options.absent_lifetime_ns = use.absent_s * ns_per_second;
    for (std::size_t index = 0; index < use.lifetimes_s.size(); ++index) {
        options.lifetimes_ns[index] = use.lifetimes_s[index] * ns_per_second;
    }
    options.seed = seed;
    return options;
}

// "COLUMN", 0, and the cell as it lies in a row.
std::string_view put_tag(std::string_view column, ConstBytes cell, std::span<char> room) noexcept {
    const std::size_t bytes = column.size() + 1 + cell.size();
    WEIR_ASSERT(bytes <= room.size());
    char* at = std::copy(column.begin(), column.end(), room.data());
    *at++ = '\0';
    std::transform(cell.begin(), cell.end(), at, [](std::byte one) { return static_cast<char>(one); });
    return {room.data(), bytes};
}

}  // namespace

struct CachedTables::Places {
    std::array<std::uint32_t, wire::table_columns_max> columns{};  // none: the answer has no such column
    std::array<std::uint32_t, cache::entry_tags_max> tags{};
    std::uint32_t lifetime = none;
};

std::vector<TableUseConfig> cached_tables_of(const EdgeConfig& config) {
    std::vector<TableUseConfig> cached;
    for (const TableUseConfig& use : config.tables.use) {
        if (use.is_cached()) cached.push_back(use);
    }
    return cached;
}

std::vector<std::string> cached_table_names(const EdgeConfig& config) {
    std::vector<std::string> names;
    for (const TableUseConfig& use : cached_tables_of(config)) names.push_back(use.name);
    return names;
}

CachedTables::Table::Table(const TableUseConfig& use, std::uint64_t seed)
    : name(use.name),
      columns(names_of_columns(use)),
      lifetime_column(use.lifetime_column),
      tag_columns(use.tag_columns),
      lifetimes(static_cast<std::uint32_t>(use.lifetimes_s.size())),
      entry_bytes_max(use.entry_bytes_max),
      rows(options_of(use, seed)) {
    counters.memory_bytes.set(rows.memory_bytes());
}

CachedTables::CachedTables(const EdgeConfig& config, RowLink& link, std::uint64_t seed)
    : link_(link),
      wished_(wished_slots),
      tag_room_(cache::entry_tags_max * tag_bytes_max),
      seed_(seed),
      per_second_(config.tables.asked_keys_per_second_max),
      may_wish_(per_second_) {
    std::size_t row_bytes_max = 0;
    for (const TableUseConfig& use : cached_tables_of(config)) {
        tables_.push_back(std::make_unique<Table>(use, seed));
        row_bytes_max = std::max<std::size_t>(row_bytes_max, use.entry_bytes_max);
    }
    row_room_.resize(row_bytes_max);
}

void CachedTables::begin_cycle(MonotonicNs now) noexcept {
    now_ = now;
    const std::size_t frames = link_.take_frames([this](std::size_t index, wire::FrameKind kind, ConstBytes body) {
        Table& table = *tables_[index];
        kind == wire::FrameKind::row_answer ? take_answer(table, index, body) : take_changed(table, body);
    });
    if (frames == 0) return;
    has_looked_ = true;
    link_.wake_spool();  // it may wait for room
}

void CachedTables::end_cycle() noexcept {
    if (std::exchange(has_wished_, false)) link_.wake_spool();
    if (!std::exchange(has_looked_, false)) return;
    for (const auto& table : tables_) {
        const cache::CacheCounts& counts = table->rows.counts();
        CachedTableCounters& said = table->counters;
        said.rows.set(table->rows.count());
        said.hits.set(counts.hits);
        said.absent_hits.set(counts.absent_hits);
        said.misses.set(counts.misses);
        said.expired.set(counts.expired);
        said.evicted.set(counts.evicted);
        said.invalidated.set(counts.invalidated);
    }
}

std::optional<ConstBytes> CachedTables::find(std::size_t index, std::string_view key) noexcept {
    Table& table = *tables_[index];
    if (key.empty() || key.size() > wire::table_key_bytes_max) return std::nullopt;  // no row has such a key
    if (key.size() > table.entry_bytes_max) {
        table.counters.too_large.add(1);
        return std::nullopt;
    }
    has_looked_ = true;
    const cache::Answer answer = table.rows.find(key, now_);
    switch (answer.found) {
        case cache::Found::present:
            return std::as_bytes(std::span(answer.value));
        case cache::Found::absent:
            return std::nullopt;
        case cache::Found::unknown:
            break;
    }
    wish(index, key);
    return std::nullopt;
}

void CachedTables::wish(std::size_t index, std::string_view key) noexcept {
    CachedTableCounters& counters = tables_[index]->counters;
    const std::uint64_t hash = hash_of(index, key);
    Wished& slot = slot_of(hash);
    if (slot.hash == hash && now_ < slot.until) return counters.repeated.add(1);
    refill(now_);
    if (may_wish_ == 0) return counters.over_rate.add(1);
    if (!link_.wish(index, key)) return counters.without_room.add(1);
    --may_wish_;
    slot = {hash, now_.plus_ns(wish_again_ns)};
    has_wished_ = true;
    counters.wishes.add(1);
}

// At most a second's worth is saved up.
void CachedTables::refill(MonotonicNs now) noexcept {
    const std::uint64_t elapsed_ns = std::min(now.since(refilled_at_), ns_per_second);
    const std::uint64_t more = elapsed_ns * per_second_ / ns_per_second;
    if (more == 0) return;
    may_wish_ = std::min(per_second_, may_wish_ + more);
    // What is left over of the time counts for the next.
    refilled_at_ = elapsed_ns == ns_per_second ? now : refilled_at_.plus_ns(more * ns_per_second / per_second_);
}

void CachedTables::take_answer(Table& table, std::size_t index, ConstBytes body) noexcept {
    Places places;
    const auto place = [&](const std::string& column) { return wire::answered_column(body, column).value_or(none); };
    for (std::size_t i = 0; i < table.columns.size(); ++i) places.columns[i] = place(table.columns[i]);
    for (std::size_t i = 0; i < table.tag_columns.size(); ++i) places.tags[i] = place(table.tag_columns[i]);
    if (!table.lifetime_column.empty()) places.lifetime = place(table.lifetime_column);
    const auto head = wire::load<wire::RowAnswerHead>(body);
    std::uint64_t at = wire::answered_rows_at(body);
    for (std::uint32_t n = 0; n < head.rows; ++n) {
        const wire::AnsweredRow row = wire::take_answered_row(body, at);
        const std::uint64_t hash = hash_of(index, row.key);
        if (Wished& slot = slot_of(hash); slot.hash == hash) slot = {};
        take_row(table, places, row);
    }
}

// Of its cells only those that are declared are kept.
void CachedTables::take_row(Table& table, const Places& places, const wire::AnsweredRow& row) noexcept {
    if (row.is_absent) {
        (void)table.rows.put_absent(row.key, now_);
        return;
    }
    constexpr std::byte null_cell{static_cast<unsigned char>(wire::CellType::null)};
    std::size_t bytes = 0;
    bool fits = true;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        const std::uint32_t column = places.columns[i];
        const ConstBytes cell = column == none ? ConstBytes(&null_cell, 1) : wire::cell_at(row.cells, column);
        fits = cell.size() <= row_room_.size() - bytes;
        if (!fits) break;
        std::copy(cell.begin(), cell.end(), row_room_.begin() + static_cast<std::ptrdiff_t>(bytes));
        bytes += cell.size();
    }
    std::uint8_t lifetime = 0;
    if (places.lifetime != none) {
        const wire::Cell cell = wire::cell_of(row.cells, places.lifetime);
        const bool is_class =
            cell.type == wire::CellType::integer && cell.integer >= 0 && cell.integer < table.lifetimes;
        if (is_class) lifetime = static_cast<std::uint8_t>(cell.integer);
    }
    std::array<std::string_view, cache::entry_tags_max> tags;
    std::size_t tag_count = 0;
    for (std::size_t i = 0; i < table.tag_columns.size(); ++i) {
        if (places.tags[i] == none) continue;
        const auto room = std::span(tag_room_).subspan(tag_count * tag_bytes_max, tag_bytes_max);
        tags[tag_count++] = put_tag(table.tag_columns[i], wire::cell_at(row.cells, places.tags[i]), room);
    }
    const std::string_view value(reinterpret_cast<const char*>(row_room_.data()), bytes);
    if (fits && table.rows.put(row.key, value, now_, lifetime, std::span(tags).first(tag_count))) return;
    // Not asked for again and again: null, as one that is not there.
    table.counters.too_large.add(1);
    table.has_untagged = true;
    (void)table.rows.put_absent(row.key, now_);
}

void CachedTables::take_changed(Table& table, ConstBytes body) noexcept {
    const auto head = wire::load<wire::TableChangedHead>(body);
    std::uint64_t at = sizeof head;
    switch (head.what) {
        case wire::Changed::keys:
            for (std::uint32_t n = 0; n < head.keys; ++n) (void)table.rows.invalidate(wire::take_key(body, at));
            return;
        case wire::Changed::prefix:
            (void)table.rows.invalidate_prefix(wire::take_key(body, at));
            return;
        case wire::Changed::value: {
            const wire::ChangedValue value = wire::changed_value(body);
            const auto& tagged = table.tag_columns;
            if (table.has_untagged || std::find(tagged.begin(), tagged.end(), value.column) == tagged.end()) break;
            (void)table.rows.invalidate_tag(put_tag(value.column, value.cell, std::span(tag_room_)));
            return;
        }
        case wire::Changed::all:
            break;
    }
    table.has_untagged = false;
    (void)table.rows.invalidate_prefix("");
}

std::uint64_t CachedTables::hash_of(std::size_t table, std::string_view key) const noexcept {
    return XXH3_64bits_withSeed(key.data(), key.size(), seed_ + table);
}

}  // namespace weir::edge
