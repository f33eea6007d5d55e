// Replay names: the name under which dead letters are offered again to the edge that set them aside: "dead-letters-", the lineage
// in 16 hexadecimal digits, "-", the edge's id. An event's number is its letter's sequence. Reserved: no other producer has it.
//
// Law       (edge, lineage, lane, part, sequence) is a letter's identity; the name and the number say all of it, as dead letters
//           have one lane and one part.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/wire/control.hpp"

namespace weir::wire {

inline constexpr std::string_view replay_name_prefix = "dead-letters-";
inline constexpr std::size_t lineage_digits = 16;
static_assert(replay_name_prefix.size() + lineage_digits + 1 + edge_id_bytes_max <= producer_name_bytes_max);

struct ReplayName {
    std::uint64_t lineage = 0;
    std::string_view edge;  // lies in the name that was parsed
};

[[nodiscard]] inline bool is_replay_name(std::string_view name) noexcept {
    return name.starts_with(replay_name_prefix);
}

// nullopt: begins like one, or not even that, and is none.
[[nodiscard]] inline std::optional<ReplayName> parse_replay_name(std::string_view name) noexcept {
    if (!is_replay_name(name)) return std::nullopt;
    name.remove_prefix(replay_name_prefix.size());
    if (name.size() < lineage_digits + 2 || name[lineage_digits] != '-') return std::nullopt;
    ReplayName parsed{0, name.substr(lineage_digits + 1)};
    const char* end = name.data() + lineage_digits;
    const auto read = std::from_chars(name.data(), end, parsed.lineage, 16);
    if (read.ec != std::errc{} || read.ptr != end || !is_name(parsed.edge, edge_id_bytes_max)) return std::nullopt;
    return parsed;
}

[[nodiscard]] inline std::string replay_name(std::uint64_t lineage, std::string_view edge) {
    std::string name(replay_name_prefix);
    for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[lineage >> shift & 15];
    return name.append("-").append(edge);
}

}  // namespace weir::wire
