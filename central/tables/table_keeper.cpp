#include "central/tables/table_keeper.hpp"

#include <cinttypes>
#include <cstdio>
#include <utility>

#include "central/tables/table_file.hpp"
#include "central/tables/what_changed.hpp"

namespace weir::central {
namespace {

void index_rows(const wire::TableInfo& info, TableEntry& table) {
    std::vector<std::uint32_t> rows;
    rows.reserve(info.rows);
    static_assert(wire::table_image_bytes_max <= UINT32_MAX);
    for (std::uint64_t at = info.rows_at; at < table.image->size(); at += wire::row_at(*table.image, at).bytes) {
        rows.push_back(static_cast<std::uint32_t>(at));
    }
    table.rows_at = std::make_shared<const std::vector<std::uint32_t>>(std::move(rows));
    table.columns_bytes = info.rows_at - sizeof(wire::TableHead);
}

}  // namespace

TableKeeper::TableKeeper(const CentralConfig& config) : bytes_max_(config.limits.table_bytes_max) {
    for (const TableConfig& table : config.tables) tables_.push_back({table, {}, {}, {}});
}

std::unique_ptr<const TableBook> TableKeeper::look(bool is_forced) {
    bool has_changed = false;
    for (Kept& table : tables_) {
        const Stamp stamp = stamp_of(table.config.file);
        if (stamp == table.stamp && !is_forced) continue;
        table.stamp = stamp;
        has_changed = read(table) || has_changed;
    }
    if (!has_changed) return nullptr;
    auto book = std::make_unique<TableBook>();
    for (const Kept& table : tables_) {
        if (table.entry.image != nullptr) book->tables.push_back(table.entry);
    }
    return book;
}

TableKeeper::Stamp TableKeeper::stamp_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, static_cast<std::uint64_t>(status.st_size), status.st_ino};
}

// True: the table has become another.
bool TableKeeper::read(Kept& table) {
    ReadTable made = read_table(table.config.file);
    if (!made.image) {
        ++failures_;
        for (std::string& line : made.errors) errors_.push_back(std::move(line));
        return false;
    }
    TableEntry next;
    next.name = table.config.name;
    next.version = wire::table_version(*made.image);
    if (table.entry.image != nullptr && next.version == table.entry.version) return false;
    wire::TableInfo info;
    const char* why = wire::check_table(*made.image, info);
    if (made.image->size() > bytes_max_) why = "the table is larger than limits.table_bytes_max";
    if (why != nullptr) {
        ++failures_;
        errors_.push_back(table.config.file + ":1:1: " + why);
        return false;
    }
    next.rows = info.rows;
    next.image = std::make_shared<const std::vector<std::byte>>(std::move(*made.image));
    index_rows(info, next);
    if (table.entry.image != nullptr) table.before.insert(table.before.begin(), table.entry.image);
    if (table.before.size() > history_max) table.before.pop_back();
    for (const TableEntry::Image& old : table.before) {
        next.changed_bodies.push_back({wire::table_version(*old), std::make_shared<const std::vector<std::byte>>(
                                                                      what_changed(next.name, *old, *next.image))});
        auto changes = wire::make_changes(*old, *next.image);
        if (!changes || changes->size() >= next.image->size()) continue;
        next.changes.push_back(
            {wire::table_version(*old), std::make_shared<const std::vector<std::byte>>(std::move(*changes))});
    }
    table.entry = std::move(next);
    char version[17];
    std::snprintf(version, sizeof version, "%016" PRIx64, table.entry.version);
    notes_.push_back(table.entry.name + ": " + std::to_string(table.entry.rows) + " rows, version " + version);
    return true;
}

}  // namespace weir::central
