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

TableSet::TableSet(std::vector<ReferenceTableShare> tables, const std::vector<TableUseConfig>& use)
    : tables_(std::move(tables)) {
    const DeclaredTables declared(use);
    for (const ReferenceTableShare& table : tables_) {
        columns_.push_back({table.get(), "", 0, rules::Type::boolean});
        for (std::uint32_t index = 0; index < table->info().columns.size(); ++index) {
            const std::string& name = table->info().columns[index];
            const auto number = declared.find_column(table->name(), name);
            columns_.push_back({table.get(), name, index, number ? declared.type_of(*number) : rules::Type::any});
        }
    }
}

std::optional<std::uint32_t> TableSet::find_column(std::string_view table, std::string_view column) const {
    const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const Column& one) {
        return one.table->name() == table && one.name == column;
    });
    if (found == columns_.end()) return std::nullopt;
    return static_cast<std::uint32_t>(found - columns_.begin());
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
    const auto cells = column.table->find(text);
    if (!cells) return {};
    if (column.name.empty()) return rules::Value::of_boolean(true);
    const rules::Value value = value_of(wire::cell_of(*cells, column.index));
    const bool suits = column.type == rules::Type::any || rules::family_of(value.type) == rules::family_of(column.type);
    return suits ? value : rules::Value{};
}

}  // namespace weir::edge
