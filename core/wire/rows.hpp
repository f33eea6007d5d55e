// Rows of tables that an edge does not hold whole: what it asks for by key, what central answers, and what has changed of what it
// may have cached (FORMAT.md §4.1).
//
// Thread    Any. Nothing here allocates.
// Law       The check_ functions are the only gates: nothing else here looks at a body that has not passed its own.
// Bounds    row_ask_body_bytes_max, row_answer_body_bytes_max, table_changed_body_bytes_max.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/wire/table.hpp"

namespace weir::wire {

// EdgeHello::features: rows may be asked for on this connection, where central says so too (TableOffersHead::features).
inline constexpr std::uint64_t edge_feature_rows = 4;
inline constexpr std::uint32_t offers_feature_rows = 1;

inline constexpr std::uint32_t row_ask_keys_max = 256;
inline constexpr std::uint32_t row_ask_body_bytes_max = 16U << 10;
inline constexpr std::uint32_t row_answer_body_bytes_max = 72U << 10;  // one row of the largest always fits
inline constexpr std::uint32_t table_changed_body_bytes_max = 16U << 10;

// Then `keys` keys: u16 length, 1 to table_key_bytes_max, and the key.
struct RowAskHead {
    std::array<char, table_name_bytes_max> name{};
    std::uint64_t version = 0;  // of which the edge's rows are; 0: it has none
    std::uint32_t keys = 0;     // 0: only what has changed since `version` is asked for
    std::uint32_t reserved = 0;
};
static_assert(sizeof(RowAskHead) == 48);

// Then the columns' names, as in an image, and `rows` rows: AnsweredRowHead, key, cells.
struct RowAnswerHead {
    std::array<char, table_name_bytes_max> name{};
    std::uint64_t version = 0;
    std::uint32_t rows = 0;  // of the keys asked for, the first so many
    std::uint16_t columns = 0;
    std::uint16_t reserved = 0;
};
static_assert(sizeof(RowAnswerHead) == 48);
struct AnsweredRowHead {
    std::uint16_t key_bytes = 0;
    std::uint16_t is_absent = 0;  // there is no such row: no cells
    std::uint32_t cells_bytes = 0;
};
static_assert(sizeof(AnsweredRowHead) == 8);
static_assert(row_answer_body_bytes_max >= sizeof(RowAnswerHead) + table_columns_max * (1 + table_column_bytes_max) +
                                               sizeof(AnsweredRowHead) + table_key_bytes_max +
                                               table_columns_max * (3 + table_text_bytes_max));

// What went between two versions.
enum class Changed : std::uint8_t {
    keys = 1,    // then `keys` keys
    prefix = 2,  // then one key: all that begin with it, also of rows that were not there
    value = 3,   // then a column's name, as in an image, and a cell: all rows that had it; none is new
    all = 4,
};
struct TableChangedHead {
    std::array<char, table_name_bytes_max> name{};
    std::uint64_t from_version = 0;  // that the edge said it has
    std::uint64_t version = 0;
    Changed what = Changed::all;
    std::array<std::uint8_t, 3> reserved{};
    std::uint32_t keys = 0;
};
static_assert(sizeof(TableChangedHead) == 56);

// What is wrong with a body; nullptr: nothing.
[[nodiscard]] const char* check_row_ask(ConstBytes body, RowAskHead& head) noexcept;
[[nodiscard]] const char* check_row_answer(ConstBytes body, RowAnswerHead& head) noexcept;
[[nodiscard]] const char* check_table_changed(ConstBytes body, TableChangedHead& head) noexcept;

// Of checked bodies. The key at byte `at`, which moves behind it; the first is behind the head.
[[nodiscard]] std::string_view take_key(ConstBytes body, std::uint64_t& at) noexcept;
// Which of the answer's columns has this name; nullopt: none.
[[nodiscard]] std::optional<std::uint32_t> answered_column(ConstBytes body, std::string_view name) noexcept;
// The byte of its first row.
[[nodiscard]] std::uint64_t answered_rows_at(ConstBytes body) noexcept;
struct AnsweredRow {
    std::string_view key;
    ConstBytes cells;  // one for each column
    bool is_absent = false;
};
[[nodiscard]] AnsweredRow take_answered_row(ConstBytes body, std::uint64_t& at) noexcept;
struct ChangedValue {
    std::string_view column;
    ConstBytes cell;
};
[[nodiscard]] ChangedValue changed_value(ConstBytes body) noexcept;

// Makes one of these bodies in `room`, which outlives it.
template <class Head>
class RowBodyWriter {
  public:
    RowBodyWriter(Bytes room, const Head& head) : room_(room), at_(sizeof(Head)), head_(head) {
        WEIR_ASSERT(room.size() >= sizeof(Head));
    }
    [[nodiscard]] Head& head() { return head_; }
    // False, and nothing written, if there is no room. Precondition: 1 to table_key_bytes_max bytes.
    [[nodiscard]] bool add_key(std::string_view key) noexcept {
        if (sizeof(std::uint16_t) + key.size() > room_.size() - at_) return false;
        put(static_cast<std::uint16_t>(key.size()));
        put_bytes(std::as_bytes(std::span(key)));
        ++head_.keys;
        return true;
    }
    // `cells` null: there is no such row. False, and nothing written, if there is no room.
    [[nodiscard]] bool add_row(std::string_view key, const ConstBytes* cells) noexcept {
        const std::size_t cells_bytes = cells == nullptr ? 0 : cells->size();
        if (sizeof(AnsweredRowHead) + key.size() + cells_bytes > room_.size() - at_) return false;
        put(AnsweredRowHead{static_cast<std::uint16_t>(key.size()),
                            static_cast<std::uint16_t>(cells == nullptr ? 1 : 0),
                            static_cast<std::uint32_t>(cells_bytes)});
        put_bytes(std::as_bytes(std::span(key)));
        if (cells != nullptr) put_bytes(*cells);
        ++head_.rows;
        return true;
    }
    // As they lie in an image. Precondition: they fit.
    void add_raw(ConstBytes bytes) noexcept {
        WEIR_ASSERT(bytes.size() <= room_.size() - at_);
        put_bytes(bytes);
    }
    // The body's bytes.
    [[nodiscard]] std::size_t finish() noexcept {
        store(room_, head_);
        return at_;
    }

  private:
    template <class T>
    void put(const T& value) noexcept {
        store(room_.subspan(at_), value);
        at_ += sizeof value;
    }
    void put_bytes(ConstBytes bytes) noexcept {
        std::copy(bytes.begin(), bytes.end(), room_.begin() + static_cast<std::ptrdiff_t>(at_));
        at_ += bytes.size();
    }
    Bytes room_;
    std::size_t at_;
    Head head_;
};

}  // namespace weir::wire
