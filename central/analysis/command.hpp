// weir-central verify, query, replay --diff: what people ask of the results of analytics, also beside a running daemon.
//
// Thread    The one that calls.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "central/config.hpp"

namespace weir::central {

inline constexpr int exit_same = 0;
inline constexpr int exit_differs = 1;
inline constexpr int exit_unreadable = 2;  // nothing to read, or a wrong question

// Runs the operators again over the journal and compares every row, and the operators' state, with what was stored. `work`: where the
// second store is made; empty: where temporary files are.
[[nodiscard]] int verify_command(const CentralConfig& config, const std::string& work, std::ostream& out,
                                 std::ostream& err);
// What would have been stored under this configuration's definitions, from the journal's beginning, beside what was.
[[nodiscard]] int diff_command(const CentralConfig& config, const std::string& work, std::ostream& out,
                               std::ostream& err);

struct QueryOptions {
    std::string sql;
    bool is_json = false;
    std::uint64_t rows_max = 10'000;
    std::uint64_t ms_max = 10'000;
};
[[nodiscard]] int query_command(const CentralConfig& config, const QueryOptions& options, std::ostream& out,
                                std::ostream& err);

}  // namespace weir::central
