// Letter retention: which segments of the dead-letter journal may go, and the record of what went with them.
//
//   a segment is closed ─▶ its age counts ─▶ too old, or all too large ─▶ its letters noted as expired, durable ─▶ released
//
// Thread    LetterRetention: control thread; it reads files and waits for the disk. Ingest releases the segments.
// Law       A segment is released only after DIR/letters-expired says, durably, what it held. A crash between the two deletes later.
// Bounds    The oldest goes first, whole segments only, never the one that is written: on the disk stay at most bytes_max, and after
//           a burst for the second until the next look as much more as came in it.
// Format    A checkpoint file: ExpiredHead, `rows` CheckpointRow (what of each stream is gone), `segments` ClosedSegment.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "central/ingest/ingest.hpp"
#include "central/recovery/recovery.hpp"

namespace weir::central {

class LetterRetention {
  public:
    LetterRetention(const CentralConfig& config, std::uint64_t dead_letters_id, const ExpiredLetters& found,
                    IngestShared& shared, MonotonicNs now);
    // Called every look_ns or so. True: ingest has something to release and should be woken. An error is tried again.
    [[nodiscard]] Result<bool> look(MonotonicNs now);

    static constexpr std::uint64_t look_ns = ns_per_second;

  private:
    static constexpr std::uint64_t store_s = 60;  // of running time: what a crash may add to a letter's life
    using StreamKey = std::tuple<EdgeName, std::uint64_t, LaneId, wire::Part>;

    [[nodiscard]] std::uint64_t running_s(MonotonicNs now) const {
        return running_base_s_ + now.since(started_) / ns_per_second;
    }
    // The index that is kept from now on, as the caps say.
    [[nodiscard]] std::uint64_t wanted_from(std::uint64_t open_index, std::uint64_t now_s) const;
    // Takes what lies before that segment into the rows; gives the index up to which that could be read.
    [[nodiscard]] Result<std::uint64_t> take_before(std::uint64_t index);
    [[nodiscard]] Status store(std::uint64_t now_s);
    void publish();

    std::string directory_;
    std::uint64_t segment_bytes_;
    std::uint64_t keep_s_;
    std::uint64_t bytes_max_;
    std::uint64_t dead_letters_id_;
    IngestShared& shared_;
    journal::CheckpointFile file_;
    MonotonicNs started_;
    std::uint64_t running_base_s_ = 0;
    std::uint64_t stored_s_ = 0;
    bool is_unstored_ = false;                         // what is below is ahead of the file: the last store failed
    std::uint64_t kept_from_ = 0;                      // index of the first segment that is kept
    std::map<StreamKey, CheckpointRow> rows_;          // of what is gone
    std::map<std::uint64_t, std::uint64_t> closed_s_;  // segment index, when it was seen closed, in running time
};

}  // namespace weir::central
