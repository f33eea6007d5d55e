// Intake: the edge's first runner: producers' connections, and the pipeline that judges their events vector by vector.
//
//   receive slot ─▶ ingress ─▶ decode ─▶ validate ─▶ route ─▶ cache ─▶ batch ─▶ Ring<ToSpool>
//                    acks  ◀─────── ack book ◀────── Ring<ToIntake>
//
// Thread    Intake runner; made and started on it.
// Pressure  A vector is gathered only from what is received. An event whose lane has no room is put back with all behind it of its
//           connection, which is not read until there is room (waiting.cpp); nobody else waits. Only where the runs for acks are used
//           up does a vector wait whole.
// Law       offered = accepted + duplicates + rejected. An event is acked once, at the level its producer asked for.
// Cost      No allocation after start(); one copy of an event's bytes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/pipeline/runner.hpp"
#include "edge/config.hpp"
#include "edge/counters.hpp"
#include "edge/delay_window.hpp"
#include "edge/handover.hpp"
#include "edge/intake/ack_book.hpp"
#include "edge/intake/batcher.hpp"
#include "edge/intake/checkpointing.hpp"
#include "edge/intake/connection.hpp"
#include "edge/intake/controls.hpp"
#include "edge/intake/event_vector.hpp"
#include "edge/intake/fuse.hpp"
#include "edge/intake/hashes.hpp"
#include "edge/intake/judgement.hpp"
#include "edge/intake/key_table.hpp"
#include "edge/intake/ladder.hpp"
#include "edge/intake/memory.hpp"
#include "edge/intake/parked_bytes.hpp"
#include "edge/intake/poison_guard.hpp"
#include "edge/intake/shedding.hpp"
#include "edge/intake/tap.hpp"
#include "edge/tables/cached_tables.hpp"

namespace weir::edge {

// Between two looks at what has arrived, two hand-overs to the spool, and two rounds of acks. Of one producer's about half a
// millisecond's work, which nobody else waits for; with others connected a quarter of it: what they send waits for a cycle to end
// before it is read, what the spool says of it for another, and its ack leaves at that one's end.
inline constexpr std::uint32_t vectors_per_cycle_max = 16;
// Who waits for a lane with room keeps its receive slots so long: a disk's write is mostly done by then.
inline constexpr std::uint64_t park_after_ns = 2 * ns_per_ms;
inline constexpr std::uint32_t vectors_per_cycle_max_shared = vectors_per_cycle_max / 4;

class Intake final : public Stage {
  public:
    // `lanes`: all that recovery knows, the dead-letter lane among them. The rings' ends and the doorbell are the spool's.
    Intake(io::Io& io, std::uint8_t owner, const EdgeConfig& config, SpoolIdentity identity,
           std::vector<LaneState> lanes, IntakeMemory memory, BatchPool& pool, RingWriter<ToSpool> to_spool,
           RingReader<ToIntake> from_spool, Doorbell& spool_doorbell, IntakeCounters& counters);
    // New judgements come from there; before start(). It outlives intake.
    void take_reloads_from(JudgementSlot& slot) { reloads_ = &slot; }
    // Taps come from there; before start(). It outlives intake.
    void take_taps_from(TapSlot& slot) { tap_.take_from(slot); }
    // What it is told while it runs; before start(). It outlives intake.
    void obey(const IntakeControls& controls) { controls_ = &controls; }
    // Notes there what it is judging; before start(). It outlives intake.
    void note_in(PoisonGuard& guard) { poison_guard_ = &guard; }
    // Lookups ask it; before start(). It outlives intake.
    void look_up_in(CachedTables& tables) { cached_tables_ = &tables; }
    // Other stages receive by the same Io: of its receive slots so many, but half at most, are theirs: intake never keeps one of
    // them from one duty cycle to the next. Before start().
    void leave_slots(std::uint32_t slots) { slots_held_max_ = receive_slots_ - std::min(slots, receive_slots_ / 2); }
    // All memory that load makes it use has its pages then (core/base/touch.hpp). Before start().
    void touch() const {
        carry_.touch(wire::frame_bytes(wire::event_bytes_max));
        parked_.touch();
    }
    // Opens its files and listens.
    [[nodiscard]] Status start();
    // Where it listens, in the configuration's order.
    [[nodiscard]] std::vector<std::string> addresses() const;
    // Sheds what comes for best_effort lanes, whatever room they have, for as long as this holds. Intake's thread.
    void shed_best_effort(bool sheds) { shedding_.shed_best_effort(sheds); }
    // Bytes of frames written into batches: one copy per event.
    [[nodiscard]] std::uint64_t copied_bytes() const { return batcher_.copied_bytes(); }

