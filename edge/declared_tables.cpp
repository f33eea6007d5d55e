#include "edge/declared_tables.hpp"

namespace weir::edge {
namespace {

constexpr std::uint32_t any_column = 0;
constexpr std::uint32_t row_column = 1;

}  // namespace

DeclaredTables::DeclaredTables(const std::vector<TableUseConfig>& use)
    : types_{rules::Type::any, rules::Type::boolean} {
    for (const TableUseConfig& table : use) {
        auto& columns = tables_[table.name];
        for (const std::string& column : table.columns) {
            const auto parsed = parse(column);
            if (!parsed) continue;
            columns[parsed->first] = static_cast<std::uint32_t>(types_.size());
            types_.push_back(parsed->second);
        }
    }
}

std::optional<std::pair<std::string, rules::Type>> DeclaredTables::parse(const std::string& column) {
    const auto colon = column.rfind(':');
    if (colon == std::string::npos || colon == 0) return std::nullopt;
    const std::string name = column.substr(0, colon);
    const std::string_view type = std::string_view(column).substr(colon + 1);
    if (type == "text") return {{name, rules::Type::text}};
    if (type == "integer") return {{name, rules::Type::integer}};
    if (type == "real") return {{name, rules::Type::real}};
    if (type == "boolean") return {{name, rules::Type::boolean}};
    return std::nullopt;
}

std::optional<std::uint32_t> DeclaredTables::find_column(std::string_view table, std::string_view column) const {
    const auto found = tables_.find(table);
    if (found == tables_.end()) return std::nullopt;
    if (column.empty()) return row_column;
    if (found->second.empty()) return any_column;
    const auto at = found->second.find(column);
    return at == found->second.end() ? std::nullopt : std::optional(at->second);
}

rules::Type DeclaredTables::type_of(std::uint32_t column) const {
    return types_[column];
}

rules::Value DeclaredTables::read(std::uint32_t, const rules::Value&) const noexcept {
    return {};
}

}  // namespace weir::edge
