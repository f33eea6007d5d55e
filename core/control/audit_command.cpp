#include "core/control/audit_command.hpp"

#include <charconv>
#include <map>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/control/audit_trail.hpp"
#include "core/control/dead_letters.hpp"
#include "core/control/tool_output.hpp"
#include "core/journal/posix_file.hpp"

namespace weir::control {
namespace {

constexpr std::size_t read_bytes = 64U << 10;

using Anchors = std::map<std::uint64_t, tls::Digest>;

bool read_anchor(std::string_view text, Anchors& into) {
    const auto colon = text.find(':');
    if (colon == text.npos) return false;
    std::uint64_t sequence = 0;
    const auto read = std::from_chars(text.data(), text.data() + colon, sequence);
    const auto digest = tls::digest_of_hex(text.substr(colon + 1));
    if (read.ec != std::errc{} || read.ptr != text.data() + colon || sequence == 0 || !digest) return false;
    into[sequence] = *digest;
    return true;
}

void print(const AuditRecord& record, Output& out) {
    const AuditEntry& entry = record.entry;
    std::string& line = out.text();
    line += number(record.sequence) + ' ' + record.time + ' ' + entry.act + ' ' + (entry.who.empty() ? "-" : entry.who);
    if (!entry.role.empty()) line += " role " + entry.role;
    if (!entry.from.empty()) line += " from " + entry.from;
    if (!entry.target.empty()) {
        line += ' ';
        json_quote(entry.target, line);
    }
    if (!entry.outcome.empty()) line += " outcome " + entry.outcome;
    if (entry.of != 0) line += " of " + number(entry.of);
    if (entry.count != 1) line += " times " + number(entry.count);
    if (!entry.reason.empty()) {
        line += " reason ";
        json_quote(entry.reason, line);
    }
    out.end_line();
}

// Feeds the file to the checker; false: it cannot be read.
bool read_all(const journal::PosixFile& file, AuditChecker& checker) {
    std::vector<char> bytes(read_bytes);
    for (std::uint64_t at = 0;;) {
        const auto count = file.read(std::as_writable_bytes(std::span(bytes)), at);
        if (count <= 0) return count == 0;
        checker.feed({bytes.data(), static_cast<std::size_t>(count)});
        at += static_cast<std::uint64_t>(count);
    }
}

}  // namespace

int audit_trail_command(const AuditArguments& arguments, std::ostream& out_stream, std::ostream& err) {
    const bool is_verify = arguments.verb == "verify";
    if (!is_verify && arguments.verb != "ls") {
        err << "audit-trail: unknown verb '" << arguments.verb << "' (ls, verify)\n";
        return exit_usage;
    }
    Anchors anchors;
    for (const auto& text : arguments.anchors) {
        if (read_anchor(text, anchors)) continue;
        err << "audit-trail: --anchor " << text << ": must be SEQUENCE:HASH\n";
        return exit_usage;
    }
    const std::string path =
        is_directory(arguments.path) ? arguments.path + '/' + std::string(audit_trail_name) : arguments.path;
    const journal::PosixFile file(path, O_RDONLY);
    if (!file.is_open()) {
        err << path << ": " << error_from_errno(errno, "open").what << "\n";
        return 2;
    }
    Output out(out_stream);
    int code = 0;
    const auto fault = [&](const std::string& what) {
        out.text() += path + ": " + what;
        out.end_line();
        code = 1;
    };
    Anchors missing = anchors;
    AuditChecker checker({}, [&](const AuditRecord& record) {
        if (const auto anchor = anchors.find(record.sequence); anchor != anchors.end()) {
            missing.erase(record.sequence);
            if (!tls::is_equal(anchor->second, record.hash)) {
                fault("record " + number(record.sequence) +
                      ": is not the anchor's: the trail was written anew up to here");
            }
        }
        if (is_verify) return;
        print(record, out);
    });
    if (!read_all(file, checker)) {
        err << path << ": cannot be read\n";
        return 2;
    }
    if (!checker.is_good()) fault(checker.fault());
    if (checker.is_good() && checker.torn_bytes() != 0) {
        fault(number(checker.torn_bytes()) +
              " bytes after the last record: a writer died in the middle of it, or it was cut");
    }
    if (checker.is_good()) {
        for (const auto& [sequence, hash] : missing) {
            fault("record " + number(sequence) + ": is missing: records were cut off the end, which has " +
                  number(checker.head().records));
        }
    }
    if (is_verify && code == 0) {
        out.text() += number(checker.head().records) + " records, none changed, removed or moved; head " +
                      number(checker.head().records) + ':' + tls::hex_of(checker.head().hash) + ", as a metric " +
                      number(number_of(checker.head().hash));
        out.end_line();
    }
    return code;
}

}  // namespace weir::control
