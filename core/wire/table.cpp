#include "core/wire/table.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace weir::wire {
namespace {

struct RowHead {
    std::uint16_t key_bytes = 0;
    std::uint16_t reserved = 0;
    std::uint32_t cells_bytes = 0;
};
static_assert(sizeof(RowHead) == 8);
struct ChangeHead {
    std::uint16_t key_bytes = 0;
    std::uint16_t is_removal = 0;
    std::uint32_t cells_bytes = 0;
};
static_assert(sizeof(ChangeHead) == sizeof(RowHead));

template <class T>
void append(const T& value, std::vector<std::byte>& to) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    to.insert(to.end(), bytes.begin(), bytes.end());
}
void append(std::string_view text, std::vector<std::byte>& to) {
    const auto bytes = std::as_bytes(std::span(text));
    to.insert(to.end(), bytes.begin(), bytes.end());
}
std::string_view text_in(ConstBytes bytes, std::uint64_t at, std::size_t count) {
    return {reinterpret_cast<const char*>(bytes.data()) + at, count};
}

// The bytes of the cell at the front, 0 if there is none.
std::size_t cell_bytes(ConstBytes cells) noexcept {
    if (cells.empty()) return 0;
    std::size_t bytes = 1;
    switch (static_cast<CellType>(cells[0])) {
        case CellType::null:
            break;
        case CellType::boolean:
            bytes += 1;
            if (cells.size() >= bytes && cells[1] > std::byte{1}) return 0;
            break;
        case CellType::integer:
            bytes += sizeof(std::int64_t);
            break;
        case CellType::real:
            bytes += sizeof(double);
            if (cells.size() >= bytes && !std::isfinite(load<double>(cells.subspan(1)))) return 0;
            break;
        case CellType::text:
            if (cells.size() < 3) return 0;
            bytes += 2 + load<std::uint16_t>(cells.subspan(1));
            if (bytes - 3 > table_text_bytes_max) return 0;
            break;
        default:  // a byte from outside may hold anything
            return 0;
    }
    return bytes <= cells.size() ? bytes : 0;
}

// Head, key and cells at byte `at`; false if they do not lie inside.
template <class Head>
bool take_entry(ConstBytes bytes, std::uint64_t at, Head& head, TableRow& row) noexcept {
    if (bytes.size() - at < sizeof(Head)) return false;
    head = load<Head>(bytes.subspan(at));
    row.bytes = sizeof(Head) + std::uint64_t{head.key_bytes} + head.cells_bytes;
    if (row.bytes > bytes.size() - at || head.key_bytes > table_key_bytes_max) return false;
    row.key = text_in(bytes, at + sizeof(Head), head.key_bytes);
    row.cells = bytes.subspan(at + sizeof(Head) + head.key_bytes, head.cells_bytes);
    return true;
}

const char* check_columns(ConstBytes image, std::uint16_t columns, TableInfo& info) {
    std::uint64_t at = sizeof(TableHead);
    for (std::uint16_t column = 0; column < columns; ++column) {
        if (at >= image.size()) return "it ends within its columns";
        const auto bytes = static_cast<std::size_t>(image[at]);
        if (bytes == 0 || bytes > table_column_bytes_max || bytes > image.size() - at - 1)
            return "a column has no name";
        info.columns.emplace_back(text_in(image, at + 1, bytes));
        at += 1 + bytes;
    }
    info.rows_at = at;
    return nullptr;
}

}  // namespace

std::string_view text(CellType type) noexcept {
    switch (type) {
        case CellType::null:
            return "null";
        case CellType::boolean:
            return "boolean";
        case CellType::integer:
            return "integer";
        case CellType::real:
            return "real";
        case CellType::text:
            return "text";
    }
    return "";
}

std::uint64_t table_version(ConstBytes image) noexcept {
    const std::uint64_t digest = XXH3_64bits(image.data(), image.size());
    return digest == 0 ? 1 : digest;
}

const char* check_table(ConstBytes image, TableInfo& info) {
    info = {};
    if (image.size() < sizeof(TableHead)) return "it is shorter than its head";
    if (image.size() > table_image_bytes_max) return "it is larger than a table may be";
    const auto head = load<TableHead>(image);
    if (head.magic != table_magic) return "it is no table";
    if (head.format != table_format) return "it is of another format";
    if (head.columns > table_columns_max || head.rows > table_rows_max) return "it has too many columns or rows";
    if (const char* const why = check_columns(image, head.columns, info); why != nullptr) return why;
    std::uint64_t at = info.rows_at;
    TableRow row;
    std::string_view before;
    for (std::uint32_t index = 0; index < head.rows; ++index) {
        RowHead row_head;
        if (!take_entry(image, at, row_head, row)) return "it ends within a row";
        if (index > 0 && row.key <= before) return "its rows are not in order";
        if (!are_cells(row.cells, head.columns)) return "a row's cells are none";
        before = row.key;
        at += row.bytes;
    }
    if (at != image.size()) return "something follows its last row";
    info.rows = head.rows;
    return nullptr;
}

bool are_cells(ConstBytes cells, std::size_t columns) noexcept {
    for (std::size_t column = 0; column < columns; ++column) {
        const std::size_t bytes = cell_bytes(cells);
        if (bytes == 0) return false;
        cells = cells.subspan(bytes);
    }
    return cells.empty();
}

ConstBytes cell_at(ConstBytes cells, std::uint32_t column) noexcept {
    for (; column > 0; --column) cells = cells.subspan(cell_bytes(cells));
    return cells.first(cell_bytes(cells));
}

TableRow row_at(ConstBytes image, std::uint64_t at) noexcept {
    RowHead head;
    TableRow row;
    const bool is_there = take_entry(image, at, head, row);
    WEIR_ASSERT(is_there);
    return row;
}

