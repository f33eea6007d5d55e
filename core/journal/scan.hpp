// Scan: reads a journal's records in order, verifying everything; for recovery at start and for tools beside a running
// daemon.
//
// Reads by pread with a buffer of its own, never writes, takes no lock: safe beside the writer. What is still being
// written at the tail looks like the end.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/journal/record_reader.hpp"
#include "core/journal/segment_list.hpp"
#include "core/journal/writer.hpp"

namespace weir::journal {

inline constexpr std::size_t damaged_segments_max = 1024;

// A pull iterator over records.
class Scanner {
  public:
    // Begins at `from` (must be a record's or group's position, or any position at or before the first segment's
    // start). `previous_crc`: of the record before `from`, where it is known. Without it the first whole record found is
    // taken for the next one, even behind a hole that a crash left.
    [[nodiscard]] static Result<Scanner> open(const std::string& directory, Position from,
                                              std::optional<std::uint32_t> previous_crc = std::nullopt);
    Scanner(Scanner&&) noexcept;
    Scanner& operator=(Scanner&&) noexcept;
    ~Scanner();

    // The next record, or nullopt at the end of what is whole. After nullopt, calling again looks again: a tool can
    // follow.
    [[nodiscard]] std::optional<RecordView> next();
    // All before `written` is written: a follower that says so reads each byte about once, and not what is still to come with it. From there
    // on, and once it has found nothing more before there, next() does not look again until it is told of more: it would go through all that
    // is made ahead each time.
    void expect(Position written);
    // A follower beside the writer has what was written last from there. It outlives this scanner.
    void read_recent_from(const RecentBytes& recent);
    // What was read, in all: from there, and from the disk.
    [[nodiscard]] std::uint64_t bytes_from_memory() const;
    [[nodiscard]] std::uint64_t bytes_from_disk() const;
    // Where an append goes on after the last record that next() gave.
    [[nodiscard]] Tail tail() const;
    // Why it ended: empty for a clean end (nothing but zeros or stale bytes follow), else "PATH:OFFSET: what".
    [[nodiscard]] const std::string& fault() const;
    // Called before a segment's records are first read, with its index.
    void on_segment(std::function<void(std::uint64_t)> told);
    // The disk is read in so many bytes at a time, or a longer record's; behind each `told` is called with what was read: who must not read
    // faster than so waits there.
    void read_in_pieces(std::uint64_t bytes, std::function<void(std::uint64_t)> told);
    // Nothing that follows was found once, and nothing behind that proved that something should: the journal ended there then. A writer
    // beside may have gone on since, and next() with it.
    [[nodiscard]] bool has_met_end() const;
    // Segments in which something was damaged, in the order found, each once; at most `damaged_segments_max`.
    [[nodiscard]] const std::vector<std::uint64_t>& damaged_segments() const;
    // Segments passed over because their key is not here, each once. They are no damage.
    [[nodiscard]] const std::vector<std::uint64_t>& locked_segments() const;
    // Of all records so far: batches whose body did not match its checksum are not handed out but counted here.
    [[nodiscard]] std::uint64_t damaged_records() const;

  private:
    struct State;
    explicit Scanner(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace weir::journal
