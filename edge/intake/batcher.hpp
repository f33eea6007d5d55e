// Batcher: one open batch per lane, filled frame by frame, sealed, and handed to the spool.
//
// A lane is known by the index of its first stream; its open batch is of the stream that `opens_in` named last, and carries that part.
//
// Thread    Intake runner.
// Ownership Buffers from the pool until they are published; then again when their return note has come.
// Pressure  reserve() says of one lane whether a whole vector can be taken into it; what the ring does not take now waits here, in order.
// Law       A frame is copied once, from where it was received to where it is written from. Sequences have no hole.
// Bounds    As many batches as the pool has buffers, and of one lane as many as BufferShares leaves it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/journal/writer.hpp"
#include "core/pipeline/doorbell.hpp"
#include "edge/config.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "edge/intake/buffer_shares.hpp"
#include "edge/intake/event_vector.hpp"
#include "edge/intake/judgement.hpp"
#include "edge/stream_segments.hpp"

namespace weir::edge {

// Closed and not durable yet: above either nothing is taken. Whatever comes now, from whichever producer, waits behind these, so they are
// as many as keep the disk busy while intake makes the next ones, and no more: the rest of the buffers is the uplink's. Of full ones
// that is one more than a journal writes at once; with twice as many as it writes a flood got about 6 % more, and the p99 beside it was
// three times as long. Short ones, of several lanes, are held up by their count only. Where even so many make a queue longer than
// spool.disk_queue_us they are fewer, and shorter: disk_window_parts in the window that keeps it short.
inline constexpr std::uint32_t queued_batches_max = 2 * journal::writes_in_flight_max;
inline constexpr std::uint64_t queued_bytes_max = (journal::writes_in_flight_max + 1) * (256ULL << 10);
static_assert(2 * queued_batches_max <= batches_of_segment);
inline constexpr std::uint32_t disk_window_parts = 4;
// A window of the least bytes still fills the disk: 64 KiB in flight twice.
inline constexpr std::uint64_t disk_window_bytes_min = 128U << 10;
inline constexpr std::uint64_t disk_window_bytes_max = queued_bytes_max;
static_assert(disk_window_bytes_max >= 2 * disk_window_bytes_min);

struct Placed {
    StreamIndex stream = 0;
    Sequence sequence = 0;
    Sequence batch = 0;  // first sequence of the batch it lies in
};

// A batch of a backlog part is open so long at least: nobody waits for it at central, and each costs a write now and a read later.
inline constexpr std::uint64_t backlog_linger_ns = 2 * ns_per_ms;

class Batcher {
  public:
    struct Parts {
        const EdgeConfig& config;
        const SpoolIdentity& identity;
        const std::vector<LaneState>& streams;
        BatchPool& pool;
        RingWriter<ToSpool> to_spool;
        Doorbell& spool_doorbell;
        IntakeCounters& counters;
    };
    explicit Batcher(Parts parts);

    // A closed batch.
    struct Closed {
        Sequence last_sequence = 0;
        std::uint32_t bytes = 0;
        MonotonicNs at{};
    };

