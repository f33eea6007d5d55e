// Batcher: one open batch per lane, filled frame by frame, sealed, and handed to the spool.
//
// Thread    Intake runner.
// Ownership Buffers from the pool until they are published; then again when their return note has come.
// Pressure  has_room() says whether a whole vector can be taken; what the ring does not take now waits here, in order.
// Law       A frame is copied once, from where it was received to where it is written from. Sequences have no hole.
// Bounds    As many batches as the pool has buffers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/pipeline/doorbell.hpp"
#include "edge/config.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "edge/intake/event_vector.hpp"
#include "edge/intake/judgement.hpp"

namespace weir::edge {

struct Placed {
    Sequence sequence = 0;
    Sequence batch = 0;  // first sequence of the batch it lies in
};

class Batcher {
  public:
    struct Parts {
        const EdgeConfig& config;
        const SpoolIdentity& identity;
        const std::vector<LaneState>& lanes;
        BatchPool& pool;
        RingWriter<ToSpool> to_spool;
        Doorbell& spool_doorbell;
        IntakeCounters& counters;
    };
    explicit Batcher(Parts parts);

    // Before the first append of a duty cycle.
    void set_time(MonotonicNs now, WallNs wall) {
        now_ = now;
        wall_ = wall;
    }
    [[nodiscard]] bool has_room(std::uint64_t bytes, std::uint32_t events) const noexcept;
    // `tag`: the numbered producer's slot + 1, or 0.
    [[nodiscard]] Placed append(std::uint8_t lane, const EventRef& event, std::uint16_t tag) noexcept;
    [[nodiscard]] Placed append_dead_letter(const EventRef& event, std::uint16_t tag,
                                            std::string_view producer) noexcept;
    // Closes the batches that are full or whose linger is over; and if `is_idle` those that linger for nothing.
    void close_due(bool is_idle) noexcept;
    void close_all() noexcept;
    // From the next batch on. Closes what is open: each batch carries the digest of the configuration that made it.
    void configure(const std::vector<BatchLimits>& limits, std::uint64_t digest) noexcept;
    void cover(StreamIndex stream, Position position) noexcept;
    // Publishes what is closed; returns how many notes went.
    std::size_t flush() noexcept;

    void give_back(std::uint32_t buffer) noexcept;
    void durable(std::uint8_t lane, Sequence last_sequence) noexcept;

    [[nodiscard]] std::uint8_t dead_lane() const { return dead_lane_; }
    [[nodiscard]] std::size_t lanes() const { return lanes_.size(); }
    [[nodiscard]] Sequence last_sequence(std::uint8_t lane) const { return lanes_[lane].last_sequence; }
    [[nodiscard]] Sequence durable_sequence(std::uint8_t lane) const { return lanes_[lane].durable; }
    [[nodiscard]] bool has_open() const noexcept;
    [[nodiscard]] bool has_unpublished() const { return closed_count_ > 0 || to_cover_ > 0; }
    [[nodiscard]] bool is_all_durable() const noexcept;
    [[nodiscard]] std::uint32_t in_flight() const { return in_flight_count_; }
    [[nodiscard]] MonotonicNs next_deadline() const noexcept;
    [[nodiscard]] std::uint64_t copied_bytes() const { return copied_bytes_; }

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct Lane {
        LaneId id = 0;
        std::array<char, wire::lane_name_bytes_max> name{};
        bool is_configured = false;
        std::uint32_t batch_bytes = 0;
        std::uint32_t batch_events = 0;
        std::uint64_t linger_ns = 0;
        Sequence last_sequence = 0;  // given out
        Sequence durable = 0;
        std::uint32_t previous_crc = 0;
        wire::LedgerTotals totals;  // what recovery found; the lane's own terms go on from there
        std::uint32_t buffer = none;
        std::uint32_t body_bytes = 0;
        std::uint32_t count = 0;
        MonotonicNs opened_at{};
    };
    struct InFlight {
        std::uint8_t lane = 0;
        Sequence last_sequence = 0;
    };

    [[nodiscard]] bool fits(const Lane& lane, std::uint64_t bytes, std::uint32_t events) const noexcept;
    [[nodiscard]] Bytes claim(Lane& lane, std::uint64_t bytes) noexcept;
    [[nodiscard]] Placed placed(Lane& lane, std::uint64_t bytes) noexcept;
    void close(std::uint8_t lane) noexcept;
    [[nodiscard]] wire::LedgerTotals totals_of(const Lane& lane) const noexcept;

    SpoolIdentity identity_;
    BatchPool& pool_;
    RingWriter<ToSpool> to_spool_;
    Doorbell& doorbell_;
    IntakeCounters& counters_;
    std::vector<Lane> lanes_;
    std::uint8_t dead_lane_ = 0;
    std::vector<std::uint32_t> free_;
    std::vector<ToSpool> closed_;  // a ring of pool.count(): sealed, not yet published
    std::uint32_t closed_head_ = 0;
    std::uint32_t closed_count_ = 0;
    std::vector<InFlight> in_flight_;  // pool.count() places: closed, not yet durable
    std::uint32_t in_flight_count_ = 0;
    std::vector<Position> covered_;  // of each stream; 0: nothing to say
    std::size_t to_cover_ = 0;       // streams with something to say
    MonotonicNs now_{};
    WallNs wall_{};
    std::uint64_t copied_bytes_ = 0;
};

}  // namespace weir::edge
