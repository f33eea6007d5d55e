// What passes between the edge's two runners, and the memory in which batches live.
//
//   intake runner  ── Ring<ToSpool> ──▶  spool runner      closed batches; what intake's own checkpoint covers
//   intake runner  ◀── Ring<ToIntake> ── spool runner      durable, delivered, buffer returns, how full and which part
//
// A *stream* is one part of one lane: what has a sequence, a chain and, in the spool, a journal of its own. A lane has one, but
// a live_first lane two, its live part and right behind it its backlog part. Both runners know streams by their index in the vector
// of LaneState with which they begin; the dead letters' is the last.
//
// Ownership A batch buffer belongs to intake from take() until it is published as a batch; to the spool until its return note
//           is published; then to intake again.
// Law       Batches of a stream reach its journal in the order in which they were published; between streams there is no order.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/base/touch.hpp"
#include "core/base/types.hpp"
#include "core/journal/record.hpp"
#include "core/ring/ring.hpp"
#include "core/wire/batch.hpp"

namespace weir::edge {

// One batch's memory: [RecordHeader 40][BatchHeader 200][body ...] padded with zeros to 4096: what is written is what was filled.
inline constexpr std::uint32_t batch_buffer_bytes = 65 * journal::block_bytes;
inline constexpr std::uint32_t batch_body_at = sizeof(journal::RecordHeader) + sizeof(wire::BatchHeader);
inline constexpr std::uint32_t batch_body_capacity = batch_buffer_bytes - batch_body_at;
// Written since the last checkpoints: above it they are written without waiting for their time, so that a start reads back
// no more than about this (and what was written meanwhile), whatever the rate was.
inline constexpr std::uint64_t read_back_bytes_max = 16ULL << 20;
// A checkpoint that would save a start less than either waits checkpoint_patience times as long as spool.checkpoint_ms: each is two
// or three blocks on the disk, which an edge with few events would write for next to nothing.
inline constexpr std::uint64_t checkpoint_worth_bytes = 256U << 10;
inline constexpr std::uint64_t checkpoint_worth_events = 4096;
inline constexpr std::uint64_t checkpoint_patience = 6;
static_assert(checkpoint_worth_bytes < read_back_bytes_max);
// A dead letter of the largest event fits an empty batch.
static_assert(batch_body_capacity >= wire::frame_bytes(wire::event_bytes_max + 80));

class BatchPool {
  public:
    explicit BatchPool(std::uint32_t count)
        : count_(count),
          memory_(static_cast<std::byte*>(
              std::aligned_alloc(journal::block_bytes, std::size_t{count} * batch_buffer_bytes))) {
        WEIR_ASSERT(memory_ != nullptr);
    }
    ~BatchPool() { std::free(memory_); }
    BatchPool(const BatchPool&) = delete;
    BatchPool& operator=(const BatchPool&) = delete;
    void touch() const { weir::touch(memory_, std::size_t{count_} * batch_buffer_bytes); }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] Bytes buffer(std::uint32_t index) {
        WEIR_ASSERT(index < count_);
        return {memory_ + std::size_t{index} * batch_buffer_bytes, batch_buffer_bytes};
    }

  private:
    std::uint32_t count_;
    std::byte* memory_;
};

using StreamIndex = std::uint8_t;
// ToIntake::fill of a stream that holds all it may.
inline constexpr std::uint8_t fill_full = 100;

struct ToSpool {
    enum class Kind : std::uint8_t {
        batch,    // sealed in `buffer`, padding to 4096 already zero
        covered,  // intake's checkpoint is on disk: it no longer needs records of `stream` before `position`
    };
    Kind kind = Kind::batch;
    StreamIndex stream = 0;
    std::uint32_t buffer = 0;
    std::uint32_t batch_bytes = 0;
    Position position{};
    // Of a batch.
    MonotonicNs due_at{};     // when it was to be closed; what it took from then on, it had to wait
    MonotonicNs closed_at{};  // edge/hops.hpp
};

struct ToIntake {
    enum class Kind : std::uint8_t {
        durable,  // `stream` up to `last_sequence` is on disk; `position` = end of its record group, in its own journal
        delivered,  // `stream` up to `last_sequence` is on central's disk, or named to it as a gap
        returned,   // `buffer` is intake's again
        poisoned,   // the spool's disk failed: nothing more will become durable
        opens_in,  // of a live_first lane: batches that are opened from now on belong to `stream`, the live or the backlog part
        filled,  // `stream` holds `fill` percent of what it may; at 100 intake takes nothing more for its lane (or sheds)
        // The spool gave up first_sequence .. last_sequence of `stream`, whole batches; none if last_sequence is 0. `shed_events` is all
        // that it has given up since its lineage began: less than it said before where central turned out to have some of it.
        shed,
    };
    Kind kind = Kind::durable;
    StreamIndex stream = 0;
    std::uint8_t fill = 0;  // 0 to 100
    std::uint32_t buffer = 0;
    Sequence first_sequence = 0;
    Sequence last_sequence = 0;
    Position position{};
    std::uint64_t shed_events = 0;
    MonotonicNs at{};  // of durable and delivered: when the spool learned it; 0: not just now
};

// What is known of a stream at start, from the checkpoint and its journal.
struct LaneState {
    LaneId id = 0;
    wire::Part part = wire::Part::live;
    std::string name;
    Sequence last_sequence = 0;       // durable in the spool
    Sequence delivered_sequence = 0;  // durable at central
    std::uint32_t previous_crc = 0;   // header_crc of the batch that ends with last_sequence
    wire::LedgerTotals totals;        // of that batch
    bool is_configured = false;       // false: only an older configuration had it; it is still drained
    bool in_memory = false;           // spool/memory_journal.hpp
    // Of one in memory: an earlier life ended with events that central may not have.
    bool has_lost_some = false;
};

struct SpoolIdentity {
    std::string edge_id;
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    std::uint64_t config_digest = 0;
};

}  // namespace weir::edge
