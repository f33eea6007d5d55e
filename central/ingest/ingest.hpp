// Ingest: takes batches from many edges, keeps each once, and acks what is durable.
//
//   slot ─▶ frame ─▶ check_batch, every event verified ─▶ fence, sequence, chain ─▶ write group ─▶ durable ─▶ ack, credit
//
// Thread    The "ingest" runner. IngestShared is read by anyone.
// Ownership Received slots are held until their last frame has been taken; a batch is copied once, into a write group.
// Pressure  No free write group: frames stay in their slots and the peer's receiving pauses. Nothing is dropped.
// Law       An ack names only what is durable. received == appended + duplicates + rejected for every position.
// Bounds    connections_max sessions, one carry buffer each; lanes_max lanes for each; nothing is allocated after start.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "central/config.hpp"
#include "central/ingest/group_journal.hpp"
#include "central/ingest/positions.hpp"
#include "central/recovery/recovery.hpp"
#include "central/tables/table_sender.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/pipeline/runner.hpp"
#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"

namespace weir::central {

// What other threads may see of ingest. Outlives it.
struct IngestShared {
    explicit IngestShared(const CentralConfig& config)
        : positions(config.limits.positions_max, config.limits.edges_max) {}
    PositionTable positions;
    std::array<Counter, 16> refusals;  // by RefusalReason
    Counter connections, accepted, batches, batch_bytes, groups, written_bytes, ticks;
    Counter checkpoints, checkpoints_skipped, checkpoint_errno;
    Counter poison_errno, paused;
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
    };
    IngestStage(io::Io& io, const CentralConfig& config, const Recovered& recovered, Stores stores,
                IngestShared& shared);
    ~IngestStage() override;
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
    static constexpr std::size_t out_bytes_max = 4096;
    static constexpr std::uint64_t linger_ns_max = ns_per_second;
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
    };
    struct Held {
        std::uint32_t next = io::no_slot;
        ConstBytes rest;
    };
    struct Session {
        explicit Session(wire::CarryPool& pool) : splitter(pool) {}
        wire::FrameSplitter splitter;
        io::Socket socket;
        State state = State::unused;
        std::uint16_t generation = 0;
        bool is_sending = false;
        bool is_paused = false;
        bool is_ready = false;    // in ready_
        bool is_blocked = false;  // a frame waits for a write group
        bool wants_welcome = false, wants_credit = false, wants_pong = false, wants_ping = false;
        bool wants_refusal = false, wants_goodbye = false, wants_ack = false;
        wire::Refusal refusal;
        std::uint64_t pong_number = 0;
        MonotonicNs since{};  // of this state
        MonotonicNs heard{};
        std::uint32_t held_head = io::no_slot;
        std::uint32_t held_tail = io::no_slot;
        wire::EdgeHello hello;
        std::uint32_t edge = no_row;
        std::uint64_t credit_bytes = 0;
        std::uint64_t used_bytes = 0;
        std::uint32_t lane_count = 0;
        std::array<SessionLane, lanes_max> lanes{};
        alignas(8) std::array<std::byte, out_bytes_max> out{};
    };

    void on_accept(const io::Completion& completion, MonotonicNs now);
    void on_receive(const io::Completion& completion, MonotonicNs now);
    void on_send(const io::Completion& completion);

    std::size_t take_frames(std::uint32_t index, MonotonicNs now);
    [[nodiscard]] bool take_frame(std::uint32_t index, const wire::FrameHeader& header, ConstBytes frame,
                                  MonotonicNs now);
    void take_hello(std::uint32_t index, ConstBytes body);
    [[nodiscard]] bool take_batch(std::uint32_t index, ConstBytes body);
    [[nodiscard]] SessionLane* lane_of(Session& session, LaneId lane, wire::Part part);
    [[nodiscard]] bool verify_events(ConstBytes batch, const wire::BatchHeader& header, const char*& why) const;

    void refuse(Session& session, wire::RefusalReason reason, std::string_view detail);
    void close_session(Session& session);
    void free_session(Session& session);
    void release_held(Session& session);
    void make_ready(std::uint32_t index);

    std::size_t commit(MonotonicNs now);
    void release_letters();
    void note_durable(const Touch& touch);
    void send_pending(std::uint32_t index);
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
    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<std::uint32_t> unused_;
    std::vector<std::uint32_t> ready_;
    std::vector<std::uint32_t> working_;
    std::vector<std::uint32_t> outgoing_;  // sessions with something to say
    std::vector<Held> held_;               // by slot
    std::vector<io::Socket> listeners_;
    std::uint32_t live_sessions_ = 0;
    MonotonicNs next_sweep_{};
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
