// Audit: recomputes the account from records as they were seen on disk: is every event that was ever numbered in
// central's journal, in a GAP, or still held by its edge? Pure: no file, no clock.
//
//   sequences of a stream = events + set aside + gap + shed + expired + elsewhere + held + residue      residue 0 = accounted
//
// A stream is one (edge, lineage, lane, part). What numbers exist is known from central's records, its checkpoint, and,
// where an edge's directory is given, from its spool and its spool-checkpoint.
//
// Thread    One. take() in the order of each journal; close() once, at the end.
// Law       Nothing is believed that a record does not say: a checkpoint adds numbers that must exist, never events.
// Cost      32 bytes for each batch seen.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "central/audit/edge_checkpoint.hpp"
#include "central/audit/ranges.hpp"
#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::central::audit {

struct StreamKey {
    std::string edge;
    std::uint64_t lineage = 0;
    LaneId lane = 0;
    wire::Part part = wire::Part::live;
    auto operator<=>(const StreamKey&) const = default;
};
[[nodiscard]] StreamKey key_of(const wire::BatchHeader& batch);

enum class FaultKind : std::uint8_t {
    missing_at_central,  // numbers that central must have had, and has not
    lost,                // numbers that only the edge knew, and its spool does not hold
    missing_in_spool,    // central has the events, the spool should still have them and has not: somebody took them
    duplicate,           // in central's journal, or in a spool, more than once
    order,               // numbers that come behind higher ones
    chain,               // a batch that does not follow the one before it
    totals,              // the edge's totals in a header contradict its sequences or shrink
    frames,              // a body of more or fewer events than its header says
    diverged,            // the same numbers stand for other events at the edge than at central
    damaged,             // bytes of a journal that cannot be read as records
    checkpoint,          // a checkpoint that is ahead of the data or contradicts it
};
[[nodiscard]] std::string_view text(FaultKind kind) noexcept;

struct Fault {
    FaultKind kind = FaultKind::damaged;
    std::optional<StreamKey> stream;  // absent: of a journal as a whole
    std::string lane_name;
    Range range;        // of the stream's sequences; empty without a stream
    std::string place;  // FILE:OFFSET; empty where there is none
    std::string what;
};

// What is left of a stream, for people and for the sum.
struct StreamReport {
    StreamKey key;
    std::string lane_name;
    std::uint64_t batches = 0;     // events batches in central's journal
    std::uint64_t events = 0;      // in central's journal, each number once, without those that are set aside
    std::uint64_t duplicates = 0;  // numbers seen again there
    std::vector<Range>
        set_aside;  // in central's journal too, but what lies there cannot be verified: dead letters of ingest
    std::vector<Range> gaps;     // lost, named here or in the edge's checkpoint
    std::vector<Range> shed;     // given up by the lane's policy at the edge, named here or in its checkpoint
    std::vector<Range> expired;  // the same for their age; of dead letters, released by central's retention
    std::vector<Range>
        elsewhere;  // delivered to another central, as the edge has named them here or its checkpoint knows
    std::vector<Range> missing;   // at central, or lost
    std::vector<Range> held;      // in the spool, beyond central's last sequence
    std::vector<Range> promised;  // to a lane in memory, beyond that: in its memory, gone with it, or never used
    Sequence last_sequence = 0;   // at central
    Sequence known_sequence = 0;  // the highest that anything knows of
    bool has_spool = false;       // an edge's directory was given for it
    Sequence spool_first_sequence = 0, spool_last_sequence = 0;  // 0: nothing kept
    wire::LedgerTotals totals;                                   // of the newest header seen
    [[nodiscard]] std::uint64_t residue() const { return count_of(missing); }
};

struct Report {
    std::vector<StreamReport> streams;
    std::vector<Fault> faults;
    std::vector<std::string> notes;  // seen and not a fault
    std::uint64_t records = 0;       // of all journals
    [[nodiscard]] bool is_accounted() const { return faults.empty(); }
};

// What a batch's body holds.
struct FramesSeen {
    std::uint32_t count = 0;
    std::vector<std::uint32_t> unverified{};  // indexes of events that are none
};

// A journal as it was read.
struct JournalSeen {
    std::string directory;
    bool is_spool = false;
    std::uint64_t segment_bytes = 0;
    Position kept_from{};    // start of the oldest segment; > 0: earlier ones were released
    Position end{};          // of the last record
    Position last_record{};  // its place
    std::uint64_t records = 0;
    std::string fault;             // of the scan, "FILE:OFFSET: what"; empty if there was none
    Position checkpoint_end{};     // records up to here were durable, says a checkpoint
    Position checkpoint_record{};  // a record lies here or behind it, says a checkpoint
};

