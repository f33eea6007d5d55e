#include "core/control/audit_record.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"

namespace weir::control {
namespace {

constexpr std::string_view hash_begin = ",\"hash\":\"";
constexpr std::size_t hash_digits = 2 * tls::digest_bytes;
constexpr std::size_t hash_tail_bytes = hash_begin.size() + hash_digits + 2;  // and "}

// Cut at a whole character; bytes that are no UTF-8 are shown as '?'.
std::string clean(std::string_view text, std::size_t bytes_max) {
    std::string out;
    while (!text.empty()) {
        const std::size_t count = utf8_bytes(text);
        if (out.size() + std::max<std::size_t>(count, 1) > bytes_max) break;
        if (count == 0) {
            out += '?';
        } else {
            out.append(text.substr(0, count));
        }
        text.remove_prefix(std::max<std::size_t>(count, 1));
    }
    return out;
}

void member(std::string& line, std::string_view name, std::string_view text, std::size_t bytes_max) {
    line.append(",\"").append(name).append("\":");
    json_quote(clean(text, bytes_max), line);
}

bool read_text(std::string_view object, std::string_view name, std::string& into) {
    const auto value = json_member(object, name);
    return value && json_text(*value, into);
}

bool read_number(std::string_view object, std::string_view name, std::uint64_t& into) {
    const auto value = json_member(object, name);
    if (!value || value->kind != JsonKind::number) return false;
    const char* const end = value->raw.data() + value->raw.size();
    const auto read = std::from_chars(value->raw.data(), end, into);
    return read.ec == std::errc{} && read.ptr == end;
}

std::optional<AuditRecord> read_record(std::string_view line, const tls::Digest& hash) {
    JsonFault fault;
    const auto value = json_parse(line, fault);
    if (!value || value->kind != JsonKind::object) return std::nullopt;
    const std::string_view object = value->raw;
    AuditRecord record;
    AuditEntry& entry = record.entry;
    std::string previous;
    const bool is_read = read_number(object, "sequence", record.sequence) && read_text(object, "time", record.time) &&
                         read_text(object, "act", entry.act) && read_text(object, "who", entry.who) &&
                         read_text(object, "role", entry.role) && read_text(object, "from", entry.from) &&
                         read_text(object, "target", entry.target) && read_text(object, "reason", entry.reason) &&
                         read_text(object, "outcome", entry.outcome) && read_number(object, "of", entry.of) &&
                         read_number(object, "count", entry.count) && read_text(object, "previous", previous);
    const auto digest = tls::digest_of_hex(previous);
    if (!is_read || !digest) return std::nullopt;
    record.previous = *digest;
    record.hash = hash;
    return record;
}

}  // namespace

std::uint64_t number_of(const tls::Digest& digest) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = value << 8U | std::to_integer<std::uint64_t>(digest[i]);
    return value >> 12U;
}

std::string audit_line(const AuditHead& head, const AuditEntry& entry, WallNs time, tls::Digest& hash) {
    std::string line = "{\"sequence\":" + std::to_string(head.records + 1) + ",\"time\":\"" + format_time(time) + '"';
    member(line, "act", entry.act, audit_text_bytes_max);
    member(line, "who", entry.who, audit_text_bytes_max);
    member(line, "role", entry.role, audit_text_bytes_max);
    member(line, "from", entry.from, audit_text_bytes_max);
    member(line, "target", entry.target, audit_text_bytes_max);
    member(line, "reason", entry.reason, reason_bytes_max);
    member(line, "outcome", entry.outcome, audit_text_bytes_max);
    line += ",\"of\":" + std::to_string(entry.of) + ",\"count\":" + std::to_string(entry.count) + ",\"previous\":\"" +
            tls::hex_of(head.hash) + '"';
    hash = tls::sha256(line);
    line.append(hash_begin).append(tls::hex_of(hash)).append("\"}\n");
    return line;
}

void AuditChecker::feed(std::string_view bytes) {
    while (!bytes.empty() && is_good()) {
        const std::size_t end = std::min(bytes.find('\n'), bytes.size());
        if (partial_.size() + end > audit_line_bytes_max) return fail("its line is longer than 16 KiB");
        partial_.append(bytes.substr(0, end));
        if (end == bytes.size()) return;
        bytes.remove_prefix(end + 1);
        take_line(partial_);
        partial_.clear();
    }
}

void AuditChecker::take_line(std::string_view line) {
    const std::string_view tail = line.substr(line.size() - std::min(line.size(), hash_tail_bytes));
    const auto written = tail.starts_with(hash_begin) && tail.ends_with("\"}")
                             ? tls::digest_of_hex(tail.substr(hash_begin.size(), hash_digits))
                             : std::nullopt;
    if (!written) return fail("changed: its line has no hash at its end");
    const tls::Digest hash = tls::sha256(line.substr(0, line.size() - hash_tail_bytes));
    if (!tls::is_equal(hash, *written)) return fail("changed: its hash is not that of its text");
    const auto record = read_record(line, hash);
    if (!record) return fail("changed: it has not the members of a record");
    if (record->sequence != head_.records + 1) {
        return fail("removed or moved: record " + std::to_string(record->sequence) + " stands in its place");
    }
    if (!tls::is_equal(record->previous, head_.hash)) {
        return fail("does not follow the record before it, which was changed with its hash, or is another trail's");
    }
    head_ = {record->sequence, hash, head_.bytes + line.size() + 1};
    if (take_) take_(*record);
}

void AuditChecker::fail(std::string what) {
    fault_ = "record " + std::to_string(head_.records + 1) + ": " + std::move(what);
}

}  // namespace weir::control
