// DeclaredTables: the tables that a configuration uses, by name and column, for checking what its expressions look up.
//
// Thread    Control thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/rules/tables.hpp"
#include "edge/config.hpp"

namespace weir::edge {

class DeclaredTables final : public rules::Tables {
  public:
    explicit DeclaredTables(const std::vector<TableUseConfig>& use);
    // "NAME:TYPE"; nullopt if it is not that.
    [[nodiscard]] static std::optional<std::pair<std::string, rules::Type>> parse(const std::string& column);

    // A table for which no columns are declared has any.
    [[nodiscard]] std::optional<std::uint32_t> find_column(std::string_view table,
                                                           std::string_view column) const override;
    [[nodiscard]] rules::Type type_of(std::uint32_t column) const override;
    [[nodiscard]] rules::Value read(std::uint32_t column, const rules::Value& key) const noexcept override;

  private:
    std::map<std::string, std::map<std::string, std::uint32_t, std::less<>>, std::less<>> tables_;
    std::vector<rules::Type> types_;  // [0] any, [1] whether there is such a row
};

}  // namespace weir::edge
