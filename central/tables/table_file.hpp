// A table's file, CSV or NDJSON, read into an image (core/wire/table.hpp).
//
// CSV (NAME.csv): a line of names, "key" among them, then a line for each row, quoted as in RFC 4180. A name may say its type:
// "fine:integer". Without one a value is what it looks like: a JSON number or true or false, else a text; nothing, unquoted, is null.
// NDJSON (any other name): an object a line, with the member "key"; lists and objects are not allowed as values.
//
// Thread    Control thread. Allocates.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::central {

struct ReadTable {
    std::optional<std::vector<std::byte>> image;  // absent if there is any error
    std::vector<std::string> errors;              // FILE:LINE:COL: what; columns count bytes, both from 1
};
inline constexpr std::size_t table_errors_max = 16;  // then reading stops

[[nodiscard]] ReadTable read_table(const std::string& path);
[[nodiscard]] ReadTable parse_table(const std::string& path, std::string_view text);

}  // namespace weir::central
