// PositionTable: what central holds of every (edge, lineage, lane, part): how far, which chain, and the account.
//
// Thread    One writer (ingest; recovery before it starts). Anyone may read the keys and counters of rows below
//           row_count(): they are written before the row is published.
// Bounds    `rows_max` rows and `edges_max` edge lineages, allocated at construction; nothing is allocated later.
// Law       received == appended + duplicates + rejected for each row; dead_lettered is a part of appended.
#pragma once

#include <array>
#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/types.hpp"
#include "core/metrics/counter.hpp"
#include "core/wire/batch.hpp"

namespace weir::central {

using EdgeName = std::array<char, wire::edge_id_bytes_max>;
using LaneName = std::array<char, wire::lane_name_bytes_max>;

inline constexpr std::uint32_t no_row = UINT32_MAX;
inline constexpr std::uint32_t no_session = UINT32_MAX;

struct PositionKey {
    EdgeName edge{};
    std::uint64_t lineage = 0;
    LaneId lane = 0;
    wire::Part part = wire::Part::live;
    bool operator==(const PositionKey&) const = default;
};

struct EdgeKey {
    EdgeName edge{};
    std::uint64_t lineage = 0;
    bool operator==(const EdgeKey&) const = default;
};

struct PositionRow {
    // What every batch is judged by; ingest's alone.
    struct alignas(64) Hot {
        Sequence last_sequence = 0;  // taken into a write group, durable or not yet
        Sequence durable_sequence = 0;
        std::uint64_t epoch = 0;         // of the last batch
        std::uint32_t previous_crc = 0;  // header_crc of the last batch
        std::uint32_t session = no_session;
        std::uint32_t session_lane = 0;
        bool is_after_gap = false;  // the last batch was a gap: the next one's chain cannot be known
    } hot;
    static_assert(sizeof(Hot) == 64);
    PositionKey key;
    LaneName lane_name{};
    // Events; the durable sequence. Dead-lettered: by the edge, on the lane of those; else what ingest could not verify.
    Counter received, appended, duplicates, rejected, dead_lettered, last_sequence;
    Counter stored_bytes;    // of its batches in the journal
    Counter gap, elsewhere;  // sequences that the edge named lost, or delivered to another central
    // As the edge has said last, since the start: durable there; bytes of its spool that were not acked then; wire::LaneClass + 1,
    // 0: not said.
    Counter edge_sequence, edge_held_bytes, lane_class;
    // Sequences that the edge is known to have and central has not; 0 where the edge has said nothing (EdgeRow::held_wall_ns).
    [[nodiscard]] std::uint64_t held() const {
        const std::uint64_t here = last_sequence.get(), there = edge_sequence.get();
        return there > here ? there - here : 0;
    }
};

// One lineage of an edge, for the fence and for people.
struct EdgeRow {
    EdgeKey key;
    Counter epoch;  // newest known
    Counter connected;
    Counter connections;
    Counter last_seen_wall_ns;
    // When it last said what it has, in its hello or in a status; and when in a status. By central's clock; 0: not since the start.
    Counter held_wall_ns, status_wall_ns;
    Counter clock_ahead_ns;  // of the last status: its clock less central's when it came, as a two's complement
    Counter rung;            // of the last status: wire::Rung + 1; 0: not said
};

enum class Judgement : std::uint8_t { append, duplicate, gap, diverged };

class PositionTable {
  public:
    PositionTable(std::uint32_t rows_max, std::uint32_t edges_max);

    [[nodiscard]] std::uint32_t find(const PositionKey& key) const;
    // Finds or makes; no_row when the table is full.
    [[nodiscard]] std::uint32_t claim(const PositionKey& key, const LaneName& lane_name);
    [[nodiscard]] PositionRow& row(std::uint32_t index) { return rows_[index]; }
    [[nodiscard]] const PositionRow& row(std::uint32_t index) const { return rows_[index]; }
    [[nodiscard]] std::uint32_t row_count() const { return row_count_.load(std::memory_order_acquire); }

    [[nodiscard]] std::uint32_t claim_edge(const EdgeKey& key);
    [[nodiscard]] EdgeRow& edge(std::uint32_t index) { return edges_[index]; }
    [[nodiscard]] const EdgeRow& edge(std::uint32_t index) const { return edges_[index]; }
    [[nodiscard]] std::uint32_t edge_count() const { return edge_count_.load(std::memory_order_acquire); }

    // Whether a batch follows on, is known, leaves something out or contradicts what is stored.
    [[nodiscard]] static Judgement judge(const PositionRow& row, const wire::BatchHeader& batch);
    // Takes an append into the account: the row has moved past the batch. `unverified`: of its events.
    static void take(PositionRow& row, const wire::BatchHeader& batch, std::uint32_t unverified = 0);
    // From a journal at start: takes the batch unless the row is past it. False when the table is full.
    [[nodiscard]] bool restore(const wire::BatchHeader& batch, std::uint32_t unverified = 0);

  private:
    struct Hash {
        std::size_t operator()(const PositionKey& key) const noexcept;
        std::size_t operator()(const EdgeKey& key) const noexcept;
    };
    std::uint32_t rows_max_;
    std::uint32_t edges_max_;
    std::unique_ptr<PositionRow[]> rows_;
    std::unique_ptr<EdgeRow[]> edges_;
    std::atomic<std::uint32_t> row_count_{0};   // release in claim, acquire in row_count
    std::atomic<std::uint32_t> edge_count_{0};  // release in claim_edge, acquire in edge_count
    boost::unordered_flat_map<PositionKey, std::uint32_t, Hash> index_;
    boost::unordered_flat_map<EdgeKey, std::uint32_t, Hash> edge_index_;
};

[[nodiscard]] PositionKey key_of(const wire::BatchHeader& batch);

}  // namespace weir::central
