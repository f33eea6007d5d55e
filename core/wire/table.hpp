// Tables of reference data as they travel from a central to its edges and rest there: images, changes between two of them, and
// the frames that carry both (FORMAT.md §4).
//
// A table's version is the digest of its image: the same rows are the same version at every central and after every restart, and
// whoever has put changes into an image sees whether it has become what it should be.
//
// Thread    Any. What makes images allocates; what reads them does not.
// Law       check_table (of the cells of one row: are_cells) is the only gate: nothing else here looks at an image that has not passed it.
// Bounds    table_image_bytes_max, and what stands beside it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.hpp"
#include "core/wire/frame.hpp"

namespace weir::wire {

inline constexpr std::size_t table_name_bytes_max = 32;
inline constexpr std::size_t tables_max = 32;  // of one central, and of one edge
inline constexpr std::size_t table_columns_max = 64;
inline constexpr std::size_t table_column_bytes_max = 64;  // of a name
inline constexpr std::size_t table_key_bytes_max = 256;
inline constexpr std::size_t table_text_bytes_max = 1024;  // of one cell
inline constexpr std::uint32_t table_rows_max = 1U << 24;
inline constexpr std::uint64_t table_image_bytes_max = 1ULL << 30;
inline constexpr std::uint32_t table_chunk_bytes_max = 64U << 10;

// EdgeHello::features: tables may be offered on this connection.
inline constexpr std::uint64_t edge_feature_tables = 1;

struct TableOffersHead {
    std::uint32_t tables = 0;    // TableOffer records that follow: all that this central has
    std::uint32_t features = 0;  // bits: offers_feature_rows (rows.hpp); unknown ones say nothing
};
static_assert(sizeof(TableOffersHead) == 8);
struct TableOffer {
    std::array<char, table_name_bytes_max> name{};  // [a-z0-9-]{1,32}, padded with zeros
    std::uint64_t version = 0;
    std::uint64_t image_bytes = 0;
};
static_assert(sizeof(TableOffer) == 48);

struct TablePull {
    std::array<char, table_name_bytes_max> name{};  // empty: the offers again
    std::uint64_t version = 0;
    std::uint64_t from_version = 0;  // that the edge has; 0: none
    std::uint64_t offset = 0;        // of the bytes asked for
};
static_assert(sizeof(TablePull) == 56);

struct TableChunkHead {
    std::array<char, table_name_bytes_max> name{};
    std::uint64_t version = 0;
    std::uint64_t from_version = 0;  // the bytes are changes to this version; 0: they are the image
    std::uint64_t offset = 0;
    std::uint64_t total_bytes = 0;
};
static_assert(sizeof(TableChunkHead) == 64);
inline constexpr std::uint32_t table_frame_body_bytes_max = sizeof(TableChunkHead) + table_chunk_bytes_max;
static_assert(table_frame_body_bytes_max >= sizeof(TableOffersHead) + tables_max * sizeof(TableOffer));

inline constexpr std::uint32_t table_magic = 0x31425457;    // "WTB1"
inline constexpr std::uint32_t changes_magic = 0x31435457;  // "WTC1"
inline constexpr std::uint16_t table_format = 1;

struct TableHead {
    std::uint32_t magic = table_magic;
    std::uint16_t format = table_format;
    std::uint16_t columns = 0;
    std::uint32_t rows = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(TableHead) == 16);
struct ChangesHead {
    std::uint32_t magic = changes_magic;
    std::uint16_t format = table_format;
    std::uint16_t reserved = 0;
    std::uint32_t changes = 0;
    std::uint32_t reserved_2 = 0;
    std::uint64_t from_version = 0;
    std::uint64_t version = 0;
};
static_assert(sizeof(ChangesHead) == 32);

enum class CellType : std::uint8_t { null = 0, boolean = 1, integer = 2, real = 3, text = 4 };
struct Cell {
    CellType type = CellType::null;
    std::int64_t integer = 0;  // also a boolean: 0, 1
    double real = 0;
    std::string_view text{};
};
[[nodiscard]] std::string_view text(CellType type) noexcept;

struct TableRow {
    std::string_view key;
    ConstBytes cells;         // one for each column
    std::uint64_t bytes = 0;  // of the row in the image
};

struct TableInfo {
    std::vector<std::string> columns;
    std::uint32_t rows = 0;
    std::uint64_t rows_at = 0;  // byte of the first row
};

// The version of an image; never 0.
[[nodiscard]] std::uint64_t table_version(ConstBytes image) noexcept;
// Whether it is one, whole and in order; nullptr, or why not.
[[nodiscard]] const char* check_table(ConstBytes image, TableInfo& info);
// The row at byte `at` of a checked image; the next begins at + bytes.
[[nodiscard]] TableRow row_at(ConstBytes image, std::uint64_t at) noexcept;
// The cell of a checked row; and its bytes.
[[nodiscard]] Cell cell_of(ConstBytes cells, std::uint32_t column) noexcept;
[[nodiscard]] ConstBytes cell_at(ConstBytes cells, std::uint32_t column) noexcept;
// Whether they are so many cells, and nothing else.
[[nodiscard]] bool are_cells(ConstBytes cells, std::size_t columns) noexcept;

// Makes an image, row by row in order of their keys.
class TableWriter {
  public:
    explicit TableWriter(const std::vector<std::string>& columns);
    void add_row(std::string_view key, ConstBytes cells);
    [[nodiscard]] std::vector<std::byte> finish();

  private:
    std::vector<std::byte> image_;
    TableHead head_;
};
void append_cell(const Cell& cell, std::vector<std::byte>& cells);

// What makes `next` of `now`, both checked; nullopt where their columns differ: then the whole image has to go.
[[nodiscard]] std::optional<std::vector<std::byte>> make_changes(ConstBytes now, ConstBytes next);
// `now` is checked, `changes` may be anything: what comes out is checked and has the version that the changes name, or nullopt.
[[nodiscard]] std::optional<std::vector<std::byte>> apply_changes(ConstBytes now, ConstBytes changes);

}  // namespace weir::wire