    // Before the first append of a duty cycle.
    void set_time(MonotonicNs now, WallNs wall) {
        now_ = now;
        wall_ = wall;
        clock_ = now;
    }
    // Before the first append of a vector: when it was judged (edge/hops.hpp).
    void set_judged(MonotonicNs at) { clock_ = at; }
    // A vector begins that needs so much, and fits one empty batch. What the one before had reserved is free again.
    void begin_vector(std::uint64_t bytes, std::uint32_t events) noexcept;
    // True: all of the vector may be appended to `lane`, whatever else of it is appended elsewhere.
    [[nodiscard]] bool reserve(std::uint8_t lane) noexcept;
    // Whether reserve() of a vector as large as there is would say so now.
    [[nodiscard]] bool has_room(std::uint8_t lane) const noexcept;
    // `tag`: the numbered producer's slot + 1, or 0.
    [[nodiscard]] Placed append(std::uint8_t lane, const EventRef& event, std::uint16_t tag) noexcept;
    // Events that lie one behind the other, unedited: one copy. Where the last of them lies. Precondition: they
    // fit open_room().
    [[nodiscard]] Placed append_row(std::uint8_t lane, std::span<const EventRef> events, std::uint16_t tag) noexcept;
    // What fits into the lane's batch that is open now; nothing where none is.
    struct Room {
        std::uint64_t bytes = 0;
        std::uint32_t events = 0;
    };
    [[nodiscard]] Room open_room(std::uint8_t lane) const noexcept {
        const Stream& stream = streams_[streams_[lane].opens_in];
        if (stream.buffer == none) return {};
        return {batch_body_capacity - stream.body_bytes, wire::batch_events_max - stream.count};
    }
    [[nodiscard]] Placed append_dead_letter(const EventRef& event, std::uint16_t tag,
                                            std::string_view producer) noexcept;
    // An event for `lane` was shed before it got a sequence.
    void note_shed(std::uint8_t lane) noexcept;
    // So many of the stream's sequences were shed since its lineage began.
    void note_shed_sequences(StreamIndex stream, std::uint64_t shed_events) noexcept;
    // Closes the batches that are full: after each vector, so that none is longer than its lane's by more than a vector.
    void close_full() noexcept;
    // Closes the batches that are full or whose linger is over; and if `is_idle` those that linger for nothing.
    void close_due(bool is_idle) noexcept;
    void close_all() noexcept;
    // Batches that are opened from now on belong to `stream`, which is one of its lane's parts. Closes what is open of the other.
    void open_in(StreamIndex stream) noexcept;
    // From the next batch on. Closes what is open: each batch carries the digest of the configuration that made it.
    void configure(const std::vector<BatchLimits>& limits, std::uint64_t digest) noexcept;
    // No batch is closed for its age alone before it is so old: on top of each lane's own linger.
    void linger_at_least(std::uint64_t ns) noexcept { linger_ns_min_ = ns; }
    // The most batch buffers that were free at one time since the last call, in percent of all.
    [[nodiscard]] std::uint64_t take_buffers_free_percent() noexcept;
    void cover(StreamIndex stream, Position position) noexcept;
    // Publishes what is closed; returns how many notes went.
    std::size_t flush() noexcept;

    void give_back(std::uint32_t buffer) noexcept;
    // `told(Closed)` of each batch that is durable now and was not before.
    template <class Told>
    void durable(StreamIndex index, Sequence last_sequence, Told&& told) noexcept {
        Stream& stream = streams_[index];
        WEIR_ASSERT(last_sequence <= stream.last_sequence);
        stream.durable = std::max(stream.durable, last_sequence);
        while (stream.in_flight_head != none) {
            const InFlight& oldest = in_flight_[stream.in_flight_head];
            if (oldest.closed.last_sequence > stream.durable) break;
            stream.in_flight_head = oldest.next;
            stream.in_flight_bytes -= oldest.closed.bytes;
            --stream.in_flight_count;
            told(oldest.closed);
        }
        if (stream.in_flight_head == none) stream.in_flight_tail = none;
    }

    [[nodiscard]] std::uint8_t dead_lane() const { return dead_lane_; }
    [[nodiscard]] std::size_t lanes() const { return streams_.size(); }  // streams
    // The lane that a stream is a part of: the index of its first stream.
    [[nodiscard]] std::uint8_t lane_of(StreamIndex stream) const { return streams_[stream].lane; }
    [[nodiscard]] StreamIndex opens_in(std::uint8_t lane) const { return streams_[lane].opens_in; }
    [[nodiscard]] Sequence last_sequence(StreamIndex stream) const { return streams_[stream].last_sequence; }
    [[nodiscard]] Sequence durable_sequence(StreamIndex stream) const { return streams_[stream].durable; }
    // Its batches that are closed and not durable, and their bytes.
    [[nodiscard]] std::uint32_t in_flight(StreamIndex stream) const { return streams_[stream].in_flight_count; }
    [[nodiscard]] std::uint64_t in_flight_bytes(StreamIndex stream) const { return streams_[stream].in_flight_bytes; }
    // No batch is filled further than this, whatever its lane's bound is.
    void fill_at_most(std::uint64_t bytes) noexcept { fill_bytes_max_ = bytes; }
    [[nodiscard]] bool has_unpublished() const { return closed_count_ > 0 || to_cover_ > 0; }
    [[nodiscard]] bool is_all_durable() const noexcept;
    [[nodiscard]] MonotonicNs next_deadline() const noexcept;
    [[nodiscard]] std::uint64_t copied_bytes() const { return copied_bytes_; }

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct Stream {
        LaneId id = 0;
        wire::Part part = wire::Part::live;
        std::array<char, wire::lane_name_bytes_max> name{};
        std::uint8_t lane = 0;     // index of the lane's first stream
        StreamIndex opens_in = 0;  // of a lane's first stream: where its next batch opens
        std::uint32_t batch_bytes = 0;
        std::uint64_t block_end_bytes = 0;  // of a body that fills the block in which it has batch_bytes
        std::uint32_t batch_events = 0;
        std::uint64_t linger_ns = 0;
        Sequence last_sequence = 0;  // given out
        Sequence durable = 0;
        std::uint32_t previous_crc = 0;
        wire::LedgerTotals totals;           // what recovery found; the stream's own terms go on from there
        std::uint64_t shed_unsequenced = 0;  // of its lineage, as far as a crash did not forget them
        std::uint64_t shed_sequences = 0;
        std::uint32_t buffer = none;
        std::uint32_t body_bytes = 0;
        std::uint32_t count = 0;
        MonotonicNs opened_at{};
        MomentRows<batch_rows> judged;  // its events
        // Batches closed and not durable, oldest first, by buffer.
        std::uint32_t in_flight_head = none;
        std::uint32_t in_flight_tail = none;
        std::uint32_t in_flight_count = 0;
        std::uint64_t in_flight_bytes = 0;
    };
    struct InFlight {  // index: buffer
        Closed closed;
        std::uint32_t next = none;
    };

