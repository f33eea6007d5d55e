#include "core/control/admin_target.hpp"

#include <algorithm>

namespace weir::control {
namespace {

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_printable(char c) {
    return c > ' ' && c <= '~';
}

bool is_plain_segment(std::string_view segment) {
    if (segment.empty() || segment == "." || segment == "..") return false;
    for (std::size_t i = 0; i < segment.size(); ++i) {
        const char c = segment[i];
        if (!is_printable(c) || c == '\\' || c == '#') return false;
        if (c != '%') continue;
        const int high = i + 1 < segment.size() ? digit_of(segment[i + 1]) : -1;
        const int low = i + 2 < segment.size() ? digit_of(segment[i + 2]) : -1;
        if (high < 0 || low < 0) return false;
        const int value = high * 16 + low;
        if (value <= ' ' || value > '~' || value == '.' || value == '/' || value == '\\' || value == '%') return false;
        i += 2;
    }
    return true;
}

}  // namespace

std::string_view path_of(std::string_view target) noexcept {
    return target.substr(0, target.find('?'));
}

std::string_view target_fault(std::string_view target) noexcept {
    if (target.size() > target_bytes_max) return "the target is longer than 2048 bytes";
    const std::string_view path = path_of(target);
    if (!path.starts_with('/')) return "the target must be a path";
    for (std::string_view rest = path.substr(1); !rest.empty();) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        if (!is_plain_segment(rest.substr(0, end))) return "the path has a segment that is not allowed";
        rest.remove_prefix(end);
        if (rest == "/") return "the path has a segment that is not allowed";
        if (!rest.empty()) rest.remove_prefix(1);
    }
    const std::string_view query = target.substr(path.size());
    const bool is_plain = std::all_of(query.begin(), query.end(), [](char c) { return is_printable(c) && c != '#'; });
    return is_plain ? std::string_view{} : "the query has bytes that are not allowed";
}

}  // namespace weir::control