    [[nodiscard]] std::size_t do_work(MonotonicNs now) override;
    void on_completion(const io::Completion& completion, MonotonicNs now) override;
    [[nodiscard]] bool has_input() const override {
        return !from_spool_.is_empty() || (cached_tables_ != nullptr && cached_tables_->has_input());
    }
    [[nodiscard]] MonotonicNs next_deadline() const override;
    void drain(MonotonicNs now) override;
    [[nodiscard]] bool is_drained() const override;

    enum Kind : std::uint8_t { accept_kind, receive_kind, send_kind, ring_kind, checkpoint_kind };

  private:
    struct HeldSlot {
        std::byte* bytes = nullptr;
        std::uint32_t count_bytes = 0;
        std::uint32_t next = no_index;
        MonotonicNs received_at{};
    };
    struct Waiting {
        std::uint32_t connection = no_index;
        RoomAsked asked;
        MonotonicNs since{};
        bool is_parked = false;  // what it holds has left the receive slots
    };
    // Of a vector: it is made of so many connections' events, or of fewer.
    static constexpr std::size_t share_groups_max = 8;
    enum class Gathered : std::uint8_t { nothing, something };

    // intake.cpp: the duty cycle
    void take_reload();
    std::size_t take_notes(MonotonicNs now);
    void take_shed(const ToIntake& note);
    std::size_t run_vectors(MonotonicNs now);
    [[nodiscard]] bool is_disk_behind() const;
    void learn_disk(StreamIndex stream, const Batcher::Closed& batch, MonotonicNs now);
    void keep_checkpoint(MonotonicNs now);
    [[nodiscard]] std::uint64_t checkpoint_wait_ns() const noexcept;
    void keep_time(MonotonicNs now);
    void keep_ladder(MonotonicNs now);
    void finish_drain();
    void update_gauges();

    // pipeline.cpp: one vector, stage by stage
    [[nodiscard]] Gathered gather();
    [[nodiscard]] bool has_runs();
    void judge();
    void judge_carefully();
    void decode(EventRef& event);
    void decode_all();
    void count_edits();
    void fetch_known();
    void cache();
    void judge_numbered(EventRef& event);
    void judge_replayed(EventRef& event, std::uint32_t seconds);
    void judge_unnumbered(EventRef& event, std::uint32_t seconds);
    void judge_shedding(EventRef& event);
    void fail_as_known(EventRef& event, bool came_before);
    [[nodiscard]] bool is_in_memory(std::uint8_t lane) const { return (memory_lanes_ >> lane & 1U) != 0; }
    // Whether the word that a producer waits for is central's.
    [[nodiscard]] bool waits_for_central(wire::AckLevel level, std::uint8_t lane) const {
        return level == wire::AckLevel::delivered || (level == wire::AckLevel::spooled && is_in_memory(lane));
    }
    [[nodiscard]] bool is_replay(const EventRef& event) const {
        return event.producer >= 0 && producers_.is_replay(static_cast<std::uint32_t>(event.producer));
    }
    void batch();
    void note_shed(const EventRef& event);
    [[nodiscard]] std::size_t row_of(std::span<const EventRef> events) const;
    void settle_row(std::span<const EventRef> events);
    void settle(const EventRef& event);
    void wait_for_word(bool for_central, wire::AckLevel level, const Placed& placed, const AckItem& item);
    void finish_vector();

    // fusing.cpp: dead letters within bounds
    void limit_letters();
    void count_failures(MonotonicNs now);
    void count_letter(const EventRef& event);
    void look_at_fuses(MonotonicNs now);
    void keep_fuses(MonotonicNs now);
    void reset_fuses();
    void let_go(std::uint32_t index);
    [[nodiscard]] bool is_held(const Connection& connection) const noexcept;

    // waiting.cpp: connections whose lane has no room
    [[nodiscard]] bool hold_back_if_full(EventRef& event, std::uint32_t seconds);
    [[nodiscard]] bool is_known(const EventRef& event, std::uint32_t seconds) const;
    [[nodiscard]] bool has_runs_for(std::uint8_t lane);
    [[nodiscard]] bool has_room(const RoomAsked& asked);
    void put_back(const EventRef& event);
    [[nodiscard]] bool keep(std::uint32_t index, const io::Completion& completion, MonotonicNs now);
    void let_wait(std::uint32_t index);
    void park_overdue();
    [[nodiscard]] bool park_whole(Connection& connection);
    void copy_parked(ConstBytes bytes, Connection& connection, MonotonicNs received_at);
    std::size_t wake_waiting();
    void stop_waiting(Connection& connection);

