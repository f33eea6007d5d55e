// AuditTrail: who did what, when, why, and what came of it: DATA_DIR/audit-trail, append-only and chained (FORMAT.md).
//
// Thread    Any control thread; processes too: a lock on the file keeps a daemon and its command line apart.
// Law       A record is on the disk, directory entry too, when add() returns well. It holds no payload and no secret.
// Failure   A trail that was changed is renamed to audit-trail.broken-N and kept; a new one begins, and says so. What cannot be written
//           is an Error, for whoever asked to refuse what was asked.
// Bounds    Options::bytes_max, then add() fails; of what outsiders cause, one record a note_period_ns for each act.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/result.hpp"
#include "core/control/audit_record.hpp"
#include "core/metrics/counter.hpp"

namespace weir::control {

inline constexpr std::string_view audit_trail_name = "audit-trail";
inline constexpr std::uint64_t audit_bytes_default = 64ULL << 20;

class AuditTrail {
  public:
    static constexpr std::uint64_t note_period_ns = 60 * ns_per_second;

    struct Options {
        std::string directory;  // data_dir
        std::string owner;      // "edge north"
        std::uint64_t bytes_max = audit_bytes_default;
    };
    explicit AuditTrail(Options options);
    // Reads the trail that is there; begins one where there is none. Without it the first record does. A failure is no reason not to
    // start: it is the acts that are refused while nothing can be written.
    [[nodiscard]] Status begin();

    // The record's sequence.
    [[nodiscard]] Result<std::uint64_t> add(const AuditEntry& entry);
    // Of what outsiders can cause at will: the first of its act at once, the others as one record with their count, a period later. What
    // cannot be written is counted.
    void note(const AuditEntry& entry, MonotonicNs now);
    void write_notes(MonotonicNs now);

    [[nodiscard]] AuditHead head() const;
    [[nodiscard]] std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }
    // Trails that were found changed and set aside, since the start.
    [[nodiscard]] std::uint64_t breaks() const { return breaks_.load(std::memory_order_relaxed); }
    // Where and how the last one had been changed; empty: none was.
    [[nodiscard]] std::string last_break() const;
    [[nodiscard]] std::string metrics(std::string_view prefix) const;  // "weir_edge_"
    [[nodiscard]] std::string json() const;

  private:
    struct File;
    struct Noted {
        MonotonicNs written{};
        AuditEntry waiting;  // count: so many
        bool is_waiting = false;
    };
    [[nodiscard]] Result<std::uint64_t> append(const AuditEntry& entry);
    [[nodiscard]] Status catch_up(File& file);
    [[nodiscard]] Status set_aside(File& file, const std::string& why);
    [[nodiscard]] Status put(File& file, const AuditEntry& entry);

    Options options_;
    std::string path_;
    mutable std::mutex mutex_;
    AuditHead head_;
    std::map<std::string, Noted> notes_;  // by act: those that the daemons know
    std::string last_break_;
    std::atomic<std::uint64_t> failures_{0};
    std::atomic<std::uint64_t> breaks_{0};
};

}  // namespace weir::control
