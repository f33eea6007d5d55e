// Uplink: the edge's session with a central: connects, agrees where to go on, sends durable batches in journal order within
// credit, and learns from acks what is delivered. A state machine on Io, given time by the spool stage.
//
//   waiting ─▶ connecting ─▶ greeting (hello sent) ─▶ live ─▶ (lost) closing ─▶ waiting
//
// Which central comes next is EndpointPlan's; whether a more preferred one is back is ReturnPlan's. To return, the session in hand
// sends nothing new, waits for its acks (drain_ms_max at most) and says goodbye. What was not acked is safe: the next
// central's welcome says where to go on.
//
// Each stream is sent on its own: a batch comes from memory when everything of its stream before it has been handed to the session
// already; else it is read back from the stream's journal, by one of the few readers, in turns. So the order of a stream is its
// journal's, whatever the session's fortune, and a stream that may not be sent holds up no other: its lane's credit is its own, and
// what it has in memory makes way when others need the room. Whose turn it is says SendTurns.
//
// Thread    Spool runner.
// Ownership A buffer taken by offer() is given back through IntakeNotes::returned when its send is done, when its stream may not send
//           and others need the room, or when the session ends.
// Pressure  Stops at central's credit, for the connection and for each lane that central grants credit to, at unacked_max batches
//           in all and unacked_of_stream_max of a stream, and at one send under way.
// Law       Only durable batches leave; of a lane in memory those whose sequences are promised (sequence_promise.hpp). Per stream, sequences are sent without a hole: what the journal no longer has is named
//           by a gap batch first, and so is what only other, independent centrals have: that is not sent again (elsewhere).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/io/io.hpp"
#include "core/wire/splitter.hpp"
#include "core/wire/status.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "edge/spool/catch_up.hpp"
#include "edge/spool/catch_up_pace.hpp"
#include "edge/spool/catch_up_window.hpp"
#include "edge/spool/central_probe.hpp"
#include "edge/spool/endpoint_plan.hpp"
#include "edge/spool/intake_notes.hpp"
#include "edge/spool/lane_table.hpp"
#include "edge/spool/links.hpp"
#include "edge/spool/memory_journal.hpp"
#include "edge/spool/return_plan.hpp"
#include "edge/spool/send_turns.hpp"
#include "edge/tables/row_asks.hpp"
#include "edge/tables/table_link.hpp"

namespace weir::edge {

inline constexpr std::uint32_t unacked_max = 1024;
inline constexpr std::uint32_t unacked_of_stream_max = 512;

enum class UplinkState : std::uint8_t { waiting = 0, connecting = 1, greeting = 2, live = 3, closing = 4 };

struct UplinkOptions {
    std::vector<std::string> centrals;
    std::uint64_t reconnect_ms_min = 100;
    std::uint64_t reconnect_ms_max = 10'000;
    std::uint64_t ping_ms = 1000;
    std::uint64_t silent_ms_max = 2500;
    std::uint32_t breaker_failures = 5;
    std::uint64_t breaker_ms = 5000;
    std::uint64_t return_ms = 30'000;
    std::uint64_t return_stable_ms = 10'000;
    std::uint64_t catch_up_queue_us = 250;
    CatchUp::Limits catch_up;
    std::uint64_t jitter_seed = 1;
    // What is held may still be delivered for so long after drain(), what was sent may still be acked before a return.
    std::uint64_t drain_ms_max = 1000;
};

// Which completions are the uplink's: Token::kind.
struct UplinkKinds {
    std::uint8_t connect = 0;
    std::uint8_t receive = 0;
    std::uint8_t send = 0;
    std::uint8_t read = 0;
};

struct DurableBatch {
    std::uint32_t buffer = 0;
    std::uint32_t batch_bytes = 0;
    std::uint32_t stream = 0;
    Sequence first_sequence = 0;
    Sequence last_sequence = 0;
    Position begin{};  // of its record
    Position end{};
    Position durable_before{};  // the stream's durable end before it
    MonotonicNs due_at{};       // ToSpool::due_at
    MonotonicNs durable_at{};
    [[nodiscard]] std::uint64_t events() const { return last_sequence - first_sequence + 1; }
};

class Uplink {
  public:
    // `lanes` has each stream's places and sequences; `turns` is index by index the same streams.
    Uplink(io::Io& io, std::uint8_t owner, UplinkKinds kinds, UplinkOptions options, const SpoolIdentity& identity,
           LaneTable& lanes, std::vector<StreamTurns> turns, std::vector<CatchUp::Source> sources, BatchPool& pool,
           IntakeNotes& notes, SpoolCounters& counters);

