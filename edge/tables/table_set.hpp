// TableSet: the tables that lookups read: whole in memory, or by the row from what is cached.
//
// Thread    Made on a control thread; read by the judge that it was made for, of cached tables on intake's thread alone.
// Ownership A ReferenceTable never changes; sets and judgements share it. Shares are taken and dropped on the control thread alone:
//           a judgement made by a reload reads the same tables as the one before it, and copying them each time would cost their
//           size in memory and time.
// Cost      A lookup: a hash of the key, and about two cache misses.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rules/tables.hpp"
#include "core/wire/table.hpp"
#include "edge/config.hpp"
#include "edge/tables/cached_tables.hpp"

namespace weir::edge {

class ReferenceTable {
  public:
    // `image`: checked (wire::check_table).
    ReferenceTable(std::string name, std::vector<std::byte> image, wire::TableInfo info);
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::uint64_t version() const { return version_; }
    [[nodiscard]] ConstBytes image() const { return image_; }
    [[nodiscard]] const wire::TableInfo& info() const { return info_; }
    [[nodiscard]] std::uint64_t memory_bytes() const { return image_.size() + buckets_.size() * sizeof(buckets_[0]); }
    // Of an image of so many bytes with so many rows.
    [[nodiscard]] static std::uint64_t memory_bytes_of(std::uint64_t image_bytes, std::uint64_t rows);
    // The cells of the row with this key.
    [[nodiscard]] std::optional<ConstBytes> find(std::string_view key) const noexcept;

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    std::string name_;
    std::uint64_t version_;
    std::vector<std::byte> image_;
    wire::TableInfo info_;
    std::vector<std::uint32_t> buckets_;  // where rows begin in the image; open addressing, half full at most
};
using ReferenceTableShare = std::shared_ptr<const ReferenceTable>;

class TableSet final : public rules::Tables {
  public:
    // `use`: the columns' declared types; a value of another type reads as null. `cached`: the rows of those that are cached, of the
    // same `use`; it outlives this. Null: all of them read as null.
    TableSet(std::vector<ReferenceTableShare> tables, const std::vector<TableUseConfig>& use,
             CachedTables* cached = nullptr);
    [[nodiscard]] std::optional<std::uint32_t> find_column(std::string_view table,
                                                           std::string_view column) const override;
    [[nodiscard]] rules::Type type_of(std::uint32_t column) const override { return columns_[column].type; }
    [[nodiscard]] rules::Value read(std::uint32_t column, const rules::Value& key) const noexcept override;

  private:
    struct Column;
    [[nodiscard]] std::optional<ConstBytes> cells_of(const Column& column, std::string_view key) const noexcept;
    struct Column {
        std::string table_name{};
        const ReferenceTable* table = nullptr;  // null: it is cached
        std::size_t cached_index = 0;
        std::string name{};  // empty: whether there is such a row
        std::uint32_t index = 0;
        rules::Type type = rules::Type::any;
    };
    std::vector<ReferenceTableShare> tables_;
    CachedTables* cached_;
    std::vector<Column> columns_;
};
using TableShare = std::shared_ptr<const TableSet>;

}  // namespace weir::edge
