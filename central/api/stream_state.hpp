// StreamState: what GET /api/v1/stream tells, as text by name, and the text of what differs between two of them (FORMAT.md).
//
// Thread    A value; lists are shared and never changed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/types.hpp"

namespace weir::central {

struct StreamState {
    using List = std::map<std::string, std::string, std::less<>>;  // rows as JSON, by id
    std::map<std::string, std::string, std::less<>> objects;       // as JSON
    std::map<std::string, std::shared_ptr<const List>, std::less<>> lists;
};

struct StreamHead {
    std::uint64_t sequence = 0;
    std::uint64_t base = 0;  // of a delta
    WallNs now{};
    std::uint32_t pushes_per_second = 0;  // of a state
};
[[nodiscard]] std::string state_text(const StreamState& state, const StreamHead& head);
// nullopt: nothing differs. Lists that are the same object are not looked into.
[[nodiscard]] std::optional<std::string> delta_text(const StreamState& before, const StreamState& after,
                                                    const StreamHead& head);
[[nodiscard]] std::string beat_text(std::uint64_t sequence, WallNs now);

}  // namespace weir::central