    void touch() const { catch_up_.touch(); }
    // Tables are offered to and taken by it; before the first do_work.
    void take_tables_for(TableLink& link) { tables_ = &link; }
    // Rows of cached tables are asked for by it; before the first do_work.
    void ask_rows_for(RowAsks& asks) { row_asks_ = &asks; }
    // Something is to be asked that nothing else will wake the runner for.
    [[nodiscard]] bool has_rows_to_ask() const {
        return may_ask_rows() && sending_ == Sending::nothing && row_asks_->is_due(pumped_at_);
    }
    // The edge's wire::Rung, for its statuses; before the first do_work.
    void take_rung_from(const Counter& rung) { rung_ = &rung; }
    // A batch has become durable (in its journal's order). True: its buffer is the uplink's until it is returned.
    [[nodiscard]] bool offer(const DurableBatch& batch);
    [[nodiscard]] std::size_t do_work(MonotonicNs now);
    // True if the completion was one of the uplink's kinds.
    bool on_completion(const io::Completion& completion, MonotonicNs now);
    [[nodiscard]] MonotonicNs next_deadline() const;
    void drain(MonotonicNs now);
    [[nodiscard]] bool is_drained() const;

    [[nodiscard]] UplinkState state() const { return state_; }
    [[nodiscard]] bool is_live() const { return state_ == UplinkState::live; }
    // The stream's records from here on were not handed to the session, or to none since the last one was lost.
    [[nodiscard]] Position unsent_from(std::size_t stream) const;
    // All of it was handed to the session.
    [[nodiscard]] bool has_sent_all(std::size_t stream) const { return is_live() && is_caught_up_in_memory(stream); }
    // Nothing of the stream is being read or sent just now.
    [[nodiscard]] bool may_give_up(std::size_t stream) const;
    // Gives up what was not sent of the stream before `mark`, for `reason` (wire::gap_shed or gap_expired): it is named to central
    // when its turn comes. Precondition: may_give_up(stream).
    struct GaveUp {
        Sequence first = 0;       // of what was not given up before; 0: nothing could be
        std::uint8_t reason = 0;  // for which it counts (given_up.hpp, Bounds); 0: all of it was given up already
    };
    [[nodiscard]] GaveUp give_up(std::size_t stream, const Mark& mark, std::uint8_t reason);
    // What is left of the stream's session is in `memory`, which outlives the uplink's use of it. Before the first do_work.
    void send_from(std::size_t stream, MemoryJournal& memory) { streams_[stream].kept = &memory; }
    // Of a stream in memory: from here on it is being sent and may not go; the end of all positions while nothing of it is.
    [[nodiscard]] Position sending_from(std::size_t stream) const {
        const bool is_sending = sending_ == Sending::kept_batch && sending_stream_ == stream;
        return is_sending ? sending_from_ : Position{UINT64_MAX};
    }
    // Something of the stream is sent and not acked.
    [[nodiscard]] bool has_unacked(std::size_t stream) const { return !streams_[stream].unacked.is_empty(); }
    // Turns from now on, and a spare stream's journal. The text is swapped.
    void set_turns(std::size_t stream, const StreamTurns& turns) { turns_.set(stream, turns); }
    void name_journal(std::size_t stream, std::string& directory) { catch_up_.name_journal(stream, directory); }
    // A welcome has settled something that was given up: it is named once a checkpoint knows.
    [[nodiscard]] bool take_checkpoint_wish() { return std::exchange(wants_checkpoint_, false); }

