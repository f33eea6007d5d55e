// Pattern: an exact text, or with a '*' at its end a prefix. The one kind of pattern weir has (`like`, and lists of types in routes).
#pragma once

#include <string_view>

namespace weir::rules {

struct Pattern {
    std::string_view text;  // without the star
    bool is_prefix = false;

    [[nodiscard]] static constexpr Pattern from(std::string_view written) noexcept {
        const bool is_prefix = !written.empty() && written.back() == '*';
        return {is_prefix ? written.substr(0, written.size() - 1) : written, is_prefix};
    }
    [[nodiscard]] constexpr bool matches(std::string_view other) const noexcept {
        return is_prefix ? other.starts_with(text) : other == text;
    }
};

}  // namespace weir::rules