class Audit {
  public:
    // Returns the journal's index.
    [[nodiscard]] std::size_t add_journal(std::string directory, bool is_spool);
    [[nodiscard]] JournalSeen& journal(std::size_t index) { return journals_[index]; }
    void take(std::size_t journal, const wire::BatchHeader& batch, const FramesSeen& frames, Position position);
    // What central's checkpoint says of a stream; the journal was read after it.
    void central_knows(const StreamKey& key, std::string_view lane_name, Sequence last_sequence,
                       std::uint32_t header_crc);
    // What central wrote down of dead letters before it released them: numbers up to here that its journal has not, it had.
    void central_released(const StreamKey& key, std::string_view lane_name, Sequence last_sequence);
    // Whose journal is audited: of an edge with several centrals, only its acks count. 0: not known.
    void central_is(std::uint64_t journal_id) { central_id_ = journal_id; }
    // What a spool-checkpoint says of a stream; both journals were read after it.
    // Without `journal` its directory was not there.
    void edge_knows(std::optional<std::size_t> journal, const StreamKey& key, const EdgeLane& lane);
    // A record that lies where no reader finds it: the journal had it once.
    void once_held(std::size_t journal, const wire::BatchHeader& batch);
    // Central's journal was read once, and what comes now of the spools is newer: they must hold all that it had.
    void central_was_read();
    // The edge of that lineage among the streams seen; "?" if there is none.
    [[nodiscard]] std::string edge_of(std::uint64_t lineage) const;
    void note(std::string what) { notes_.push_back(std::move(what)); }
    [[nodiscard]] Report close();

  private:
    struct Mark {  // a batch that was seen
        Sequence first = 0;
        std::uint32_t count = 0;
        std::uint32_t header_crc = 0;
        Position position{};
        std::uint32_t journal = 0;
        wire::BatchKind kind = wire::BatchKind::events;
        [[nodiscard]] Sequence last() const { return first + count - 1; }
    };
    static_assert(sizeof(Mark) == 32);
    struct Log {  // one side's records of a stream
        RangeSet all, events, set_aside, gaps, shed, expired, elsewhere;
        std::vector<Mark> marks;
        std::uint64_t batches = 0;
        std::uint64_t duplicates = 0;
        wire::BatchHeader newest;  // of the events batches
    };
    struct Stream {
        std::string lane_name;
        Log central, spool;
        Sequence central_read_last = 0;           // as of central_was_read()
        Sequence central_had = 0, spool_had = 0;  // by once_held()
        std::optional<std::size_t> spool_journal;
        Sequence checkpoint_last = 0;  // central's
        std::uint32_t checkpoint_crc = 0;
        Sequence released_last = 0;
        std::optional<EdgeLane> edge;
    };
    struct Acked {  // to an edge
        Sequence here = 0;
        Sequence elsewhere = 0;  // by any other central
    };
    struct SpoolState {  // of one spool's holes
        bool has_gap = false;
        bool has_fault = false;
    };

    void follow(const StreamKey& key, Stream& stream, Log& log, const Mark& mark, const wire::BatchHeader& batch);
    void check_totals(const StreamKey& key, Stream& stream, const Log& log, const Mark& mark,
                      const wire::BatchHeader& batch);
    [[nodiscard]] Acked acked(const Stream& stream) const;
    void judge(const StreamKey& key, Stream& stream, StreamReport& report);
    void judge_spool(const StreamKey& key, Stream& stream);
    void judge_identity(const StreamKey& key, Stream& stream);
    void judge_checkpoints(const StreamKey& key, Stream& stream);
    void judge_journal(std::size_t index);
    void fault(FaultKind kind, const StreamKey& key, const Stream& stream, Range range, std::string place,
               std::string what);
    [[nodiscard]] std::string place_of(std::size_t journal, Position position) const;
    [[nodiscard]] std::string place_of(const Mark& mark) const { return place_of(mark.journal, mark.position); }
    // Of the last record of `log` before `sequence`: "behind FILE:OFFSET".
    [[nodiscard]] std::string place_before(const Log& log, Sequence sequence) const;

    std::vector<JournalSeen> journals_;
    std::map<StreamKey, Stream> streams_;
    std::map<std::size_t, SpoolState> spools_;
    std::vector<Fault> faults_;
    std::vector<std::string> notes_;
    bool was_central_read_ = false;
    std::uint64_t central_id_ = 0;
};

}  // namespace weir::central::audit
