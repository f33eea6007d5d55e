#include "edge/tables/table_set.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <utility>

#include "edge/declared_tables.hpp"

namespace weir::edge {
namespace {

std::size_t bucket_count(std::uint64_t rows) {
    return std::bit_ceil(std::max<std::uint64_t>(2, 2 * rows));
}

rules::Value value_of(const wire::Cell& cell) {
    switch (cell.type) {
        case wire::CellType::null:
            return {};
        case wire::CellType::boolean:
            return rules::Value::of_boolean(cell.integer != 0);
        case wire::CellType::integer:
            return rules::Value::of_integer(cell.integer);
        case wire::CellType::real:
            return rules::Value::of_real(cell.real);
        case wire::CellType::text:
            return rules::Value::of_text(cell.text);
    }
    return {};
}

}  // namespace

ReferenceTable::ReferenceTable(std::string name, std::vector<std::byte> image, wire::TableInfo info)
    : name_(std::move(name)),
      version_(wire::table_version(image)),
      image_(std::move(image)),
      info_(std::move(info)),
      buckets_(bucket_count(info_.rows), none) {
    for (std::uint64_t at = info_.rows_at; at < image_.size();) {
        const wire::TableRow row = wire::row_at(image_, at);
        std::size_t bucket = XXH3_64bits(row.key.data(), row.key.size()) & (buckets_.size() - 1);
        while (buckets_[bucket] != none) bucket = (bucket + 1) & (buckets_.size() - 1);
        buckets_[bucket] = static_cast<std::uint32_t>(at);
        at += row.bytes;
    }
}

std::uint64_t ReferenceTable::memory_bytes_of(std::uint64_t image_bytes, std::uint64_t rows) {
    return image_bytes + bucket_count(rows) * sizeof(std::uint32_t);
}

std::optional<ConstBytes> ReferenceTable::find(std::string_view key) const noexcept {
    std::size_t bucket = XXH3_64bits(key.data(), key.size()) & (buckets_.size() - 1);
    for (; buckets_[bucket] != none; bucket = (bucket + 1) & (buckets_.size() - 1)) {
        const wire::TableRow row = wire::row_at(image_, buckets_[bucket]);
        if (row.key == key) return row.cells;
    }
    return std::nullopt;
}

TableSet::TableSet(std::vector<ReferenceTableShare> tables, const std::vector<TableUseConfig>& use,
                   CachedTables* cached)
    : tables_(std::move(tables)), cached_(cached) {
    const DeclaredTables declared(use);
    const auto add = [&](Column column) {
        const auto number = declared.find_column(column.table_name, column.name);
        column.type = number ? declared.type_of(*number) : rules::Type::any;
        columns_.push_back(std::move(column));
    };
    for (const ReferenceTableShare& table : tables_) {
        add({.table_name = table->name(), .table = table.get()});
        columns_.back().type = rules::Type::boolean;
        for (std::uint32_t index = 0; index < table->info().columns.size(); ++index) {
            add({.table_name = table->name(),
                 .table = table.get(),
                 .name = table->info().columns[index],
                 .index = index});
        }
    }
    std::size_t cached_index = 0;
    for (const TableUseConfig& one : use) {
        if (!one.is_cached()) continue;
        add({.table_name = one.name, .cached_index = cached_index});
        std::uint32_t index = 0;
        for (const std::string& column : one.columns) {
            auto parsed = DeclaredTables::parse(column);
            if (!parsed) continue;
            add({.table_name = one.name, .cached_index = cached_index, .name = parsed->first, .index = index++});
        }
        ++cached_index;
    }
}

std::optional<std::uint32_t> TableSet::find_column(std::string_view table, std::string_view column) const {
    const auto found = std::find_if(columns_.begin(), columns_.end(),
                                    [&](const Column& one) { return one.table_name == table && one.name == column; });
    if (found == columns_.end()) return std::nullopt;
    return static_cast<std::uint32_t>(found - columns_.begin());
}

std::optional<ConstBytes> TableSet::cells_of(const Column& column, std::string_view key) const noexcept {
    if (column.table != nullptr) return column.table->find(key);
    return cached_ == nullptr ? std::nullopt : cached_->find(column.cached_index, key);
}

rules::Value TableSet::read(std::uint32_t number, const rules::Value& key) const noexcept {
    const Column& column = columns_[number];
    std::array<char, 24> digits;
    std::string_view text;
    if (key.type == rules::Type::text) {
        text = key.as_text();
    } else {
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), key.integer).ptr;
        text = {digits.data(), static_cast<std::size_t>(end - digits.data())};
    }
    const auto cells = cells_of(column, text);
    if (!cells) return {};
    if (column.name.empty()) return rules::Value::of_boolean(true);
    const rules::Value value = value_of(wire::cell_of(*cells, column.index));
    const bool suits = column.type == rules::Type::any || rules::family_of(value.type) == rules::family_of(column.type);
    return suits ? value : rules::Value{};
}

}  // namespace weir::edge
