// weir-central replay --to and fold: events of the journal once more, and what those of one key come to.
//
// Thread    The one that calls.
#pragma once

#include <iosfwd>
#include <string>

#include "central/config.hpp"

namespace weir::central {

struct StoreOptions {
    std::string from{};   // RFC 3339; empty: from the first
    std::string until{};  // not included; empty: to the last
    std::string where{};
    std::string key{};          // of fold
    std::string to{};           // "-": lines of JSON; else an edge's producer address
    std::string speed = "max";  // or how many times faster than the events' own times
};
// The exit code: 0 all sent and taken, 1 something was not, 2 a wrong question or nothing to read.
[[nodiscard]] int replay_command(const CentralConfig& config, const StoreOptions& options, std::ostream& out,
                                 std::ostream& err);
// One line of JSON: how many events, the first and last time, events by type, and the payloads' members, the newest of each name.
[[nodiscard]] int fold_command(const CentralConfig& config, const StoreOptions& options, std::ostream& out,
                               std::ostream& err);

}  // namespace weir::central
