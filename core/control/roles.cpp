#include "core/control/roles.hpp"

namespace weir::control {

std::string_view text(Role role) noexcept {
    switch (role) {
        case Role::viewer:
            return "viewer";
        case Role::operator_:
            return "operator";
        case Role::replayer:
            return "replayer";
        case Role::admin:
            return "admin";
    }
    return "unknown";
}

std::optional<Role> parse_role(std::string_view name) noexcept {
    for (const Role role : {Role::viewer, Role::operator_, Role::replayer, Role::admin}) {
        if (name == text(role)) return role;
    }
    return std::nullopt;
}

AccessRule rule_for(std::span<const AccessRule> rules, bool is_act, std::string_view path) noexcept {
    for (const AccessRule& rule : rules) {
        if (rule.is_act != is_act) continue;
        const bool is_begin = rule.path.ends_with('*');
        if (is_begin ? path.starts_with(rule.path.substr(0, rule.path.size() - 1)) : path == rule.path) return rule;
    }
    return {.is_act = is_act, .path = {}, .role = is_act ? Role::admin : Role::viewer};
}

bool may(Role role, Role needed) noexcept {
    return role == Role::admin || role == needed || needed == Role::viewer;
}

}  // namespace weir::control
