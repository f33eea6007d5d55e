#include "core/control/letter_marks.hpp"

#include <time.h>

#include <array>
#include <charconv>

#include "core/base/crc32c.hpp"
#include "core/base/json_scan.hpp"
#include "core/control/tool_output.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"

namespace weir::control {
namespace {

constexpr std::string_view file_name = "/dead-letter-marks";
constexpr std::uint64_t file_bytes_max = 1ULL << 30;
constexpr int lock_tries = 500;  // of 10 ms

std::uint32_t crc_of(std::string_view text) {
    return crc32c(0, std::as_bytes(std::span(text.data(), text.size())));
}

// The next word of `line`, which loses it.
std::string_view word(std::string_view& line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view found = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return found;
}

bool read_number(std::string_view text, std::uint64_t& into, int base = 10) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), into, base);
    return read.ec == std::errc{} && read.ptr == text.data() + text.size();
}

void append_line(const LetterMark& mark, WallNs now, std::string_view reason_text, std::string& lines) {
    const std::size_t at = lines.size();
    lines.append(text(mark.state)).append(" ").append(mark.edge).append(" ");
    append_hex(mark.lineage, 16, lines);
    lines += " " + number(mark.first) + " " + number(mark.last) + " " + number(now.value) + " ";
    json_quote(reason_text, lines);
    lines += ' ';
    append_hex(crc_of(std::string_view(lines).substr(at)), 8, lines);
    lines += '\n';
}

// The file, held alone.
Result<journal::PosixFile> open_locked(const std::string& path) {
    journal::PosixFile file(path, O_RDWR | O_CREAT);
    if (!file.is_open()) return error_from_errno(errno, "open " + path);
    for (int tries = 0; io::files().lock(file.handle()) != 0; ++tries) {
        if (tries == lock_tries) return error_from_errno(errno, "lock " + path);
        const timespec pause{0, 10 * static_cast<long>(ns_per_ms)};
        ::nanosleep(&pause, nullptr);
    }
    return file;
}

}  // namespace

std::string_view text(LetterState state) noexcept {
    switch (state) {
        case LetterState::kept:
            return "kept";
        case LetterState::replayed:
            return "replayed";
        case LetterState::purged:
            return "purged";
    }
    return "unknown";
}

Result<LetterMarks> LetterMarks::load(const std::string& directory, std::vector<std::string>& faults) {
    LetterMarks marks;
    const std::string path = directory + std::string(file_name);
    if (!io::files().exists(path)) return marks;
    const journal::PosixFile file(path, O_RDONLY);
    if (!file.is_open()) return error_from_errno(errno, "open " + path);
    if (file.file_bytes() > file_bytes_max) return Error{0, path + ": larger than 1 GiB"};
    std::string content(file.file_bytes(), '\0');
    const auto count = file.read(std::as_writable_bytes(std::span(content)), 0);
    if (count < 0) return error_from_errno(static_cast<int>(-count), "read " + path);
    content.resize(static_cast<std::size_t>(count));
    std::string_view rest = content;
    for (std::uint64_t line = 1; !rest.empty(); ++line) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        if (end > 0 && !marks.take(rest.substr(0, end))) {
            faults.push_back(path + ":" + number(line) + ": no mark that can be read; it marks nothing");
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return marks;
}

bool LetterMarks::take(std::string_view line) {
    constexpr std::size_t crc_digits = 8;
    if (line.size() <= crc_digits) return false;
    const std::string_view checked = line.substr(0, line.size() - crc_digits);
    std::uint64_t crc = 0;
    if (!read_number(line.substr(checked.size()), crc, 16) || crc != crc_of(checked)) return false;
    const std::string_view kind = word(line);
    const std::string_view edge = word(line);
    std::uint64_t lineage = 0;
    Sequence first = 0, last = 0;
    if (!read_number(word(line), lineage, 16) || !read_number(word(line), first) || !read_number(word(line), last)) {
        return false;
    }
    if (first == 0 || last < first) return false;
    const bool is_purged = kind == text(LetterState::purged);
    if (!is_purged && kind != text(LetterState::replayed)) return false;
    Of& of = marks_[{std::string(edge), lineage}];
    insert(is_purged ? of.purged : of.replayed, first, last);
    return true;
}

void LetterMarks::insert(Ranges& ranges, Sequence first, Sequence last) {
    auto next = ranges.upper_bound(first);
    if (next != ranges.begin() && std::prev(next)->second >= first - 1) {
        --next;
        first = next->first;
    }
    while (next != ranges.end() && next->first - 1 <= last) {
        last = std::max(last, next->second);
        next = ranges.erase(next);
    }
    ranges[first] = last;
}

bool LetterMarks::contains(const Ranges& ranges, Sequence sequence) {
    const auto next = ranges.upper_bound(sequence);
    return next != ranges.begin() && std::prev(next)->second >= sequence;
}

LetterState LetterMarks::state_of(std::string_view edge, std::uint64_t lineage, Sequence sequence) const {
    const auto found = marks_.find(std::pair{std::string(edge), lineage});
    if (found == marks_.end()) return LetterState::kept;
    if (contains(found->second.purged, sequence)) return LetterState::purged;
    return contains(found->second.replayed, sequence) ? LetterState::replayed : LetterState::kept;
}

Status LetterMarks::add(const std::string& directory, const std::vector<LetterMark>& marks, WallNs now,
                        std::string_view reason_text) {
    if (marks.empty()) return Done{};
    const std::string path = directory + std::string(file_name);
    auto opened = open_locked(path);
    if (!opened) return opened.error();
    const journal::PosixFile& file = opened.value();
    const std::uint64_t end = file.file_bytes();
    // What a crash cut stays as it is: a line of its own, that is no mark.
    std::string lines;
    char last = '\n';
    if (end > 0 && file.read(std::as_writable_bytes(std::span(&last, 1)), end - 1) != 1) {
        return error_from_errno(EIO, "read " + path);
    }
    if (last != '\n') lines += '\n';
    for (const LetterMark& mark : marks) append_line(mark, now, reason_text, lines);
    if (const int code = file.write(std::as_bytes(std::span(lines)), end); code != 0) {
        return error_from_errno(code, "write " + path);
    }
    if (const int code = file.sync(); code != 0) return error_from_errno(code, "fsync " + path);
    return journal::sync_directory(directory);
}

}  // namespace weir::control
