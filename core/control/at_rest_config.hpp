// AtRestConfig: the table [at_rest] of a configuration: where the keys are, and which one new segments are under.
//
// Thread    Start, before there are others.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.hpp"
#include "core/control/config_reader.hpp"

namespace weir::control {

struct AtRestConfig {
    std::string key_dir;    // empty: no keys
    std::uint32_t key = 0;  // 0: new segments are plain
    bool operator==(const AtRestConfig&) const = default;
};
// Reads the keys too, to say what is wrong with them; it keeps none.
void read_at_rest(ConfigTable& table, AtRestConfig& config);

// The keys of all these directories become the process's. An error where one cannot be used, or two have different keys of one number.
[[nodiscard]] Status open_keys(std::span<const std::string> key_dirs);
[[nodiscard]] Status open_keys(const AtRestConfig& config);

}  // namespace weir::control
