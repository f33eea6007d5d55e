// Ingest: takes batches from many edges, keeps each once, and acks what is durable.
//
//   slot ─▶ frame ─▶ check_batch ─▶ fence, sequence, chain ─▶ every event verified ─▶ write group ─▶ durable ─▶ ack, credit
//
// An event that cannot be verified is set aside where it is: its batch is kept unchanged, and it counts as dead-lettered.
//
// Thread    The "ingest" runner. IngestShared is read by anyone.
// Ownership Received slots are held until their last frame has been taken; a batch is copied once, into a write group.
// Pressure  No free write group: frames stay in their slots and the peer's receiving pauses. Nothing is dropped. A journal that
//           cannot be written, or has no next file for stuck_ns, no longer holds up a connection that also has lanes of the other
//           one: its lanes are granted nothing, what arrives of them is set aside unread, and sent again in a new session.
// Law       An ack names only what is durable. received == appended + duplicates + rejected for every position.
// Bounds    connections_max sessions, lanes_max lanes for each, limits.turn_bytes of a session before it is another's turn;
//           carries_max buffers for frames cut by a slot's end, and a stash of a slot's size for each session: who needs a
//           buffer and gets none waits, in order. Nothing is allocated after start.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "central/config.hpp"
#include "central/ingest/credit.hpp"
#include "central/ingest/edge_quota.hpp"
#include "central/ingest/group_journal.hpp"
#include "central/ingest/hello_pace.hpp"
#include "central/ingest/hops.hpp"
#include "central/ingest/lane_holds.hpp"
#include "central/ingest/positions.hpp"
#include "central/recovery/recovery.hpp"
#include "central/tables/table_sender.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/pipeline/runner.hpp"
#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"
#include "core/wire/status.hpp"

namespace weir::central {

// What other threads may see of ingest. Outlives it.
struct IngestShared {
    explicit IngestShared(const CentralConfig& config)
        : positions(config.limits.positions_max, config.limits.edges_max),
          quota({.journal_bytes_max = config.limits.edge_journal_bytes_max,
                 .letters_bytes_max = config.limits.edge_letters_bytes_max,
                 .letters_ns = config.dead_letters.keep_s * ns_per_second,
                 .granted_bytes_max = std::max(config.listen.credit_bytes, credit_floor_bytes),
                 .edges_max = config.limits.edges_max}),
          lane_bounds(config.lanes) {
        const auto is_letters = [](const auto& bound) { return bound.name == dead_letter_lane_name; };
        if (std::none_of(lane_bounds.begin(), lane_bounds.end(), is_letters)) {
            lane_bounds.push_back({std::string(dead_letter_lane_name), letters_credit_bytes(config)});
        }
    }
    PositionTable positions;
    EdgeQuota quota;
    std::vector<CentralConfig::LaneBound> lane_bounds;  // never changed
    std::array<Counter, 16> refusals;                   // by RefusalReason
    Counter connections, accepted, batches, batch_bytes, groups, written_bytes, ticks;
    Counter checkpoints, checkpoints_skipped, checkpoint_errno;
    Counter poison_errno, paused;
    Counter letters_errno;  // why dead letters cannot be written; 0 when they can
    Counter carry_waits, credit_on_the_way_max,
        turns;                             // waits for a carry buffer; bytes; turns that ended at turn_bytes
    Counter set_aside, stuck_lanes_freed;  // batches; sessions ended so that their lanes go on
    Counter statuses;                      // of edges, taken
    CentralHops hops;
    LaneHolds holds;     // by the admin port
    Counter full_errno;  // why the next segment cannot be made that a group waits for; 0 when none does
    // Release by ingest after durability, acquire by the reader.
    std::atomic<std::uint64_t> durable_position{0};
    // Of the dead-letter journal. Release by ingest after durability, acquire by the retention; and the other way round.
    std::atomic<std::uint64_t> letters_durable{0};
    std::atomic<std::uint64_t> letters_kept_from{0};           // segments before this position may go
    Counter letters_expired, letters_bytes, letters_failures;  // by the control thread
    TableBookSlot tables;
    TableSendCounters table_counters;
    std::vector<std::string> addresses;  // bound; written before start() returns
};

class IngestStage final : public Stage {
  public:
    struct Stores {
        journal::SegmentStore& journal;
        journal::SegmentStore& dead_letters;
        journal::RecentBytes* recent = nullptr;  // of the journal of events, for those who follow it
    };
    IngestStage(io::Io& io, const CentralConfig& config, const Recovered& recovered, Stores stores,
                IngestShared& shared);
    ~IngestStage() override;
    // All memory that load makes it use has its pages then (core/base/touch.hpp).
    void touch() const;
    // Opens the journals and listens. Blocking, before the first cycle.
    [[nodiscard]] Status open(std::uint8_t owner);

