// Recovery: brings central's positions back at start, from the checkpoint and the journals' tails; and writes checkpoints.
//
//   checkpoint (positions as of a place in each journal) ─▶ scan both journals from there ─▶ PositionTable, tails
//
// A damaged or missing checkpoint costs time, not truth: both journals are then read whole. Only the counts of duplicates
// and rejects since the last checkpoint are lost with a crash; `received` comes back as appended + duplicates + rejected.
//
// Format    Version 3: CheckpointHead, then `rows` CheckpointEntry; little-endian. Version 2, which is read too, has a CheckpointRow in the
//           place of each: then stored bytes are counted from there on. The place is the last write group's, so that the scan always
//           meets a record and its chain; a batch met twice is recognised by its sequence.
// Thread    Blocking, before the ingest runner starts; pack_checkpoint on it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "central/config.hpp"
#include "central/ingest/positions.hpp"
#include "core/base/result.hpp"
#include "core/journal/writer.hpp"

namespace weir::central {

struct CheckpointHead {
    std::uint32_t magic = 0x31504e43;  // "CNP1"
    std::uint16_t version = 3;
    std::uint16_t reserved = 0;
    std::uint64_t journal_id = 0;
    std::uint64_t dead_letters_id = 0;
    std::uint64_t journal_position = 0;  // of the last write group
    std::uint64_t dead_letters_position = 0;
    std::uint32_t rows = 0;
    std::uint32_t reserved_2 = 0;
};
static_assert(sizeof(CheckpointHead) == 48);

struct CheckpointRow {
    EdgeName edge{};
    LaneName lane_name{};
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    std::uint64_t last_sequence = 0;
    std::uint64_t appended = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t rejected = 0;
    std::uint64_t gap = 0;
    std::uint64_t elsewhere = 0;
    std::uint32_t previous_crc = 0;
    LaneId lane = 0;
    wire::Part part = wire::Part::live;
    std::uint8_t is_after_gap = 0;  // 0 or 1
};
static_assert(sizeof(CheckpointRow) == 120);

struct CheckpointEntry {
    CheckpointRow row;
    std::uint64_t dead_lettered = 0;  // of `appended`
    std::uint64_t stored_bytes = 0;   // of its batches in the journal
};
static_assert(sizeof(CheckpointEntry) == 136);

struct RecoveredJournal {
    std::uint64_t id = 0;
    journal::Tail tail;
    Position last_group{};  // of the last record found; 0 for an empty journal
    std::uint64_t records = 0;
    std::uint64_t damaged = 0;
    std::string fault;
};

// What is gone from the dead-letter journal (central/letters/retention.hpp): no longer in it, and accounted for all the same.
struct ExpiredHead {
    std::uint32_t magic = 0x31584c43;  // "CLX1"
    std::uint16_t version = 1;
    std::uint16_t reserved = 0;
    std::uint64_t dead_letters_id = 0;
    std::uint64_t running_s = 0;  // of central, all lives together
    std::uint64_t kept_from = 0;  // index of the first segment that is kept
    std::uint32_t rows = 0;
    std::uint32_t segments = 0;
};
static_assert(sizeof(ExpiredHead) == 40);

struct ClosedSegment {
    std::uint64_t index = 0;
    std::uint64_t closed_at_s = 0;  // in running time
};
static_assert(sizeof(ClosedSegment) == 16);

struct ExpiredLetters {
    ExpiredHead head;  // dead_letters_id 0: nothing was ever released
    std::vector<CheckpointRow> rows;
    std::vector<ClosedSegment> segments;
    std::uint64_t serial = 0;
    std::vector<std::string> faults;
};

struct Recovered {
    RecoveredJournal journal;
    RecoveredJournal dead_letters;
    ExpiredLetters expired;
    std::uint64_t checkpoint_serial = 0;
    bool from_checkpoint = false;
    std::vector<std::string> notes;  // what was damaged and set aside
};

[[nodiscard]] std::string journal_directory(const CentralConfig& config);
[[nodiscard]] std::string dead_letters_directory(const CentralConfig& config);
[[nodiscard]] std::string checkpoint_path(const CentralConfig& config);
[[nodiscard]] std::string expired_letters_path(const CentralConfig& config);

// What the file says; nothing where there is none. A file that cannot be read is a fault in it, an unreadable disk an Error.
[[nodiscard]] Result<ExpiredLetters> load_expired_letters(const CentralConfig& config);

// Fills `table`, which must be empty. The directory must exist and be locked.
[[nodiscard]] Result<Recovered> recover(const CentralConfig& config, PositionTable& table);

// The head of what pack_checkpoint writes; nullopt if it is another program's, or of a version to come.
[[nodiscard]] std::optional<CheckpointHead> checkpoint_head(ConstBytes content);
// Of content that checkpoint_head() took, with that head. Precondition: index < head.rows.
[[nodiscard]] CheckpointEntry checkpoint_entry(ConstBytes content, const CheckpointHead& head, std::uint32_t index);

// The table as a checkpoint into `content`. False if it does not fit journal::checkpoint_content_bytes_max.
[[nodiscard]] bool pack_checkpoint(const PositionTable& table, CheckpointHead head, std::vector<std::byte>& content);

}  // namespace weir::central
