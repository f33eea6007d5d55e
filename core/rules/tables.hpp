// Tables: the hook through which lookup("table", key).column reads reference data.
//
// Thread    find_column when rules are compiled; read on the judging thread: no allocation, no waiting.
// Cost      read is one virtual call per lookup and event: it stands in front of a hash table, which costs more.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/rules/value.hpp"

namespace weir::rules {

class Tables {
  public:
    Tables() = default;
    Tables(const Tables&) = delete;
    Tables& operator=(const Tables&) = delete;
    virtual ~Tables() = default;
    // The number of `table`'s `column` ("" for lookup(...) without a member; "a.b" for .a.b); nullopt: no such table or column.
    [[nodiscard]] virtual std::optional<std::uint32_t> find_column(std::string_view table,
                                                                   std::string_view column) const = 0;
    // What `column` gives, unless null; any: known only at run time.
    [[nodiscard]] virtual Type type_of(std::uint32_t column) const {
        (void)column;
        return Type::any;
    }
    // The value in the row of `key` (a text or an integer); null: no such row, or one of a cached table that is not known (yet). A text stays until the judge's next event.
    [[nodiscard]] virtual Value read(std::uint32_t column, const Value& key) const noexcept = 0;
};

}  // namespace weir::rules