    [[nodiscard]] static bool fits(const Stream& stream, std::uint64_t bytes, std::uint32_t events) noexcept;
    [[nodiscard]] Bytes claim(Stream& stream, std::uint64_t bytes) noexcept;
    [[nodiscard]] Placed append_edited(Stream& stream, const EventRef& event, std::uint16_t tag) noexcept;
    [[nodiscard]] Placed placed(Stream& stream, std::uint64_t bytes, std::uint32_t events = 1) noexcept;
    void close(StreamIndex stream) noexcept;
    [[nodiscard]] MonotonicNs due_at(const Stream& stream) const noexcept;
    void note_in_flight(Stream& stream) noexcept;
    // The block in which a batch gets its bytes is written in any case: it is full when that has no room for another event like its others, or
    // when the buffer has none.
    [[nodiscard]] bool is_full(const Stream& stream) const {
        if (stream.body_bytes >= fill_bytes_max_ || stream.count >= stream.batch_events) return true;
        const std::uint64_t with_next = stream.body_bytes + stream.body_bytes / std::max(stream.count, 1U);
        return with_next > batch_body_capacity ||
               (stream.body_bytes >= stream.batch_bytes && with_next > stream.block_end_bytes);
    }
    [[nodiscard]] std::uint64_t linger_ns(const Stream& stream) const {
        return std::max(stream.linger_ns, linger_ns_min_);
    }
    [[nodiscard]] wire::LedgerTotals totals_of(const Stream& stream) const noexcept;

    SpoolIdentity identity_;
    BatchPool& pool_;
    RingWriter<ToSpool> to_spool_;
    Doorbell& doorbell_;
    IntakeCounters& counters_;
    std::vector<Stream> streams_;
    std::uint8_t dead_lane_ = 0;
    std::vector<std::uint32_t> free_;
    BufferShares shares_;
    std::vector<std::uint8_t> lane_of_buffer_;
    // Of the vector under way:
    std::uint64_t vector_bytes_ = 0;
    std::uint32_t vector_events_ = 0;
    std::uint64_t reserved_lanes_ = 0;    // one bit each: asked, and may take it all
    std::uint64_t refused_lanes_ = 0;     // asked, and may not
    std::uint32_t reserved_buffers_ = 0;  // of those free
    std::vector<ToSpool> closed_;         // a ring of pool.count(): sealed, not yet published
    std::uint32_t closed_head_ = 0;
    std::uint32_t closed_count_ = 0;
    std::vector<InFlight> in_flight_;
    std::vector<Position> covered_;  // of each stream; 0: nothing to say
    std::size_t to_cover_ = 0;       // streams with something to say
    MonotonicNs now_{};
    MonotonicNs clock_{};  // read last
    WallNs wall_{};
    std::uint64_t linger_ns_min_ = 0;
    std::uint64_t fill_bytes_max_ = UINT64_MAX;
    std::size_t free_most_ = 0;
    std::uint64_t copied_bytes_ = 0;
};

}  // namespace weir::edge
