// SpoolStage: takes closed batches, makes each durable in its stream's journal, tells intake, and hands them to the uplink.
//
//   Ring<ToSpool> ─▶ accepted (batches of a stream that wait) ─▶ in flight ─▶ durable ─▶ uplink / returned
//
// Thread    Spool runner: owns the journals, the spool's checkpoint, the catch-up readers and the uplink.
// Ownership A batch's buffer from the ring until its return note.
// Pressure  While the journals hold bytes_max that is not delivered, or a journal's writes in flight are used up, batches wait
//           here; intake runs out of buffers and its producers feel it. Notes of what intake's checkpoint covers are taken all the
//           same: they make room.
//           A lane in memory waits for none of this: its batches are copied into its own bytes, and what finds no room there waits alone.
// Law       Each stream's durable and delivered words follow its journal's order. What is released says StreamSpool. What could be
//           released stays for spool.keep_delivered_ms as long as nobody needs its room: a central restored from a backup asks
//           for it again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/journal/checkpoint.hpp"
#include "core/journal/segments.hpp"
#include "core/pipeline/runner.hpp"
#include "edge/config.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "edge/spool/intake_notes.hpp"
#include "edge/spool/lane_keeper.hpp"
#include "edge/spool/lane_orders.hpp"
#include "edge/spool/lane_table.hpp"
#include "edge/spool/links.hpp"
#include "edge/spool/spool_checkpoint.hpp"
#include "edge/spool/spool_start.hpp"
#include "edge/spool/stream_spool.hpp"
#include "edge/spool/uplink.hpp"

namespace weir::edge {

struct SpoolParts {
    const EdgeConfig& config;  // only during construction
    SpoolStart start;          // what recovery found
    BatchPool& pool;
    const std::vector<std::unique_ptr<journal::SegmentStore>>& segments;  // of each stream of `start`
    RingReader<ToSpool> from_intake;
    RingWriter<ToIntake> to_intake;
    Doorbell& intake_doorbell;
    SpoolCounters& counters;
    std::uint64_t jitter_seed = 1;
    const Counter* rung = nullptr;  // wire::Rung, by intake
};

class SpoolStage final : public Stage {
  public:
    SpoolStage(io::Io& io, std::uint8_t owner, SpoolParts parts);
    // All memory that load makes it use has its pages then (core/base/touch.hpp).
    void touch() const { uplink_.touch(); }
    // Before the first cycle.
    void take_tables_for(TableLink& link) { uplink_.take_tables_for(link); }
    void ask_rows_for(RowAsks& asks) { uplink_.ask_rows_for(asks); }
    void take_orders_from(LaneOrdersSlot& slot) { orders_ = &slot; }
    // Opens the journal's tail and the checkpoint's files; blocking, before the first duty cycle.
    [[nodiscard]] Status open();

    [[nodiscard]] std::size_t do_work(MonotonicNs now) override;
    void on_completion(const io::Completion& completion, MonotonicNs now) override;
    [[nodiscard]] bool has_input() const override { return !from_intake_.is_empty() || uplink_.has_rows_to_ask(); }
    [[nodiscard]] MonotonicNs next_deadline() const override;
    void drain(MonotonicNs now) override;
    [[nodiscard]] bool is_drained() const override;

    enum Kind : std::uint8_t { journal_kind, checkpoint_kind, connect_kind, receive_kind, send_kind, read_kind };

  private:
    void take_orders(MonotonicNs now);
    std::size_t take_input(MonotonicNs now);
    std::size_t write_accepted(MonotonicNs now);
    [[nodiscard]] bool write_next(std::size_t stream, MonotonicNs now);
    [[nodiscard]] bool keep_next(std::size_t stream, MonotonicNs now);
    void keep_promises(MonotonicNs now);
    void give_up_memory();
    std::size_t settle_durable(MonotonicNs now);
    void settle(std::size_t stream, const StreamSpool::Written& written, MonotonicNs now);
    void note_poison();
    void keep_lanes(MonotonicNs now);
    void keep_checkpoint(MonotonicNs now);
    void wish_checkpoint(MonotonicNs now);
    [[nodiscard]] bool checkpoint_hurries() const;
    [[nodiscard]] bool is_checkpoint_worth_it(ConstBytes content, MonotonicNs now) const;
    void trim(MonotonicNs now);
    void give_back_kept(std::uint64_t bytes_wanted);
    void count_bytes();
    [[nodiscard]] bool is_quiet() const;
    [[nodiscard]] bool is_poisoned() const { return poison_errno_ != 0; }
    template <class Of>
    [[nodiscard]] std::uint64_t sum(Of of) const {
        std::uint64_t total = 0;
        for (const auto& stream : streams_) total += of(*stream);
        return total;
    }
    [[nodiscard]] std::uint64_t needed_bytes() const {
        return sum([](const StreamSpool& one) { return one.needed_disk_bytes(); });
    }
    [[nodiscard]] std::uint64_t held_bytes() const {
        return sum([](const StreamSpool& one) { return one.held_bytes(); });
    }

    io::Io& io_;
    std::uint8_t owner_;
    BatchPool& pool_;
    RingReader<ToSpool> from_intake_;
    SpoolCounters& counters_;
    std::uint64_t bytes_max_;
    std::uint64_t checkpoint_ns_;
    std::uint64_t keep_bytes_;
    std::uint64_t lineage_;
    std::uint64_t epoch_;

    LaneTable lanes_;
    IntakeNotes notes_;
    std::vector<std::unique_ptr<StreamSpool>> streams_;
    journal::CheckpointFile checkpoint_;
    Uplink uplink_;
    LaneKeeper keeper_;

    LaneOrdersSlot* orders_ = nullptr;
    std::unique_ptr<LaneOrders> obeyed_;  // to be given back

    Links<ToSpool> accepted_;  // a place for each buffer
    std::size_t turn_ = 0;     // whose accepted batch is written next
    int poison_errno_ = 0;
    MonotonicNs checkpoint_at_{};     // when one is looked at next
    MonotonicNs stored_at_{};         // when the last one was begun
    bool is_checkpoint_due_ = false;  // whatever is in it
    std::size_t stored_count_ = 0;    // of stored_content_; 0: it is not known to be on the disk
    std::array<std::byte, spool_checkpoint_bytes_max> stored_content_{};  // of the last one, as if no time had passed
    bool poison_told_ = false;
    bool draining_ = false;
    bool final_checkpoint_begun_ = false;
    bool wants_promise_ = false;  // of a lane in memory
    std::array<std::byte, spool_checkpoint_bytes_max> checkpoint_bytes_{};
};

}  // namespace weir::edge