  private:
    // Token::index of the session's own operations and of the probe's.
    static constexpr std::uint32_t session_index = 0;
    static constexpr std::uint32_t probe_index = 1;
    struct Unacked {
        std::uint32_t gap_count = 0;        // > 0: a gap batch of what is lost
        bool is_given_up = false;           // a gap batch of what was given up (given_up.hpp)
        std::uint32_t elsewhere_count = 0;  // > 0: one of what another central has
        Sequence last_sequence = 0;
        Position end{};
        MonotonicNs sent_at{};
        std::uint32_t catch_up_bytes = 0;  // counted in the window of what is read back
        MonotonicNs due_at{};              // of a live batch: ToSpool::due_at; of one in memory: when it came there
        std::uint32_t events = 0;          // of a live batch
    };
    struct Stream {
        Position cursor{};  // without a reader: everything before it was handed to the session
        Links<DurableBatch>::Queue memory;
        Links<Unacked>::Queue unacked;
        MemoryJournal* kept = nullptr;  // of one in memory: all that central has not acked
        Sequence sent_until = 0;        // of it, in any session
        bool is_known_there = false;    // in this session, by its hello or a batch
    };
    // Of a lane, both parts: frame bytes on this connection. Central may leave it at the connection's credit.
    struct LaneCredit {
        std::optional<std::uint64_t> credit_bytes;
        std::uint64_t sent_bytes = 0;
    };
    enum class Next : std::uint8_t { nothing, record, memory, kept, gap };
    struct NextSend {
        Next what = Next::nothing;
        std::uint64_t bytes = 0;  // of its frame
        Sequence before = 0;      // of a gap: the first sequence behind it
    };
    enum class Sending : std::uint8_t { nothing, control, memory_batch, read_batch, kept_batch };

    void connect(MonotonicNs now);
    [[nodiscard]] bool leave_when_acked(MonotonicNs now);
    std::size_t look_for_preferred(MonotonicNs now);
    void note_proof(MonotonicNs now);
    void note_breakers(MonotonicNs now);
    void greet(MonotonicNs now);
    void take_bytes(const io::Completion& completion, MonotonicNs now);
    [[nodiscard]] bool take_frame(const wire::FrameHeader& header, ConstBytes body, MonotonicNs now);
    [[nodiscard]] bool take_welcome(ConstBytes body, MonotonicNs now);
    [[nodiscard]] bool take_ack(ConstBytes body, MonotonicNs now);
    void take_refusal(ConstBytes body, MonotonicNs now);
    [[nodiscard]] bool take_credit(ConstBytes body);
    void set_delivered(std::size_t stream, Sequence last_sequence, MonotonicNs at = {});
    void retire_acked(std::size_t stream, MonotonicNs now);
    [[nodiscard]] bool compare_with_central(std::size_t stream, const wire::LanePosition& central);
    void settle_given_up_in_doubt(std::size_t stream, Sequence at_central);

    // uplink_status.cpp: what this edge says of itself
    [[nodiscard]] bool take_status_ask(ConstBytes body, MonotonicNs now);
    [[nodiscard]] bool says_statuses() const;
    void put_status(MonotonicNs now);

    // uplink_sending.cpp: what is sent next, and from where
    std::size_t pump(MonotonicNs now);
    [[nodiscard]] std::size_t pump_readers(MonotonicNs now);
    void lend_readers();
    [[nodiscard]] bool needs_reader(std::size_t stream) const;
    void release_reader(std::size_t stream);
    [[nodiscard]] bool may_release_reader(std::size_t stream, bool others_wait) const;
    [[nodiscard]] bool is_caught_up(std::size_t stream) const;
    [[nodiscard]] bool is_caught_up_in_memory(std::size_t stream) const;
    void count_delivered(std::size_t stream);
    void settle_given_up(std::size_t stream);
    [[nodiscard]] bool is_all_sent() const;
    void pass_known_records(std::size_t stream, MonotonicNs now);
    [[nodiscard]] NextSend next_of(std::size_t stream) const;
    [[nodiscard]] NextSend gap_before(std::size_t stream, Sequence first) const;
    [[nodiscard]] bool has_lane_credit(std::size_t stream, std::uint64_t frame_bytes) const;
    [[nodiscard]] bool has_unacked_room(std::size_t stream) const;
    [[nodiscard]] bool gives_way(std::size_t stream) const;
    [[nodiscard]] bool may_catch_up(std::size_t index, std::uint64_t frame_bytes, MonotonicNs now);
    [[nodiscard]] std::uint64_t bytes_to_read_back() const;
    [[nodiscard]] bool send_next(MonotonicNs now);
    void send_gap(std::size_t stream, Sequence before, MonotonicNs now);
    void send_batch(std::size_t stream, std::byte* batch, std::uint32_t batch_bytes, Unacked entry, Sending what,
                    MonotonicNs now);
    // uplink_memory.cpp: streams that live in memory
    [[nodiscard]] bool is_next_took_along(std::size_t stream) const;
    void give_up_took_along_late(std::size_t stream);
    [[nodiscard]] bool waits_to_be_given_up(std::size_t stream) const;
    void pass_known_kept(std::size_t stream, MonotonicNs now);
    [[nodiscard]] NextSend next_kept(std::size_t stream) const;
    void send_kept(std::size_t stream, MonotonicNs now);

