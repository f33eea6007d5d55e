#include "core/control/audit_trail.hpp"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "core/base/clock.hpp"
#include "core/control/metrics_text.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"

namespace weir::control {
namespace {

constexpr std::size_t read_bytes = 64U << 10;
constexpr int lock_tries = 200;  // of 10 ms: another process adds a record
constexpr std::uint64_t broken_max = 1000;

bool is_same_file(int handle, const std::string& path) {
    struct stat held {
    }, named{};
    return ::fstat(handle, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

}  // namespace

// The trail, held alone.
struct AuditTrail::File {
    [[nodiscard]] Status open(const std::string& path) {
        for (int tries = 0; tries < lock_tries; ++tries) {
            is_new = !io::files().exists(path);
            handle = journal::PosixFile(path, O_RDWR | O_CREAT);
            if (!handle.is_open()) return error_from_errno(errno, path);
            const bool is_locked = io::files().lock(handle.handle()) == 0;
            // While we waited it may have been set aside.
            if (is_locked && is_same_file(handle.handle(), path)) return Done{};
            if (is_locked) continue;
            const timespec pause{0, 10 * static_cast<long>(ns_per_ms)};
            ::nanosleep(&pause, nullptr);
        }
        return Error{EWOULDBLOCK, path + ": another process holds it"};
    }
    journal::PosixFile handle;
    bool is_new = false;
};

AuditTrail::AuditTrail(Options options)
    : options_(std::move(options)), path_(options_.directory + '/' + std::string(audit_trail_name)) {}

Status AuditTrail::begin() {
    const std::lock_guard guard(mutex_);
    File file;
    if (auto opened = file.open(path_); !opened) return opened;
    return catch_up(file);
}

Result<std::uint64_t> AuditTrail::add(const AuditEntry& entry) {
    const std::lock_guard guard(mutex_);
    auto added = append(entry);
    if (!added) failures_.fetch_add(1, std::memory_order_relaxed);
    return added;
}

Result<std::uint64_t> AuditTrail::append(const AuditEntry& entry) {
    File file;
    if (auto opened = file.open(path_); !opened) return opened.error();
    if (auto read = catch_up(file); !read) return read.error();
    if (auto done = put(file, entry); !done) return done.error();
    return head_.records;
}

// What others have added since, checked as all before it was.
Status AuditTrail::catch_up(File& file) {
    const std::uint64_t end = file.handle.file_bytes();
    if (end < head_.bytes) return set_aside(file, "it has become shorter");
    AuditChecker checker(head_);
    std::vector<char> bytes(read_bytes);
    for (std::uint64_t at = head_.bytes; at < end && checker.is_good();) {
        const auto count = file.handle.read(std::as_writable_bytes(std::span(bytes)), at);
        if (count < 0) return error_from_errno(static_cast<int>(-count), path_);
        if (count == 0) break;
        checker.feed({bytes.data(), static_cast<std::size_t>(count)});
        at += static_cast<std::uint64_t>(count);
    }
    if (!checker.is_good()) return set_aside(file, checker.fault());
    head_ = checker.head();
    if (head_.records == 0) {
        std::array<std::byte, 16> name{};
        if (!tls::fill_random(name)) return error_from_errno(errno, "random bytes");
        std::string digits;
        for (const std::byte one : name) {
            digits += "0123456789abcdef"[std::to_integer<unsigned>(one) >> 4U];
            digits += "0123456789abcdef"[std::to_integer<unsigned>(one) & 15U];
        }
        return put(file, {.act = "trail.begin", .who = options_.owner, .target = digits});
    }
    // No record: its writer died in the middle, and nobody was told that it is there.
    if (checker.torn_bytes() == 0) return Done{};
    return put(file,
               {.act = "trail.torn", .who = options_.owner, .target = std::to_string(checker.torn_bytes()) + " bytes"});
}

Status AuditTrail::set_aside(File& file, const std::string& why) {
    for (std::uint64_t number = 1; number <= broken_max; ++number) {
        const std::string aside = path_ + ".broken-" + std::to_string(number);
        if (io::files().exists(aside)) continue;
        if (io::files().rename(path_, aside) != 0) return error_from_errno(errno, "rename " + path_);
        last_break_ = aside + ": " + why;
        breaks_.fetch_add(1, std::memory_order_relaxed);
        const AuditHead before = std::exchange(head_, {});
        if (auto opened = file.open(path_); !opened) return opened;
        if (auto begun = catch_up(file); !begun) return begun;
        return put(file, {.act = "trail.broken",
                          .who = options_.owner,
                          .target = std::to_string(before.records) + ':' + tls::hex_of(before.hash),
                          .reason = last_break_});
    }
    return Error{EEXIST, path_ + ": was changed (" + why + "), and 1000 such are there already"};
}

Status AuditTrail::put(File& file, const AuditEntry& entry) {
    tls::Digest hash{};
    const std::string line = audit_line(head_, entry, wall_now(), hash);
    if (head_.bytes + line.size() > options_.bytes_max) return Error{ENOSPC, path_ + ": has admin.audit_bytes_max"};
    // Over what a crash left, if it did: never over a record.
    if (file.handle.file_bytes() > head_.bytes && io::files().truncate(file.handle.handle(), head_.bytes) != 0) {
        return error_from_errno(errno, "truncate " + path_);
    }
    if (const int code = file.handle.write(std::as_bytes(std::span(line)), head_.bytes); code != 0) {
        return error_from_errno(code, "write " + path_);
    }
    if (const int code = file.handle.sync(); code != 0) return error_from_errno(code, "fsync " + path_);
    if (file.is_new) {
        if (auto done = journal::sync_directory(options_.directory); !done) return done;
        file.is_new = false;
    }
    head_ = {head_.records + 1, hash, head_.bytes + line.size()};
    return Done{};
}

void AuditTrail::note(const AuditEntry& entry, MonotonicNs now) {
    const std::lock_guard guard(mutex_);
    const auto [found, is_first] = notes_.try_emplace(entry.act);
    Noted& noted = found->second;
    if (is_first || (!noted.is_waiting && now.since(noted.written) >= note_period_ns)) {
        noted.written = now;
        if (!append(entry)) failures_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    const std::uint64_t count = noted.is_waiting ? noted.waiting.count + entry.count : entry.count;
    noted.waiting = entry;
    noted.waiting.count = count;
    noted.is_waiting = true;
}

void AuditTrail::write_notes(MonotonicNs now) {
    const std::lock_guard guard(mutex_);
    for (auto& [act, noted] : notes_) {
        if (!noted.is_waiting || now.since(noted.written) < note_period_ns) continue;
        noted.written = now;
        noted.is_waiting = false;
        if (!append(noted.waiting)) failures_.fetch_add(1, std::memory_order_relaxed);
    }
}

AuditHead AuditTrail::head() const {
    const std::lock_guard guard(mutex_);
    return head_;
}

std::string AuditTrail::last_break() const {
    const std::lock_guard guard(mutex_);
    return last_break_;
}

std::string AuditTrail::metrics(std::string_view prefix) const {
    const AuditHead now = head();
    MetricsText out;
    const std::string begin = std::string(prefix) + "audit_";
    out.gauge(begin + "records", "Records of the audit trail", {}, static_cast<double>(now.records));
    out.gauge(begin + "head", "First 52 bits of the last record's hash, to be compared with audit-trail verify", {},
              static_cast<double>(number_of(now.hash)));
    out.gauge(begin + "bytes", "Size of the audit trail, of admin.audit_bytes_max", {}, static_cast<double>(now.bytes));
    out.counter(begin + "failures_total", "Records of the audit trail that could not be written", {}, failures());
    out.counter(begin + "breaks_total", "Audit trails that were found changed and set aside", {}, breaks());
    return out.text();
}

std::string AuditTrail::json() const {
    const AuditHead now = head();
    return "{\"records\":" + std::to_string(now.records) + ",\"head\":\"" + tls::hex_of(now.hash) +
           "\",\"bytes\":" + std::to_string(now.bytes) + ",\"bytes_max\":" + std::to_string(options_.bytes_max) +
           ",\"failures\":" + std::to_string(failures()) + ",\"broken\":" + std::to_string(breaks()) + "}\n";
}

}  // namespace weir::control
