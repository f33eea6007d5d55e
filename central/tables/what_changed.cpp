#include "central/tables/what_changed.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string>

#include "core/wire/batch.hpp"

namespace weir::central {
namespace {

using wire::Changed;
using wire::TableChangedHead;

// Columns that are looked at for a value that all have; the first few that the first and the last row agree on.
constexpr std::size_t shared_columns_max = 4;

struct ChangedRow {
    std::string_view key;
    ConstBytes old_cells{};  // empty, and !was_there: it is new
    bool was_there = false;
};
static_assert(sizeof(ChangedRow) <= changed_row_bytes);

// At most changed_rows_max + 1: then there are more than may be.
std::vector<ChangedRow> changed_rows(ConstBytes now, const wire::TableInfo& old_info, ConstBytes next,
                                     const wire::TableInfo& new_info) {
    std::vector<ChangedRow> rows;
    std::uint64_t old_at = old_info.rows_at, new_at = new_info.rows_at;
    while ((old_at < now.size() || new_at < next.size()) && rows.size() <= changed_rows_max) {
        const wire::TableRow old_row = old_at < now.size() ? wire::row_at(now, old_at) : wire::TableRow{};
        const wire::TableRow new_row = new_at < next.size() ? wire::row_at(next, new_at) : wire::TableRow{};
        const bool is_gone = new_row.bytes == 0 || (old_row.bytes != 0 && old_row.key < new_row.key);
        const bool is_new = old_row.bytes == 0 || (new_row.bytes != 0 && new_row.key < old_row.key);
        if (is_new) {
            rows.push_back({new_row.key});
        } else if (is_gone || !std::ranges::equal(old_row.cells, new_row.cells)) {
            rows.push_back({old_row.key, old_row.cells, true});
        }
        if (!is_new) old_at += old_row.bytes;
        if (!is_gone) new_at += new_row.bytes;
    }
    return rows;
}

// A column in which all of them had the same cell. Not empty.
std::optional<std::uint32_t> shared_column(const std::vector<ChangedRow>& rows, std::uint32_t columns) {
    const auto has_same = [&](const ChangedRow& row, std::uint32_t column) {
        return std::ranges::equal(wire::cell_at(row.old_cells, column), wire::cell_at(rows.front().old_cells, column));
    };
    if (!std::ranges::all_of(rows, &ChangedRow::was_there)) return std::nullopt;
    std::size_t looked_at = 0;
    for (std::uint32_t column = 0; column < columns && looked_at < shared_columns_max; ++column) {
        if (!has_same(rows.back(), column)) continue;
        ++looked_at;
        if (std::ranges::all_of(rows, [&](const ChangedRow& row) { return has_same(row, column); })) return column;
    }
    return std::nullopt;
}

// They are in order: what the first and the last share, all do.
std::string_view shared_prefix(const std::vector<ChangedRow>& rows) {
    const std::string_view first = rows.front().key, last = rows.back().key;
    const auto end = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
    return first.substr(0, static_cast<std::size_t>(end - first.begin()));
}

}  // namespace

std::vector<std::byte> what_changed(std::string_view name, ConstBytes now, ConstBytes next) {
    wire::TableInfo old_info, new_info;
    const bool are_tables = wire::check_table(now, old_info) == nullptr && wire::check_table(next, new_info) == nullptr;
    WEIR_ASSERT(are_tables);
    const TableChangedHead head{.name = wire::name_field<wire::table_name_bytes_max>(name),
                                .from_version = wire::table_version(now),
                                .version = wire::table_version(next),
                                .what = Changed::keys};
    std::vector<std::byte> body(wire::table_changed_body_bytes_max);
    wire::RowBodyWriter writer(Bytes(body), head);
    const auto finished = [&](Changed what) {
        writer.head().what = what;
        const auto end = body.begin() + static_cast<std::ptrdiff_t>(writer.finish());
        return std::vector<std::byte>(body.begin(), end);  // no more memory than it needs: it is kept
    };
    if (old_info.columns != new_info.columns) return finished(Changed::all);
    const auto rows = changed_rows(now, old_info, next, new_info);
    if (rows.size() > changed_rows_max) return finished(Changed::all);
    if (std::ranges::all_of(rows, [&](const ChangedRow& row) { return writer.add_key(row.key); })) {
        return finished(Changed::keys);
    }
    writer = wire::RowBodyWriter(Bytes(body), head);
    if (const auto column = shared_column(rows, static_cast<std::uint32_t>(old_info.columns.size()))) {
        const std::string& column_name = old_info.columns[*column];
        const auto length = static_cast<std::byte>(column_name.size());
        writer.add_raw(ConstBytes(&length, 1));
        writer.add_raw(std::as_bytes(std::span(column_name)));
        writer.add_raw(wire::cell_at(rows.front().old_cells, *column));
        return finished(Changed::value);
    }
    const std::string_view prefix = shared_prefix(rows);
    if (prefix.empty()) return finished(Changed::all);
    const bool has_room = writer.add_key(prefix);
    WEIR_ASSERT(has_room);
    return finished(Changed::prefix);
}

}  // namespace weir::central
