// Spare lanes: streams without a name, made at the start, that a reload may give one; so that a lane is added while the edge runs
// and everything that counts streams was made once.
//
// Each spare lane has a live part and a backlog. It has a number of its own, and no file, no place in a checkpoint, a hello or a metric
// until it has a name. Segments of its journal are small_segment_bytes_max at most, whatever its configuration says.
//
// Thread    add_spare_lanes: control thread, at start. NamedStore: named on the control thread before the runner hears of the name.
// Bounds    spare_lanes_max lanes in one life, as far as wire::hello_lanes_max leaves room.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/assert.hpp"
#include "core/journal/segments.hpp"
#include "edge/spool/spool_start.hpp"

namespace weir::edge {

inline constexpr std::size_t spare_lanes_max = 4;

// Before the dead letters' stream, which stays the last.
inline void add_spare_lanes(const EdgeConfig& config, std::vector<SpoolLane>& lanes) {
    LaneId next = 0;
    for (const SpoolLane& lane : lanes) {
        if (lane.state.id != dead_letter_lane) next = std::max<LaneId>(next, static_cast<LaneId>(lane.state.id + 1));
    }
    for (std::size_t spare = 0; spare < spare_lanes_max && lanes.size() + 2 <= wire::hello_lanes_max; ++spare, ++next) {
        for (const wire::Part part : {wire::Part::live, wire::Part::backlog}) {
            SpoolLane lane;
            lane.state.id = next;
            lane.state.part = part;
            lane.journal.segment_bytes = std::min(config.spool.segment_bytes, small_segment_bytes_max);
            lanes.insert(lanes.end() - 1, std::move(lane));
        }
    }
}

// The segment store of a spare stream: none until the stream has a name, and with it a directory.
class NamedStore final : public journal::SegmentStore {
  public:
    // Control thread, once, before the runner is told of the name.
    void become(std::unique_ptr<journal::SegmentStore> store) {
        WEIR_ASSERT(store_ == nullptr);
        store_ = std::move(store);
        at_.store(store_.get(), std::memory_order_release);  // pairs with the acquire in at()
    }
    [[nodiscard]] bool is_named() const { return at() != nullptr; }

    [[nodiscard]] Status create_now(const journal::SegmentHeader& header) override {
        return named().create_now(header);
    }
    void prepare(const journal::SegmentHeader& header) override { named().prepare(header); }
    void use(std::uint64_t bytes) override { named().use(bytes); }
    [[nodiscard]] const std::string* ready(std::uint64_t segment_index) override {
        return named().ready(segment_index);
    }
    void release(std::uint64_t segment_index) override { named().release(segment_index); }
    void mark_damaged(std::uint64_t segment_index) override { named().mark_damaged(segment_index); }
    [[nodiscard]] std::uint64_t quarantined() const override { return at() == nullptr ? 0 : at()->quarantined(); }
    [[nodiscard]] std::uint64_t prepared_bytes() const override { return at() == nullptr ? 0 : at()->prepared_bytes(); }
    [[nodiscard]] int prepare_errno() const override { return at() == nullptr ? 0 : at()->prepare_errno(); }
    [[nodiscard]] std::string path_of(std::uint64_t segment_index) const override {
        return at()->path_of(segment_index);
    }
    [[nodiscard]] Status cut_after(Position end) override { return named().cut_after(end); }
    [[nodiscard]] std::uint64_t first_index() const override { return at() == nullptr ? 0 : at()->first_index(); }

  private:
    [[nodiscard]] journal::SegmentStore* at() const { return at_.load(std::memory_order_acquire); }
    [[nodiscard]] journal::SegmentStore& named() const {
        WEIR_ASSERT(at() != nullptr);
        return *at();
    }
    std::unique_ptr<journal::SegmentStore> store_;
    std::atomic<journal::SegmentStore*> at_{nullptr};
};

}  // namespace weir::edge
