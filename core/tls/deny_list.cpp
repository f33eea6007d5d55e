#include "core/tls/deny_list.hpp"

#include <algorithm>
#include <cerrno>

namespace weir::tls {
namespace {

constexpr std::size_t sha256_digits = 64;

// Lower-case digits without colons; empty where there is anything else.
std::string hex_digits(std::string_view text) {
    std::string digits;
    for (const char c : text) {
        if (c == ':') continue;
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
            digits += c;
        } else if (c >= 'A' && c <= 'F') {
            digits += static_cast<char>(c - 'A' + 'a');
        } else {
            return {};
        }
    }
    return digits;
}

std::string_view trimmed(std::string_view line) {
    line = line.substr(0, line.find('#'));
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

// Empty: it names no certificate.
std::string entry_of(std::string_view line) {
    if (line.starts_with("serial:")) {
        std::string digits = hex_digits(line.substr(7));
        if (digits.empty()) return {};
        const auto first = digits.find_first_not_of('0');
        return "serial:" + (first == std::string::npos ? "0" : digits.substr(first));
    }
    if (line.starts_with("uri:")) return parse_identity(line.substr(4)) ? std::string(line) : std::string();
    if (!line.starts_with("sha256:")) return {};
    const std::string digits = hex_digits(line.substr(7));
    return digits.size() == sha256_digits ? "sha256:" + digits : std::string();
}

}  // namespace

Result<DenyList> DenyList::parse(std::string_view text) {
    DenyList list;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::string_view whole = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), whole.size() + 1));
        const std::string_view line = trimmed(whole);
        if (line.empty()) continue;
        std::string entry = whole.size() > deny_line_bytes_max ? std::string() : entry_of(line);
        const std::string place = "line " + std::to_string(number) + ": ";
        if (entry.empty())
            return Error{EINVAL, place + "must be serial:HEX, sha256:HEX or uri:spiffe://DOMAIN/ROLE/NAME"};
        if (list.entries_.size() == deny_entries_max) {
            return Error{EINVAL, place + "more than " + std::to_string(deny_entries_max) + " certificates"};
        }
        list.entries_.push_back(std::move(entry));
    }
    std::sort(list.entries_.begin(), list.entries_.end());
    return list;
}

bool DenyList::contains(const CertificateFacts& certificate) const {
    if (entries_.empty()) return false;
    const auto has = [&](const std::string& entry) {
        return std::binary_search(entries_.begin(), entries_.end(), entry);
    };
    return has("serial:" + certificate.serial) || has("sha256:" + certificate.fingerprint) ||
           (!certificate.uri.empty() && has("uri:" + certificate.uri));
}

}  // namespace weir::tls