    // sessions.cpp: connections
    void on_accept(const io::Completion& completion, MonotonicNs now);
    [[nodiscard]] bool is_allowed(io::Socket socket) const;
    void on_receive(const io::Completion& completion, MonotonicNs now);
    void on_sent(const io::Completion& completion, MonotonicNs now);
    void read_some(std::uint32_t index, std::uint32_t events_max);
    [[nodiscard]] bool take_frame(std::uint32_t index, const wire::FrameHeader& header, ConstBytes frame);
    void take_hello(std::uint32_t index, const wire::FrameHeader& header, ConstBytes frame);
    [[nodiscard]] bool take_event(std::uint32_t index, Connection& connection, const wire::FrameHeader& header,
                                  ConstBytes frame);
    void welcome(Connection& connection);
    void welcome_named();
    void refuse(std::uint32_t index, wire::RefusalReason reason, std::string_view detail);
    void end_if_done(std::uint32_t index);
    void close(std::uint32_t index);
    void free_if_done(std::uint32_t index);
    void hold(Connection& connection, std::uint32_t slot);
    void drop_held(Connection& connection);
    void release_slot(std::uint32_t slot);
    void make_ready(std::uint32_t index);
    [[nodiscard]] bool may_read(const Connection& connection, std::uint32_t index) const;

    // sending.cpp: what is said to producers
    std::size_t send_all(MonotonicNs now);
    [[nodiscard]] std::uint64_t credit_due(Connection& connection, MonotonicNs now) const;
    void look_at_rate(Connection& connection, MonotonicNs now);
    void send_some(std::uint32_t index, MonotonicNs now);

    io::Io& io_;
    std::uint8_t owner_;
    SpoolIdentity identity_;
    std::vector<std::string> listen_on_;
    std::vector<std::uint32_t> allowed_users_;
    std::vector<std::uint32_t> allowed_groups_;
    std::uint32_t connections_max_;
    std::uint64_t hello_ns_max_;
    std::uint32_t credit_events_;
    MonotonicNs rate_look_at_ = never;  // when a connection that waits for its rate may be told more
    std::uint64_t checkpoint_ns_;
    IntakeCounters& counters_;
    RingReader<ToIntake> from_spool_;

    IntakeMemory memory_;
    DuplicateFilter& filter_;
    Producers& producers_;
    KeyTable keys_;
    std::unique_ptr<Judgement> judgement_;
    std::unique_ptr<Judgement> next_judgement_;  // taken, and used once no vector waits
    JudgementSlot* reloads_ = nullptr;
    TapPoint tap_;
    DelayWindow disk_window_;
    Batcher batcher_;
    Ladder ladder_;
    std::array<Fuse, fused_stages> fuses_;                 // index: FusedStage
    std::vector<LetterQuota::Used> letters_of_producers_;  // index: slot of a numbered one
    Shedding shedding_;
    AckBook book_;
    Checkpointing checkpointing_;
    EventVector vector_;
    FingerprintTexts texts_;                 // of the vector's events
    std::uint64_t memory_lanes_ = 0;         // a bit for each lane that lives in memory; edge/spool/memory_journal.hpp
    std::uint64_t lossy_lanes_ = 0;          // of them, those that an earlier life took something along of
    std::uint64_t first_id_ = 0;             // of this life, in the filter
    std::uint32_t put_back_count_ = 0;       // of the vector's events: they wait
    MomentRows<share_groups_max> received_;  // of the vector's events that were given a sequence

    wire::CarryPool carry_;
    std::vector<io::Socket> listeners_;
    std::deque<Connection> connections_;
    std::vector<std::uint32_t> free_connections_;
    std::vector<std::uint32_t> live_;     // connections that are not free, in no order
    std::vector<std::uint32_t> ready_;    // connections with bytes to read
    std::vector<std::uint32_t> reading_;  // the same, of the round under way
    std::vector<std::byte> send_buffers_;
    std::vector<HeldSlot> held_;  // index: receive slot, and behind those blocks of parked_
    std::uint32_t receive_slots_;
    ParkedBytes parked_;
    std::vector<Waiting> waiting_;             // who waits for room, longest first
    std::vector<std::uint32_t> vector_slots_;  // to be released with the vector
    std::uint32_t connected_ = 0;
    std::uint64_t slots_held_ = 0;
    std::uint32_t slots_held_max_;  // leave_slots()

    MonotonicNs now_{};
    MonotonicNs started_at_{};
    std::uint64_t filter_age_base_ =
        0;  // seconds of earlier lives: identities age by running time, never by the wall clock
    WallNs wall_{};
    MonotonicNs looked_at_{};            // when timeouts were last looked for
    MonotonicNs checkpoint_at_{};        // when the last one began
    MonotonicNs stalled_since_ = never;  // nothing was taken since, for want of room
    const IntakeControls* controls_ = nullptr;
    PoisonGuard* poison_guard_ = nullptr;
    CachedTables* cached_tables_ = nullptr;
    std::uint32_t fuse_resets_ = 0;  // those obeyed
    bool naming_ = false;            // someone waits for a checkpoint
    bool poisoned_ = false;
    bool stalled_ = false;          // the runs for acks are used up
    bool input_is_drained_ = true;  // nothing more can be read now
    bool draining_ = false;
    bool final_cut_ = false;
    bool said_goodbye_ = false;
};

}  // namespace weir::edge
