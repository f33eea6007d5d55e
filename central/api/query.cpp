#include "central/api/query.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/time_text.hpp"

namespace weir::central {

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> time_of(std::string_view text) {
    if (const auto ns = number_of(text)) return ns;
    const auto parsed = parse_time(text);
    return parsed ? std::optional(parsed->value) : std::nullopt;
}

std::optional<std::string> decoded(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out += text[at] == '+' ? ' ' : text[at];
            continue;
        }
        unsigned value = 0;
        if (at + 2 >= text.size()) return std::nullopt;
        const auto [end, fault] = std::from_chars(text.data() + at + 1, text.data() + at + 3, value, 16);
        if (fault != std::errc{} || end != text.data() + at + 3) return std::nullopt;
        out += static_cast<char>(value);
        at += 2;
    }
    return out;
}

Query::Query(std::string_view target, std::initializer_list<std::string_view> names) {
    const auto mark = target.find('?');
    std::string_view rest = mark == target.npos ? std::string_view() : target.substr(mark + 1);
    while (!rest.empty() && fault_.empty()) {
        const std::string_view one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        if (one.empty()) continue;
        const std::string_view name = one.substr(0, one.find('='));
        auto value = decoded(one.substr(std::min(one.size(), name.size() + 1)));
        if (std::find(names.begin(), names.end(), name) == names.end()) fail(name, "unknown");
        if (!value) fail(name, "half a %-code");
        if (fault_.empty() && !values_.emplace(std::string(name), std::move(*value)).second) fail(name, "comes twice");
    }
}

void Query::fail(std::string_view name, std::string_view what) {
    if (fault_.empty()) fault_ = std::string(name) + ": " + std::string(what);
}

std::optional<std::string> Query::text(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> Query::choice(std::string_view name, std::initializer_list<std::string_view> choices) {
    auto value = text(name);
    if (!value || std::find(choices.begin(), choices.end(), *value) != choices.end()) return value;
    std::string what = "must be";
    for (const auto one : choices) what += (what.size() > 7 ? " or " : " ") + std::string(one);
    fail(name, what);
    return std::nullopt;
}

std::optional<std::uint64_t> Query::number(std::string_view name, std::uint64_t least, std::uint64_t most) {
    const auto value = text(name);
    if (!value) return std::nullopt;
    const auto read = number_of(*value);
    if (read && *read >= least && *read <= most) return read;
    fail(name, "must be " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
}

std::optional<std::uint64_t> Query::time(std::string_view name) {
    const auto value = text(name);
    if (!value) return std::nullopt;
    const auto read = time_of(*value);
    if (!read) fail(name, "must be a time in RFC 3339 or in ns");
    return read;
}

std::optional<std::uint64_t> Query::cursor_first(char kind) {
    const auto value = text("cursor");
    if (!value) return std::nullopt;
    const std::string_view told = *value;
    const auto dash = told.find('-');
    const auto first = told.size() > 1 ? number_of(told.substr(1, std::min(dash, told.size()) - 1)) : std::nullopt;
    const auto second = dash == told.npos ? std::nullopt : number_of(told.substr(dash + 1));
    if (told.empty() || told.front() != kind || !first || !second) {
        fail("cursor", "is none of this path");
        return std::nullopt;
    }
    cursor_second_ = *second;
    return first;
}

std::string make_cursor(char kind, std::uint64_t first, std::uint64_t second) {
    return kind + std::to_string(first) + '-' + std::to_string(second);
}

bool agrees(const std::optional<std::string>& wanted, std::string_view text) {
    if (!wanted) return true;
    if (!wanted->ends_with('*')) return text == *wanted;
    return text.starts_with(std::string_view(*wanted).substr(0, wanted->size() - 1));
}

}  // namespace weir::central
