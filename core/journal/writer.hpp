// JournalWriter: appends write groups to a directory of segments and says when they are durable. A state machine on Io:
// no thread, clock or system call of its own.
//
//   append(group) ─▶ record headers filled in, chained ─▶ WriteQueue (O_DIRECT|O_DSYNC) ─▶ durable_position() moves, in
//   order
//
// Thread    The runner that owns the Io.
// Ownership A group's bytes stay the caller's and untouched until on_completion has moved durable_position() past it.
// Pressure  append() answers nullopt when the queue is full or the next segment is not prepared yet.
// Law       durable_position() only grows and never passes a write that has not completed. The first failed write
// poisons the
//           journal: is_poisoned() for ever, nothing is durable after it, nothing is retried (RELIABILITY P8).
//           Position after position the segments are dense: segment i holds [i*segment_bytes, (i+1)*segment_bytes).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/base/result.hpp"
#include "core/io/io.hpp"
#include "core/journal/at_rest.hpp"
#include "core/journal/posix_file.hpp"
#include "core/journal/recent_bytes.hpp"
#include "core/journal/record.hpp"
#include "core/journal/segments.hpp"
#include "core/journal/write_queue.hpp"

namespace weir::journal {

struct JournalOptions {
    std::string directory;
    Role role = Role::spool;
    std::uint64_t journal_id = 0;
    std::uint64_t segment_bytes = 64ULL << 20;  // multiple of block_bytes, at least 2 blocks
    bool durable = true;                        // false only for tests of speed
    std::uint64_t ahead_after_bytes = 0;        // the next segment is made once so much of the open one is used
    std::uint32_t key_id = 0;  // of keyring(); 0: nothing is encrypted. Segments behind the first: sealing_key()
    std::uint32_t group_bytes_max = 0;  // with a key: of an append; so much memory is taken for each write
    RecentBytes* recent = nullptr;      // gets what goes to the disk; outlives the writer
    bool gathers = false;               // groups that find the disk busy share a write (WriteQueue::Options)
};

// Where a record of a group begins within the group's bytes (a multiple of 8, the first at 0), and its batch's length.
struct RecordSlot {
    std::uint32_t at = 0;
    std::uint32_t batch_bytes = 0;
};

// Where an append goes on: what recovery found (scan.hpp).
struct Tail {
    Position end{};                  // where the next group goes: a multiple of block_bytes (0 for a new journal)
    std::uint32_t previous_crc = 0;  // of the last record
};

class JournalWriter {
  public:
    // `token`'s owner and kind are used for every operation; its index and generation are the writer's own.
    // `segments` prepares, recycles and deletes files beside the runner (segments.hpp) and outlives this.
    JournalWriter(io::Io& io, SegmentStore& segments, JournalOptions options, Tail tail, io::Token token);

    // Opens or creates the tail's segment; blocking, before the runner's first cycle.
    [[nodiscard]] Status open();
    // Instead of open(), where the directory holds no segment at or beyond the tail: nothing is made before the first append
    // is asked for, and then beside the runner.
    void open_with_first_append() { released_segments_ = open_segment_; }

    // Appends `group`: 4096-aligned, a multiple of 4096 long, each slot with sizeof(RecordHeader) bytes of room and
    // then a sealed batch; everything else in it zero. Fills in the record headers. Returns the group's position; its
    // records' positions are that + slot.at. nullopt: no room now, ask again after a completion. Precondition:
    // group.size() <= segment_bytes - segment_header_bytes. With a key each slot also leaves sizeof(RecordSeal) bytes free
    // behind it, the last one excepted; what goes to the disk is encrypted in memory of this writer's own, may be a block
    // longer, and ends at end_position().
    [[nodiscard]] std::optional<Position> append(Bytes group, std::span<const RecordSlot> records, WallNs arrival);
    // The segment that the next append goes to is being waited for.
    [[nodiscard]] bool waits_for_segment() const { return waits_for_segment_; }
    // True if an append of so many bytes would be taken now; also asks for the next segment in good time.
    [[nodiscard]] bool can_append(std::size_t group_bytes);

    // Hands a completion with this writer's owner and kind to it. Afterwards look at durable_position().
    void on_completion(const io::Completion& completion);
    [[nodiscard]] Position durable_position() const { return queue_.durable(); }  // all bytes before it are durable
    [[nodiscard]] Position end_position() const { return end_; }  // where the next group would go, at the earliest
    [[nodiscard]] bool is_sealed() const { return sealing_ != nullptr; }
    // Of a record on the disk.
    [[nodiscard]] std::uint64_t stored_bytes(std::uint32_t batch_bytes) const {
        return journal::stored_bytes(batch_bytes, is_sealed());
    }
    [[nodiscard]] bool is_poisoned() const { return queue_.is_poisoned(); }
    [[nodiscard]] int poison_errno() const { return queue_.poison_errno(); }
    // errno of the last failed preparation of a segment, 0 if the last one went well.
    [[nodiscard]] int prepare_errno() const { return segments_.prepare_errno(); }
    [[nodiscard]] std::uint32_t writes_in_flight() const { return queue_.writes_in_flight(); }
    [[nodiscard]] std::uint64_t written_bytes() const { return queue_.written_bytes(); }
    [[nodiscard]] std::uint64_t writes_begun() const { return queue_.writes_begun(); }
    // Everything before `position` is no longer needed: whole segments below it are recycled or deleted.
    void release_before(Position position);

  private:
    [[nodiscard]] SegmentHeader header_of(std::uint64_t segment_index, std::uint32_t key_id) const;
    [[nodiscard]] bool is_durable() const;
    [[nodiscard]] bool fits_open_segment(std::size_t group_bytes) const;
    [[nodiscard]] bool roll();
    [[nodiscard]] bool open_first();
    void look_ahead();
    void prepare_next();
    void chain(Bytes group, std::span<const RecordSlot> records, WallNs arrival);
    [[nodiscard]] RecordHeader header_at(const RecordSlot& slot, WallNs arrival) const;
    // The group as it goes to the disk, in sealing_'s memory; empty if it cannot be encrypted.
    [[nodiscard]] ConstBytes seal(Bytes group, std::span<const RecordSlot> records, WallNs arrival, std::size_t bytes);
    [[nodiscard]] std::size_t stored_group_bytes(std::size_t group_bytes, std::span<const RecordSlot> records) const;
    // A tail under another key, or under none, is not gone on with: the next segment is.
    [[nodiscard]] Status leave_segment_of_another_key();

    struct Sealing {
        RecordCipher cipher;
        RecordSeal seal;  // of the next record: its life and key
        std::uint32_t buffer_bytes = 0;
        AlignedBytes buffers[writes_in_flight_max];
    };

    io::Io& io_;
    SegmentStore& segments_;
    JournalOptions options_;
    std::unique_ptr<Sealing> sealing_;  // null: without a key
    io::File file_{};
    io::File retiring_{};  // the segment before, until its groups are written
    std::uint64_t open_segment_ = 0;
    bool has_looked_ahead_ = false;
    std::optional<std::uint32_t> next_key_id_;  // of the segment being prepared: settled when it is first asked for
    Position end_{};
    WriteQueue queue_;
    std::uint32_t previous_crc_ = 0;
    bool waits_for_segment_ = false;
    std::uint64_t released_segments_ = 0;
};

}  // namespace weir::journal
