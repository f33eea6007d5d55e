// AtRestConfig: the table [at_rest] of a configuration: where the keys are, and which one new segments are under.
//
// Thread    Start, before there are others; renew_keys() one control thread.
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

// While it runs: another key, of keys that may have come to key_dir since, for the segments that are begun from now on. An error changes
// nothing. What is_at_rest_fixed() says needs a restart.
[[nodiscard]] Status renew_keys(const AtRestConfig& config);
// Another directory, or from plain to encrypted, or back.
[[nodiscard]] bool is_at_rest_fixed(const AtRestConfig& now, const AtRestConfig& next);

}  // namespace weir::control
