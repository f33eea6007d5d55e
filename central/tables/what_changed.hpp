// What went between two versions of a table, for edges that cache rows of it: the shortest true thing that fits a table_changed.
//
// Each key, where there is room for all. Else a value of a column that all those rows had, if no row is new: what was not there is
// cached too, and has no values. Else the beginning that all the keys share. Else everything.
//
// Thread    Control thread. Allocates.
// Bounds    Where more than changed_rows_max rows differ, it is everything. what_changed_bytes_max while it looks.
#pragma once

#include <string_view>
#include <vector>

#include "core/wire/rows.hpp"

namespace weir::central {

inline constexpr std::size_t changed_rows_max = 65'536;
inline constexpr std::uint64_t changed_row_bytes = 40;
inline constexpr std::uint64_t what_changed_bytes_max =
    2 * changed_rows_max * changed_row_bytes;  // a vector that grows is there twice

// The body of the table_changed of table `name`, from `now` to `next`, both checked (wire::check_table).
[[nodiscard]] std::vector<std::byte> what_changed(std::string_view name, ConstBytes now, ConstBytes next);

}  // namespace weir::central