    [[nodiscard]] std::size_t do_work(MonotonicNs now) override;
    [[nodiscard]] bool has_input() const override { return false; }
    [[nodiscard]] MonotonicNs next_deadline() const override;
    void drain(MonotonicNs now) override;
    [[nodiscard]] bool is_drained() const override;
    void on_completion(const io::Completion& completion, MonotonicNs now) override;

  private:
    static constexpr std::uint32_t lanes_max = wire::hello_lanes_max;
    static constexpr std::size_t out_bytes_max = 5120;
    // A journal without its next file for so long is stuck: the longest that one lane holds up the others of its connection.
    static constexpr std::uint64_t stuck_ns = 200 * ns_per_ms;
    static constexpr std::uint64_t linger_ns_max = ns_per_second;
    // listen.silent_ms_max that what was sent may wait for the edge to read it: then it is closed. A slow link takes 72 KiB in less.
    static constexpr std::uint64_t silences_unread_max = 4;
    static constexpr std::uint64_t drain_ns_max = 5 * ns_per_second;
    static constexpr std::uint64_t sweep_ns = 50 * ns_per_ms;
    static constexpr std::uint64_t retry_ns = ns_per_ms;

    enum class Kind : std::uint8_t { listen, receive, send, journal, dead_letters, checkpoint };
    enum class State : std::uint8_t { unused, hello, live, refused, closing };
    struct SessionLane {
        std::uint32_t row = no_row;
        LaneId lane = 0;
        wire::Part part = wire::Part::live;
        bool wants_ack = false;
        std::uint8_t credit = 0;  // in Session::lane_credits
    };
    struct Held {
        std::uint32_t next = io::no_slot;
        ConstBytes rest;
        MonotonicNs received_at{};
    };
    struct Fault {
        wire::RefusalReason reason{};
        std::string_view why;
    };
    struct Session {
        explicit Session(wire::CarryPool& pool) : splitter(pool) {}
        wire::FrameSplitter splitter;
        io::Socket socket;
        State state = State::unused;
        std::uint32_t index = 0;  // in sessions_
        std::uint16_t generation = 0;
        bool is_sending = false;
        bool is_paused = false;
        bool is_ready = false;           // in ready_
        bool is_listed = false;          // in outgoing_
        bool is_blocked = false;         // a frame waits for a write group
        bool needs_carry = false;        // in carry_waiting_
        bool has_account = false;        // of share_
        bool has_both_journals = false;  // lanes of events and of dead letters
        bool wants_welcome = false, wants_credit = false, wants_pong = false, wants_ping = false;
        bool wants_refusal = false, wants_goodbye = false, wants_ack = false;
        bool has_more_credit = false;  // granted and not said
        bool may_say_status = false;   // it can, and is asked to with its welcome
        wire::Refusal refusal;
        std::uint64_t pong_number = 0;
        MonotonicNs since{};  // of this state
        MonotonicNs heard{};
        MonotonicNs sent{};  // began what is being sent
        std::uint32_t held_head = io::no_slot;
        std::uint32_t held_tail = io::no_slot;
        std::uint32_t held_count = 0;
        MonotonicNs half_sent_since{};  // of the frame in its carry buffer
        wire::EdgeHello hello;
        MonotonicNs received_at{};  // of the slot that was looked at last
        Moments received, durable;  // of the events whose ack is still to be said
        std::uint32_t edge = no_row;
        std::uint32_t quota = no_row;
        CreditAccount credit;
        std::uint32_t lane_count = 0;
        std::uint32_t credit_count = 0;
        std::array<SessionLane, lanes_max> lanes{};
        std::array<LaneCredit, lanes_max> lane_credits{};  // one for both parts of a lane
        alignas(8) std::array<std::byte, out_bytes_max> out{};
    };
    static_assert(sizeof(Session) <= session_bytes_max);
    // A journal, and whether it can take batches now.
    struct Gate {
        bool is_stuck = false;
        MonotonicNs waits_since{};  // for its next file, which could not be made
        bool is_waiting = false;
    };
    enum Target : std::size_t { events = 0, letters = 1 };

    void on_accept(const io::Completion& completion, MonotonicNs now);
    void on_receive(const io::Completion& completion, MonotonicNs now);
    void on_send(const io::Completion& completion);

    std::size_t take_frames(std::uint32_t index, MonotonicNs now);
    [[nodiscard]] bool take_frame(std::uint32_t index, const wire::FrameHeader& header, ConstBytes frame,
                                  MonotonicNs now);
    void take_hello(std::uint32_t index, ConstBytes body, MonotonicNs now);
    [[nodiscard]] static std::optional<Fault> fault_of(ConstBytes body, wire::EdgeHello& hello);
    [[nodiscard]] bool take_over(const Session& session, const wire::EdgeHello& hello);
    [[nodiscard]] std::optional<Fault> take_offers(std::uint32_t index, const wire::EdgeHello& hello,
                                                   ConstBytes offers);
    void begin_session(std::uint32_t index, const wire::EdgeHello& hello, std::uint32_t edge);
    [[nodiscard]] bool take_batch(std::uint32_t index, ConstBytes body);
    [[nodiscard]] SessionLane* lane_of(Session& session, LaneId lane, wire::Part part);
    SessionLane& add_lane(Session& session, LaneId lane, wire::Part part, const LaneName& name);
    void release_slot(Session& session);
    void settle_receiving(Session& session, bool is_turn_over);
    [[nodiscard]] std::size_t serve_carry_waits(MonotonicNs now);
    void leave_carry_queue(Session& session);
    void free_slots_of_waiters();