    void make_way(std::size_t for_stream);
    void drop_memory(std::size_t stream);
    [[nodiscard]] bool may_ask_rows() const {
        return row_asks_ != nullptr && state_ == UplinkState::live && !is_leaving_ && !draining_;
    }
    void queue_control(wire::FrameKind kind, std::uint64_t number, ConstBytes body);
    void sent();
    void lose(MonotonicNs now, std::uint64_t pause_ms);
    void finish_closing(MonotonicNs now);
    void forget_session();

    io::Io& io_;
    std::uint8_t owner_;
    UplinkKinds kinds_;
    UplinkOptions options_;
    SpoolIdentity identity_;
    LaneTable& lanes_;
    SendTurns turns_;
    CatchUp catch_up_;
    BatchPool& pool_;
    IntakeNotes& notes_;
    SpoolCounters& counters_;
    EndpointPlan endpoints_;
    ReturnPlan return_;
    CentralProbe probe_;
    wire::CarryPool carry_pool_;
    wire::FrameSplitter splitter_;

    TableLink* tables_ = nullptr;
    RowAsks* row_asks_ = nullptr;
    MonotonicNs pumped_at_{};
    const Counter* rung_ = nullptr;
    std::uint64_t status_interval_ns_ = 0;  // 0: this session has not asked
    MonotonicNs status_at_{};               // the next one is due
    UplinkState state_ = UplinkState::waiting;
    io::Socket socket_{};
    std::uint16_t generation_ = 0;
    MonotonicNs retry_at_{};
    MonotonicNs heard_at_{};
    MonotonicNs pinged_at_{};
    std::uint64_t pause_ms_ = 0;
    std::uint64_t ping_number_ = 0;
    bool wants_checkpoint_ = false;
    bool is_over_ = false;  // the peer's frames ended the session
    std::uint64_t over_pause_ms_ = 0;
    bool gap_refused_ = false;  // the last session ended so; set back by an ack

    Sending sending_ = Sending::nothing;
    std::uint64_t credit_bytes_ = 0;
    std::uint64_t sent_bytes_ = 0;
    std::vector<std::byte> control_waiting_;
    std::vector<std::byte> control_sending_;
    std::size_t sending_stream_ = 0;
    Position sending_from_{};  // of a kept batch
    std::vector<Stream> streams_;
    std::vector<std::size_t> lane_of_;  // by stream: its place in lane_credit_, that of the lane's first stream
    std::vector<LaneCredit> lane_credit_;
    std::vector<NextSend> next_;  // of the present turn
    std::size_t reader_turn_ = 0;
    CatchUpWindow window_;
    CatchUpPace pace_;
    MonotonicNs paced_until_ = never;  // something waits for its pace
    Links<DurableBatch> memory_;
    Links<Unacked> unacked_;
    std::optional<std::size_t> central_;  // of this session, in LaneTable::centrals(); none: it says no identity

    std::optional<std::size_t> last_endpoint_;  // of the last session that was agreed
    bool is_leaving_ = false;                   // for a more preferred central: nothing new is sent
    MonotonicNs leave_until_{};
    bool draining_ = false;
    bool goodbye_queued_ = false;
    MonotonicNs drain_until_{};
};

}  // namespace weir::edge
