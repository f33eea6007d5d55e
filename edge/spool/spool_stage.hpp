// SpoolStage: takes closed batches in order, makes them durable in the journal, tells intake, and hands them to the uplink.
//
//   Ring<ToSpool> ─▶ accepted_ (batches waiting to be written) ─▶ writing_ (in flight) ─▶ durable ─▶ uplink / returned
//
// Thread    Spool runner: owns the journal, the spool's checkpoint, the catch-up reader and the uplink.
// Ownership A batch's buffer from the ring until its return note.
// Pressure  While the journal holds bytes_max, or its writes in flight are used up, batches wait here; intake runs out of buffers
//           and its producers feel it. Notes of what intake's checkpoint covers are taken all the same: they make room.
// Law       durable and delivered words follow the journal's order. Nothing is released that the uplink has not delivered, that
//           intake's checkpoint does not cover, or that this stage's own stored checkpoint would have to read again.
//           What could be released stays for spool.keep_delivered_ms as long as nobody needs its room: a central restored from
//           a backup asks for it again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/journal/checkpoint.hpp"
#include "core/journal/segments.hpp"
#include "core/journal/writer.hpp"
#include "core/pipeline/runner.hpp"
#include "edge/config.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "edge/spool/intake_notes.hpp"
#include "edge/spool/journal_reader.hpp"
#include "edge/spool/lane_table.hpp"
#include "edge/spool/spool_start.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {

struct SpoolParts {
    const EdgeConfig& config;  // only during construction
    SpoolStart start;          // what recovery found
    BatchPool& pool;
    journal::SegmentStore& segments;
    RingReader<ToSpool> from_intake;
    RingWriter<ToIntake> to_intake;
    Doorbell& intake_doorbell;
    SpoolCounters& counters;
    std::uint64_t jitter_seed = 1;
};

class SpoolStage final : public Stage {
  public:
    SpoolStage(io::Io& io, std::uint8_t owner, SpoolParts parts);
    // Opens the journal's tail and the checkpoint's files; blocking, before the first duty cycle.
    // Before the first cycle.
    void take_tables_for(TableLink& link) { uplink_.take_tables_for(link); }
    [[nodiscard]] Status open();

    [[nodiscard]] std::size_t do_work(MonotonicNs now) override;
    void on_completion(const io::Completion& completion, MonotonicNs now) override;
    [[nodiscard]] bool has_input() const override { return !from_intake_.is_empty(); }
    [[nodiscard]] MonotonicNs next_deadline() const override;
    void drain(MonotonicNs now) override;
    [[nodiscard]] bool is_drained() const override;

    enum Kind : std::uint8_t { journal_kind, checkpoint_kind, connect_kind, receive_kind, send_kind, read_kind };

  private:
    struct Written {
        DurableBatch batch;
        std::uint32_t record_crc = 0;
        Position group_end{};
        MonotonicNs submitted_at{};
    };

    std::size_t take_input(MonotonicNs now);
    std::size_t append_accepted(MonotonicNs now);
    std::size_t settle_durable(MonotonicNs now);
    void settle(const Written& written, MonotonicNs now);
    void note_poison();
    void keep_checkpoint(MonotonicNs now);
    void trim(MonotonicNs now);
    // What is delivered is kept from here on, for a central that may lose it again.
    [[nodiscard]] Position grace_floor(MonotonicNs now);
    [[nodiscard]] bool is_quiet() const { return accepted_count_ == 0 && writing_count_ == 0; }
    // Of them, those that count against bytes_max.
    [[nodiscard]] std::uint64_t needed_bytes() const;
    [[nodiscard]] std::uint64_t held_bytes() const { return journal_.end_position().value - trimmed_.value; }

    io::Io& io_;
    std::uint8_t owner_;
    BatchPool& pool_;
    journal::SegmentStore& segments_;
    RingReader<ToSpool> from_intake_;
    SpoolCounters& counters_;
    std::uint64_t bytes_max_;
    std::uint64_t segment_bytes_;
    std::uint64_t checkpoint_ns_;
    std::uint64_t keep_ns_;
    std::uint64_t keep_bytes_;
    std::uint64_t lineage_;
    std::uint64_t epoch_;

    LaneTable lanes_;
    IntakeNotes notes_;
    journal::JournalWriter journal_;
    journal::CheckpointFile checkpoint_;
    JournalReader reader_;
    Uplink uplink_;

    std::vector<ToSpool> accepted_;  // a ring of pool.count()
    std::size_t accepted_head_ = 0;
    std::size_t accepted_count_ = 0;
    std::array<Written, journal::writes_in_flight_max> writing_;
    std::size_t writing_head_ = 0;
    std::size_t writing_count_ = 0;

    Position durable_end_{};  // of the last durable record
    std::uint32_t durable_crc_ = 0;
    Position covered_{};  // by intake's checkpoint
    // How far the uplink had delivered, at some times: the oldest first.
    struct Delivered {
        MonotonicNs at{};
        Position position{};
    };
    static constexpr std::size_t delivered_samples = 32;
    std::array<Delivered, delivered_samples> delivered_at_{};
    std::size_t delivered_head_ = 0;
    std::size_t delivered_count_ = 0;
    Position grace_{};         // everything before it was delivered keep_ns_ ago
    Position trimmed_{};       // start of the oldest segment that is kept
    Position stored_start_{};  // where a scan from the stored checkpoint would begin
    Position storing_start_{};
    MonotonicNs checkpoint_at_{};
    bool poison_told_ = false;
    bool draining_ = false;
    bool final_checkpoint_begun_ = false;
    std::array<std::byte, 16U << 10> checkpoint_bytes_{};
};

}  // namespace weir::edge
