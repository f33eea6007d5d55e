// LaneOrders: what a changed configuration tells the spool of its lanes, whole: which streams have come to be, whose turn it is, and
// what each lane may hold.
//
// The number of streams never changes while an edge runs: spare ones, made at its start (spare_lanes.hpp), wait for a name.
//
// Thread    Made and destroyed on a control thread; used by the spool runner, which allocates nothing for it: texts are swapped.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "edge/config.hpp"
#include "edge/spool/send_turns.hpp"

namespace weir::edge {

struct LaneOrders {
    struct Stream {
        std::string name;       // empty: it is still spare
        std::string directory;  // of its journal
        StreamTurns turns;
    };
    std::vector<Stream> streams;    // all, by index
    std::vector<LaneConfig> lanes;  // as they are configured
};

// The way of orders to the spool, and of those before back. Nobody waits: newer orders hold all that older ones said, and take their
// place.
//
// Thread    offer, take_back: one control thread. take, give_back: the spool runner.
class LaneOrdersSlot {
  public:
    LaneOrdersSlot() = default;
    ~LaneOrdersSlot() {
        delete next_.load();
        delete old_.load();
    }
    LaneOrdersSlot(const LaneOrdersSlot&) = delete;
    LaneOrdersSlot& operator=(const LaneOrdersSlot&) = delete;

    void offer(std::unique_ptr<LaneOrders> next) { delete next_.exchange(next.release(), std::memory_order_acq_rel); }
    void take_back() { delete old_.exchange(nullptr, std::memory_order_acq_rel); }
    // Null if there are none.
    [[nodiscard]] LaneOrders* take() noexcept {
        if (next_.load(std::memory_order_relaxed) == nullptr) return nullptr;
        return next_.exchange(nullptr, std::memory_order_acq_rel);
    }
    // False: those before were not taken back yet; these stay with the runner until the next time.
    [[nodiscard]] bool give_back(LaneOrders* old) noexcept {
        if (old_.load(std::memory_order_acquire) != nullptr) return false;
        old_.store(old, std::memory_order_release);
        return true;
    }

  private:
    std::atomic<LaneOrders*> next_{nullptr};
    std::atomic<LaneOrders*> old_{nullptr};
};

// What a stream's lane is configured to in turns.
[[nodiscard]] inline StreamTurns turns_of(const std::vector<LaneConfig>& lanes, std::string_view name, wire::Part part,
                                          std::uint32_t first_stream) {
    StreamTurns turns{.lane = first_stream};
    for (const LaneConfig& lane : lanes) {
        if (lane.name != name) continue;
        turns.priority = lane.priority;
        turns.weight = lane.weight;
        if (part == wire::Part::backlog) turns.part_weight = lane.backlog_weight;
    }
    return turns;
}

}  // namespace weir::edge
