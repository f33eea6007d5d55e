// Profile: a named set of defaults. What a file says itself counts; what it leaves out is as its profile has it.
//
//   standard   for a gateway or a server: as EdgeConfig is written
//   small      for a device with little memory and flash that wears: 32 MiB at 10,000 events/s, few wake-ups, few writes
//
// Thread    Any: pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "edge/config.hpp"

namespace weir::edge {

// What one profile sets, and what it is in a configuration.
struct ProfileValue {
    std::string_view key;  // dotted, as in the file
    std::uint64_t standard = 0;
    std::uint64_t small = 0;
    std::uint64_t in_force = 0;
};

[[nodiscard]] std::string_view text(Profile profile) noexcept;
// Whether memory that load comes to use has its pages from the start on (core/base/touch.hpp): on a device with little it has those it uses.
[[nodiscard]] inline bool is_touched(const EdgeConfig& config) {
    return config.profile == Profile::standard;
}
// Sets what config.profile sets; before anything else of a file is read.
void apply_profile(EdgeConfig& config);
// Every key that a profile other than standard sets.
[[nodiscard]] std::vector<ProfileValue> profile_values(const EdgeConfig& config);
// Lines for `weir-edge check`: the profile, and each default that it sets beside what holds.
[[nodiscard]] std::string profile_text(const EdgeConfig& config);

}  // namespace weir::edge
