// EdgeQuota: how much of central's disk one edge may take, by its name: a stolen edge may call itself a new lineage as often as it likes.
//
//   journal       limits.edge_journal_bytes_max of batches ever stored: the journal of events has no retention yet
//   dead letters  limits.edge_letters_bytes_max within dead_letters.keep_s, and as much more in each such time: what is kept of one edge
//                 is at most twice that
//
// An edge that is over one is granted nothing more for those lanes (credit stays where it is), keeps what it has, and goes on with the
// others. What was granted before is taken; who sends beyond that is refused.
//
// Thread    The ingest runner; rows are read by anyone. restore() before it starts.
// Bounds    limits.edges_max names. Nothing is allocated after construction.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>

#include "central/ingest/positions.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

class EdgeQuota {
  public:
    struct Options {
        std::uint64_t journal_bytes_max = 0;  // 0: no bound
        std::uint64_t letters_bytes_max = 0;  // 0: no bound
        std::uint64_t letters_ns = 1;         // in which letters_bytes_max comes back
        std::uint64_t granted_bytes_max = 0;  // on the way when an edge gets over it: taken all the same
        std::uint32_t edges_max = 0;
    };
    struct Row {
        EdgeName edge{};
        Counter journal_bytes, letters_bytes;  // of batches ever stored
        Counter is_over_journal, is_over_letters;
        // Ingest's alone: how much of its letters' part it has used, as of then.
        double letters_used = 0;
        MonotonicNs letters_at{};
    };

    explicit EdgeQuota(const Options& options) : options_(options), rows_(std::make_unique<Row[]>(options.edges_max)) {
        index_.reserve(options.edges_max);
    }
    // What is stored already, by the positions.
    void restore(const PositionTable& positions) {
        for (std::uint32_t i = 0; i < positions.row_count(); ++i) {
            const PositionRow& position = positions.row(i);
            const std::uint32_t index = claim(position.key.edge);
            if (index != no_row) count_of(index, position.key.lane).add(position.stored_bytes.get());
        }
    }
    // Finds or makes; no_row when there are edges_max.
    [[nodiscard]] std::uint32_t claim(const EdgeName& edge) {
        if (const auto found = index_.find(key_of(edge)); found != index_.end()) return found->second;
        const std::uint32_t count = count_.load(std::memory_order_relaxed);
        if (count == options_.edges_max) return no_row;
        rows_[count].edge = edge;
        index_.emplace(key_of(edge), count);
        count_.store(count + 1, std::memory_order_release);  // pairs with the acquire in row_count
        return count;
    }
    void took(std::uint32_t index, LaneId lane, std::uint64_t bytes, MonotonicNs now) {
        count_of(index, lane).add(bytes);
        if (lane != dead_letter_lane) return;
        Row& row = rows_[index];
        row.letters_used = letters_used(row, now) + static_cast<double>(bytes);
        row.letters_at = now;
    }
    // Whether its lanes of events, or of dead letters, are granted nothing now.
    [[nodiscard]] bool is_over(std::uint32_t index, LaneId lane, MonotonicNs now) const {
        return excess(index, lane, now) >= 0;
    }
    // More than it can have been granted.
    [[nodiscard]] bool is_far_over(std::uint32_t index, LaneId lane, MonotonicNs now) const {
        return excess(index, lane, now) >= static_cast<double>(options_.granted_bytes_max);
    }
    // For people, and so that a change is seen once: true if either has changed.
    [[nodiscard]] bool note_state(std::uint32_t index, MonotonicNs now) {
        Row& row = rows_[index];
        const std::uint64_t journal = is_over(index, 0, now) ? 1 : 0;
        const std::uint64_t letters = is_over(index, dead_letter_lane, now) ? 1 : 0;
        const bool has_changed = row.is_over_journal.get() != journal || row.is_over_letters.get() != letters;
        row.is_over_journal.set(journal);
        row.is_over_letters.set(letters);
        return has_changed;
    }

    [[nodiscard]] std::uint32_t row_count() const { return count_.load(std::memory_order_acquire); }
    [[nodiscard]] const Row& row(std::uint32_t index) const { return rows_[index]; }

  private:
    struct Hash {
        std::size_t operator()(const EdgeKey& key) const noexcept {
            return std::hash<std::string_view>{}(wire::name_of(key.edge));
        }
    };
    [[nodiscard]] static EdgeKey key_of(const EdgeName& edge) { return {edge, 0}; }
    [[nodiscard]] Counter& count_of(std::uint32_t index, LaneId lane) {
        return lane == dead_letter_lane ? rows_[index].letters_bytes : rows_[index].journal_bytes;
    }
    [[nodiscard]] double letters_used(const Row& row, MonotonicNs now) const {
        const double back = static_cast<double>(now.since(row.letters_at)) / static_cast<double>(options_.letters_ns) *
                            static_cast<double>(options_.letters_bytes_max);
        return std::max(0.0, row.letters_used - back);
    }
    // Bytes over the quota; below 0 within it.
    [[nodiscard]] double excess(std::uint32_t index, LaneId lane, MonotonicNs now) const {
        if (index == no_row) return -1;
        const Row& row = rows_[index];
        const bool is_letters = lane == dead_letter_lane;
        const std::uint64_t max = is_letters ? options_.letters_bytes_max : options_.journal_bytes_max;
        if (max == 0) return -1;
        const double used = is_letters ? letters_used(row, now) : static_cast<double>(row.journal_bytes.get());
        return used - static_cast<double>(max);
    }

    Options options_;
    std::unique_ptr<Row[]> rows_;
    std::atomic<std::uint32_t> count_{0};  // release in claim, acquire in row_count
    boost::unordered_flat_map<EdgeKey, std::uint32_t, Hash> index_;
};

}  // namespace weir::central