Cell cell_of(ConstBytes cells, std::uint32_t column) noexcept {
    for (; column > 0; --column) cells = cells.subspan(cell_bytes(cells));
    Cell cell;
    cell.type = static_cast<CellType>(cells[0]);
    switch (cell.type) {
        case CellType::null:
            break;
        case CellType::boolean:
            cell.integer = cells[1] == std::byte{0} ? 0 : 1;
            break;
        case CellType::integer:
            cell.integer = load<std::int64_t>(cells.subspan(1));
            break;
        case CellType::real:
            cell.real = load<double>(cells.subspan(1));
            break;
        case CellType::text:
            cell.text = text_in(cells, 3, load<std::uint16_t>(cells.subspan(1)));
            break;
    }
    return cell;
}

TableWriter::TableWriter(const std::vector<std::string>& columns) {
    head_.columns = static_cast<std::uint16_t>(columns.size());
    append(head_, image_);
    for (const std::string& column : columns) {
        append(static_cast<std::uint8_t>(column.size()), image_);
        append(std::string_view(column), image_);
    }
}

void TableWriter::add_row(std::string_view key, ConstBytes cells) {
    append(RowHead{static_cast<std::uint16_t>(key.size()), 0, static_cast<std::uint32_t>(cells.size())}, image_);
    append(key, image_);
    image_.insert(image_.end(), cells.begin(), cells.end());
    ++head_.rows;
}

std::vector<std::byte> TableWriter::finish() {
    store(Bytes(image_), head_);
    return std::move(image_);
}

void append_cell(const Cell& cell, std::vector<std::byte>& cells) {
    append(cell.type, cells);
    switch (cell.type) {
        case CellType::null:
            break;
        case CellType::boolean:
            append(static_cast<std::uint8_t>(cell.integer != 0 ? 1 : 0), cells);
            break;
        case CellType::integer:
            append(cell.integer, cells);
            break;
        case CellType::real:
            append(cell.real, cells);
            break;
        case CellType::text:
            append(static_cast<std::uint16_t>(cell.text.size()), cells);
            append(cell.text, cells);
            break;
    }
}

std::optional<std::vector<std::byte>> make_changes(ConstBytes now, ConstBytes next) {
    TableInfo old_info, new_info;
    const bool are_tables = check_table(now, old_info) == nullptr && check_table(next, new_info) == nullptr;
    WEIR_ASSERT(are_tables);
    if (old_info.columns != new_info.columns) return std::nullopt;
    ChangesHead head{.from_version = table_version(now), .version = table_version(next)};
    std::vector<std::byte> made;
    append(head, made);
    const auto change = [&](const TableRow& row, bool is_removal) {
        const auto cells = is_removal ? ConstBytes{} : row.cells;
        append(ChangeHead{static_cast<std::uint16_t>(row.key.size()), static_cast<std::uint16_t>(is_removal ? 1 : 0),
                          static_cast<std::uint32_t>(cells.size())},
               made);
        append(row.key, made);
        made.insert(made.end(), cells.begin(), cells.end());
        ++head.changes;
    };
    std::uint64_t old_at = old_info.rows_at, new_at = new_info.rows_at;
    while (old_at < now.size() || new_at < next.size()) {
        const TableRow old_row = old_at < now.size() ? row_at(now, old_at) : TableRow{};
        const TableRow new_row = new_at < next.size() ? row_at(next, new_at) : TableRow{};
        const bool is_gone = new_row.bytes == 0 || (old_row.bytes != 0 && old_row.key < new_row.key);
        const bool is_new = old_row.bytes == 0 || (new_row.bytes != 0 && new_row.key < old_row.key);
        if (is_gone) {
            change(old_row, true);
        } else if (is_new || !std::equal(old_row.cells.begin(), old_row.cells.end(), new_row.cells.begin(),
                                         new_row.cells.end())) {
            change(new_row, false);
        }
        if (!is_new) old_at += old_row.bytes;
        if (!is_gone) new_at += new_row.bytes;
    }
    store(Bytes(made), head);
    return made;
}

std::optional<std::vector<std::byte>> apply_changes(ConstBytes now, ConstBytes changes) {
    if (changes.size() < sizeof(ChangesHead)) return std::nullopt;
    const auto head = load<ChangesHead>(changes);
    if (head.magic != changes_magic || head.format != table_format || head.from_version != table_version(now)) {
        return std::nullopt;
    }
    TableInfo info;
    const bool is_table = check_table(now, info) == nullptr;
    WEIR_ASSERT(is_table);
    TableWriter writer(info.columns);
    std::uint64_t old_at = info.rows_at, at = sizeof head;
    std::string_view before;
    for (std::uint32_t index = 0; index < head.changes; ++index) {
        ChangeHead change;
        TableRow row;
        if (!take_entry(changes, at, change, row)) return std::nullopt;
        if (index > 0 && row.key <= before) return std::nullopt;
        before = row.key;
        at += row.bytes;
        for (; old_at < now.size();) {
            const TableRow old_row = row_at(now, old_at);
            if (old_row.key > row.key) break;
            old_at += old_row.bytes;
            if (old_row.key < row.key) writer.add_row(old_row.key, old_row.cells);
        }
        if (change.is_removal == 0) writer.add_row(row.key, row.cells);
    }
    if (at != changes.size()) return std::nullopt;
    while (old_at < now.size()) {
        const TableRow old_row = row_at(now, old_at);
        writer.add_row(old_row.key, old_row.cells);
        old_at += old_row.bytes;
    }
    std::vector<std::byte> image = writer.finish();
    // Whatever the changes were: only what they promised counts.
    if (table_version(image) != head.version || check_table(image, info) != nullptr) return std::nullopt;
    return image;
}

}  // namespace weir::wire
