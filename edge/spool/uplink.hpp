// Uplink: the edge's session with a central: connects, agrees where to go on, sends durable batches in journal order within
// credit, and learns from acks what is delivered. A state machine on Io, given time by the spool stage.
//
//   waiting ─▶ connecting ─▶ greeting (hello sent) ─▶ live ─▶ (lost) closing ─▶ waiting
//
// Which central comes next is EndpointPlan's; whether a more preferred one is back is ReturnPlan's. To return, the session in hand
// sends nothing new, waits for its acks (drain_ms_max at most) and says goodbye. What was not acked is safe: the next
// central's welcome says where to go on.
//
// A batch comes from memory when everything before it has been handed to the session already; else it is read back from the
// journal. So the order is the journal's, whatever the session's fortune.
//
// Thread    Spool runner.
// Ownership A buffer taken by offer() is given back through IntakeNotes::returned when its send is done or the session ends.
// Pressure  Stops at central's credit, at unacked_max batches, and at one send under way.
// Law       Only durable batches leave. Per lane, sequences are sent without a hole: what the journal no longer has is named
//           by a gap batch first, and so is what only other, independent centrals have: that is not sent again (elsewhere).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/io/io.hpp"
#include "core/wire/splitter.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "edge/spool/central_probe.hpp"
#include "edge/spool/endpoint_plan.hpp"
#include "edge/spool/intake_notes.hpp"
#include "edge/spool/journal_reader.hpp"
#include "edge/spool/lane_table.hpp"
#include "edge/spool/return_plan.hpp"
#include "edge/tables/table_link.hpp"

namespace weir::edge {

inline constexpr std::uint32_t unacked_max = 1024;

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

// Where the spool is when the uplink begins.
struct SpoolExtent {
    Position kept_from{};    // records from here on can be read back
    Position delivered{};    // every record before is on central's disk
    Position durable_end{};  // of the last record
};

struct DurableBatch {
    std::uint32_t buffer = 0;
    std::uint32_t batch_bytes = 0;
    std::uint32_t lane_index = 0;
    Sequence first_sequence = 0;
    Sequence last_sequence = 0;
    Position end{};
};

class Uplink {
  public:
    Uplink(io::Io& io, std::uint8_t owner, UplinkKinds kinds, UplinkOptions options, const SpoolIdentity& identity,
           LaneTable& lanes, JournalReader& reader, BatchPool& pool, IntakeNotes& notes, SpoolCounters& counters,
           SpoolExtent extent);

    // Tables are offered to and taken by it; before the first do_work.
    void take_tables_for(TableLink& link) { tables_ = &link; }
    // A batch has become durable (in journal order). True: its buffer is the uplink's until it is returned.
    [[nodiscard]] bool offer(const DurableBatch& batch);
    [[nodiscard]] std::size_t do_work(MonotonicNs now);
    // True if the completion was one of the uplink's kinds.
    bool on_completion(const io::Completion& completion, MonotonicNs now);
    [[nodiscard]] MonotonicNs next_deadline() const;
    void drain(MonotonicNs now);
    [[nodiscard]] bool is_drained() const;

    // Every record before it is on central's disk.
    [[nodiscard]] Position delivered_position() const { return extent_.delivered; }
    // Records before it are about to be deleted.
    void set_kept_from(Position position) { extent_.kept_from = position; }
    [[nodiscard]] UplinkState state() const { return state_; }

  private:
    struct Unacked {
        std::uint32_t lane_index = 0;
        std::uint32_t gap_count = 0;        // > 0: a gap batch of what is lost
        std::uint32_t elsewhere_count = 0;  // > 0: one of what another central has
        Sequence last_sequence = 0;
        Position end{};
        MonotonicNs sent_at{};
    };
    enum class Sending : std::uint8_t { nothing, control, memory_batch, read_batch };

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
    void set_delivered(std::size_t lane_index, Sequence last_sequence);
    void retire_acked(MonotonicNs now);
    std::size_t pump(MonotonicNs now);
    [[nodiscard]] bool send_next_batch(MonotonicNs now);
    [[nodiscard]] bool may_send(std::uint64_t frame_bytes) const;
    [[nodiscard]] bool compare_with_central(std::size_t lane_index, Sequence at_central);
    [[nodiscard]] bool send_gap_before(std::size_t lane_index, Sequence first_sequence, MonotonicNs now);
    [[nodiscard]] bool send_tail_gaps(MonotonicNs now);
    void send_batch(std::byte* batch, std::uint32_t batch_bytes, Unacked entry, Sending what, MonotonicNs now);
    void queue_control(wire::FrameKind kind, std::uint64_t number, ConstBytes body);
    void sent(MonotonicNs now);
    void lose(MonotonicNs now, std::uint64_t pause_ms);
    void finish_closing(MonotonicNs now);
    void return_waiting();

    io::Io& io_;
    std::uint8_t owner_;
    UplinkKinds kinds_;
    UplinkOptions options_;
    SpoolIdentity identity_;
    LaneTable& lanes_;
    JournalReader& reader_;
    BatchPool& pool_;
    IntakeNotes& notes_;
    SpoolCounters& counters_;
    SpoolExtent extent_;
    EndpointPlan endpoints_;
    ReturnPlan return_;
    CentralProbe probe_;
    wire::CarryPool carry_pool_;
    wire::FrameSplitter splitter_;

    TableLink* tables_ = nullptr;
    UplinkState state_ = UplinkState::waiting;
    io::Socket socket_{};
    std::uint16_t generation_ = 0;
    MonotonicNs retry_at_{};
    MonotonicNs heard_at_{};
    MonotonicNs pinged_at_{};
    std::uint64_t pause_ms_ = 0;
    std::uint64_t ping_number_ = 0;
    bool is_over_ = false;  // the peer's frames ended the session
    std::uint64_t over_pause_ms_ = 0;
    bool gap_refused_ = false;  // the last session ended so; set back by an ack

    Sending sending_ = Sending::nothing;
    std::uint64_t credit_bytes_ = 0;
    std::uint64_t sent_bytes_ = 0;
    std::vector<std::byte> control_waiting_;
    std::vector<std::byte> control_sending_;
    std::vector<DurableBatch> memory_;  // a ring of memory_max
    std::size_t memory_head_ = 0;
    std::size_t memory_count_ = 0;
    std::vector<Unacked> unacked_;  // a ring of unacked_max
    std::size_t unacked_head_ = 0;
    std::size_t unacked_count_ = 0;
    bool tail_gaps_sent_ = false;
    std::optional<std::size_t> central_;  // of this session, in LaneTable::centrals(); none: it says no identity

    std::optional<std::size_t> last_endpoint_;  // of the last session that was agreed
    bool is_leaving_ = false;                   // for a more preferred central: nothing new is sent
    MonotonicNs leave_until_{};
    bool draining_ = false;
    bool goodbye_queued_ = false;
    MonotonicNs drain_until_{};
};

}  // namespace weir::edge
