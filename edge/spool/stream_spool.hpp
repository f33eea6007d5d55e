// StreamSpool: one stream's journal: what waits to be written, what is being written, what may be deleted.
//
// A stream that lives in memory has a MemoryJournal in its stead: what is written is at once what it would be once durable, nothing of
// it counts for the disk, and it goes as soon as it is delivered.
//
// Thread    Spool runner.
// Bounds    journal::gathered_groups_max batches that are not durable; segments are made, recycled and deleted by the segment store's thread.
// Law       Nothing is released that is not delivered, that intake's checkpoint does not cover, or that the spool's own stored
//           checkpoint would have to read again; and never the segment of the last record, from which a start learns the stream.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/journal/segments.hpp"
#include "core/journal/writer.hpp"
#include "edge/handover.hpp"
#include "edge/spool/lane_table.hpp"
#include "edge/spool/links.hpp"
#include "edge/spool/memory_journal.hpp"

namespace weir::edge {

class StreamSpool {
  public:
    struct Options {
        std::string directory;
        std::uint64_t lineage = 0;
        io::Token token;                 // of its writes; the index is the journal's own
        std::uint64_t keep_ns = 0;       // what is delivered stays so long
        std::uint32_t key_id = 0;        // under which it is written, 0: none
        std::uint64_t memory_bytes = 0;  // > 0: it lives in so much memory
    };
    struct Written {
        ToSpool batch;
        Position position{};
        std::uint32_t record_crc = 0;
        Position group_end{};
        MonotonicNs submitted_at{};
    };

    StreamSpool(io::Io& io, journal::SegmentStore& segments, Options options, SpoolLane& lane);
    // Opens the journal's tail, if there is one; blocking, before the first duty cycle.
    [[nodiscard]] Status open();

    [[nodiscard]] Links<ToSpool>::Queue& accepted() { return accepted_; }
    [[nodiscard]] MemoryJournal* memory() { return memory_.get(); }
    [[nodiscard]] bool is_in_memory() const { return memory_ != nullptr; }
    [[nodiscard]] bool may_write() const { return writing_count_ < writing_.size() && !journal_.is_poisoned(); }
    // False: the journal has no room now.
    [[nodiscard]] bool write(const ToSpool& batch, Bytes group, WallNs wall, MonotonicNs now);
    void on_completion(const io::Completion& completion) { journal_.on_completion(completion); }
    // The oldest written that is durable and was not taken yet.
    [[nodiscard]] std::optional<Written> take_durable();
    [[nodiscard]] bool is_quiet() const { return accepted_.is_empty() && writing_count_ == 0; }

    void cover(Position position) { lane_.journal.covered = std::max(lane_.journal.covered, position); }
    // The spool's checkpoint is being stored, before it is encoded; is stored. `is_last`: nothing is sent any more.
    void begin_store(MonotonicNs now, bool is_last) {
        if (is_in_memory()) lane_.promise.begin_store(lane_.state.last_sequence, now, is_last);
        storing_start_ = lane_.journal.durable_end;
        storing_given_up_ = lane_.state.last_sequence;
        storing_settlings_ = lane_.given_up_settlings;
        gave_up_unstored_ = false;
    }
    void stored() {
        if (is_in_memory()) lane_.promise.stored();
        lane_.journal.stored_start = storing_start_;
        if (storing_settlings_ == lane_.given_up_settlings) lane_.given_up_stored = storing_given_up_;
        if (!gave_up_unstored_) given_up_floor_.reset();
    }
    // Before the stream gave something up, from `first` on, all before `delivered` was delivered: no more than that goes until a checkpoint
    // knows.
    void gave_up(Position delivered, Sequence first) {
        storing_given_up_ = std::min(storing_given_up_, first - 1);
        given_up_floor_ = std::min(given_up_floor_.value_or(delivered), delivered);
        gave_up_unstored_ = true;
    }
    // What a start would read again if it were now.
    [[nodiscard]] std::uint64_t unstored_bytes() const;

    // Segments of what was delivered keep_ns ago go.
    void trim(MonotonicNs now);
    // Of one in memory: what is delivered goes, but for what lies at or behind `in_use`.
    void release_delivered(Position in_use);
    // Gives up the oldest segment that is only kept for a central that may lose it; false if there is none.
    bool release_kept();
    // What release_kept() would give, in all.
    [[nodiscard]] std::uint64_t kept_bytes() const;
    [[nodiscard]] std::uint64_t held_bytes() const;  // on the disk, from the oldest segment to the end
    [[nodiscard]] std::uint64_t needed_bytes()
        const;  // of them, what is not delivered; of one in memory, all that it holds
    [[nodiscard]] std::uint64_t needed_disk_bytes() const { return is_in_memory() ? 0 : needed_bytes(); }
    [[nodiscard]] std::uint64_t segment_bytes() const { return lane_.journal.segment_bytes; }
    // Of the segment that is being filled; 0 where the next one is to be opened.
    [[nodiscard]] std::uint64_t open_room_bytes() const {
        const std::uint64_t used = journal_.end_position().value % segment_bytes();
        return used == 0 ? 0 : segment_bytes() - used;
    }
    [[nodiscard]] std::uint64_t written_bytes() const { return journal_.written_bytes(); }
    [[nodiscard]] std::uint64_t writes_begun() const { return journal_.writes_begun(); }
    [[nodiscard]] const journal::JournalWriter& journal() const { return journal_; }

  private:
    // How far it was delivered, at some times: the oldest first.
    struct Delivered {
        MonotonicNs at{};
        Position position{};
    };
    static constexpr std::size_t delivered_samples = 32;

    [[nodiscard]] Position releasable() const;
    [[nodiscard]] Position grace_floor(MonotonicNs now);
    [[nodiscard]] Position floor_of(Position position) const {
        return {position.value / segment_bytes() * segment_bytes()};
    }
    bool release_before(Position floor);

    [[nodiscard]] bool keep(const ToSpool& batch, Bytes group, MonotonicNs now);

    SpoolLane& lane_;
    std::uint64_t keep_ns_;
    std::unique_ptr<MemoryJournal> memory_;
    journal::JournalWriter journal_;
    Links<ToSpool>::Queue accepted_;
    std::array<Written, journal::gathered_groups_max> writing_;
    std::size_t writing_head_ = 0;
    std::size_t writing_count_ = 0;
    std::optional<Position> given_up_floor_;
    bool gave_up_unstored_ = false;  // since the checkpoint under way, or the last one
    bool is_begun_ = false;          // it has a segment
    Position storing_start_{};
    Sequence storing_given_up_ = 0;
    std::uint64_t storing_settlings_ = 0;
    std::array<Delivered, delivered_samples> delivered_at_{};
    std::size_t delivered_head_ = 0;
    std::size_t delivered_count_ = 0;
    Position grace_{};  // everything before it was delivered keep_ns_ ago
};

}  // namespace weir::edge
