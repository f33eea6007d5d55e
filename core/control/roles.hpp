// Roles: who may do what on the admin port.
//
//   viewer     reads: health, metrics, ledgers
//   operator   and acts: reload, hold and release a lane, reset a fuse, open a tap (which shows events)
//   replayer   reads, and replays or purges dead letters
//   admin      everything
//
// Thread    Any.
// Law       What no rule names is denied to all but admin, except reading, which a viewer may.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace weir::control {

enum class Role : std::uint8_t { viewer, operator_, replayer, admin };
[[nodiscard]] std::string_view text(Role role) noexcept;
[[nodiscard]] std::optional<Role> parse_role(std::string_view name) noexcept;

// What an endpoint asks of its caller. `path` is whole, or ends in '*' for all that begins with the rest.
struct AccessRule {
    bool is_act = true;  // POST; else GET and HEAD
    std::string_view path;
    std::optional<Role> role;   // nothing: anyone, without a token too
    bool needs_reason = false;  // the header Weir-Reason
};
// The first rule for it, or what holds where there is none.
[[nodiscard]] AccessRule rule_for(std::span<const AccessRule> rules, bool is_act, std::string_view path) noexcept;
// Whether the caller's role is enough.
[[nodiscard]] bool may(Role role, Role needed) noexcept;

}  // namespace weir::control