    // statuses.cpp: what edges say of themselves.
    [[nodiscard]] std::uint32_t take_offer(const PositionKey& key, const wire::LaneOffer& offer);
    void take_status(Session& session, ConstBytes body);
    void claim_row(Session& session, SessionLane& lane, const LaneName& name);

    // crediting.cpp: who may send how much.
    [[nodiscard]] std::uint64_t window_of(const LaneName& name) const;
    [[nodiscard]] GroupJournal& journal_of(LaneId lane) { return lane == dead_letter_lane ? dead_letters_ : journal_; }
    [[nodiscard]] bool is_closed(const Session& session, const LaneCredit& credit) const;
    void look_at_quota(Session& session, MonotonicNs now);
    void open_credit(Session& session);
    void close_credit(Session& session);
    void set_aside(Session& session, LaneCredit& credit, std::uint64_t frame_bytes);
    [[nodiscard]] bool may_welcome(Session& session);
    void give_back(Session& session, std::uint8_t lane_credit, std::uint64_t frame_bytes);
    void look_at_gates(MonotonicNs now);
    void judge_lanes(Session& session);
    [[nodiscard]] std::size_t put_lane_credits(Session& session, Bytes out);
    [[nodiscard]] bool is_any_poisoned() const {
        return shared_.poison_errno.get() != 0 || shared_.letters_errno.get() != 0;
    }

    void refuse(Session& session, wire::RefusalReason reason, std::string_view detail);
    void close_session(Session& session);
    void free_session(Session& session);
    void release_held(Session& session);
    void make_ready(std::uint32_t index);
    void speak(Session& session);  // it has something to say

    std::size_t commit(MonotonicNs now);
    void release_letters();
    void note_durable(const Touch& touch, MonotonicNs written_at, MonotonicNs now);
    void note_acked(Session& session);
    void send_pending(std::uint32_t index);
    [[nodiscard]] wire::LanePosition position_of(const SessionLane& lane) const;
    [[nodiscard]] std::size_t fill_out(Session& session);
    void sweep(MonotonicNs now);
    void tick(MonotonicNs now);
    void checkpoint(MonotonicNs now);
    void store_checkpoint(MonotonicNs now);
    [[nodiscard]] io::Token token(Kind kind, std::uint32_t index = 0, std::uint16_t generation = 0) const;

    io::Io& io_;
    const CentralConfig& config_;
    IngestShared& shared_;
    PositionTable& positions_;
    std::uint8_t owner_ = 0;
    std::uint64_t journal_id_;
    std::uint64_t dead_letters_id_;
    GroupJournal journal_;
    GroupJournal dead_letters_;
    journal::CheckpointFile checkpoint_file_;
    TableSender tables_;
    wire::CarryPool carries_;
    CreditShare share_;
    HelloPace hello_pace_;
    std::array<Gate, 2> gates_;
    std::uint64_t holds_version_ = 0;
    std::uint32_t held_slots_max_;  // of a session that is still received from
    std::uint32_t held_slots_ = 0;
    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<std::uint32_t> unused_;
    std::vector<std::uint32_t> ready_;
    std::vector<std::uint32_t> working_;
    std::vector<std::uint32_t> carry_waiting_;  // sessions, the longest first
    std::vector<std::uint32_t> outgoing_;       // sessions with something to say
    std::vector<std::uint32_t> speaking_;
    std::vector<Held> held_;  // by slot
    std::vector<io::Socket> listeners_;
    std::uint32_t live_sessions_ = 0;
    std::uint16_t life_ = 0;  // of this process, for edges that ask whether it is there; 0: none has asked
    MonotonicNs next_sweep_{};
    MonotonicNs clock_{};  // read last
    MonotonicNs last_append_{};
    std::uint64_t tick_count_ = 0;
    MonotonicNs next_checkpoint_{};
    std::vector<std::byte> packed_;
    bool is_packed_ = false;  // packed_ waits until its places are durable
    Position packed_journal_{}, packed_dead_letters_{};
    std::uint64_t letters_released_ = 0;
    std::uint64_t changes_ = 0;  // batches judged since the start
    std::uint64_t packed_changes_ = 0;
    bool is_draining_ = false;
    bool is_final_stored_ = false;
    MonotonicNs drain_deadline_{};
};

}  // namespace weir::central
