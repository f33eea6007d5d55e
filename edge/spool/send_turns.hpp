// SendTurns: which of the streams that could send now is next.
//
// The lanes of the highest priority that has something to send go first, but every starved_turns_max-th turn that a lower one
// waits is its. Among lanes of one priority turns go by weight; within a live_first lane the backlog has backlog_weight turns
// for every live_turns of the live part. Smooth weighted turns: each that waits gains its weight, the richest is next and pays
// what all gained.
//
// Thread    One.
// Cost      Two passes over the streams for each turn.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/assert.hpp"

namespace weir::edge {

// A lower priority that waits is served at the latest after so many turns of higher ones, and one of each other that waits as well.
inline constexpr std::uint32_t starved_turns_max = 16;
inline constexpr std::uint32_t live_turns = 8;
inline constexpr std::uint32_t send_priorities = 4;

struct StreamTurns {
    std::uint32_t lane = 0;                  // streams of one lane lie side by side, the live part first
    std::uint8_t priority = 1;               // 0 low to 3 critical
    std::uint32_t weight = 1;                // of the lane, at least 1
    std::uint32_t part_weight = live_turns;  // of the part within its lane, at least 1
};

class SendTurns {
  public:
    explicit SendTurns(std::vector<StreamTurns> streams)
        : streams_(std::move(streams)), lane_gain_(streams_.size()), part_gain_(streams_.size()) {
        for (const StreamTurns& one : streams_) {
            WEIR_ASSERT(one.priority < send_priorities && one.weight > 0 && one.part_weight > 0);
            WEIR_ASSERT(one.lane < streams_.size());
        }
    }

    // From the next turn on. Precondition: of the same lane.
    void set(std::size_t stream, const StreamTurns& turns) {
        WEIR_ASSERT(turns.priority < send_priorities && turns.weight > 0 && turns.part_weight > 0);
        WEIR_ASSERT(turns.lane == streams_[stream].lane);
        streams_[stream] = turns;
    }
    // The next of those that are `ready`; nullopt if none is. Changes nothing until it took its turn.
    template <class Ready>
    [[nodiscard]] std::optional<std::size_t> choose(const Ready& is_ready) {
        for (Class& one : classes_) one = {};
        for (std::size_t index = 0; index < streams_.size(); ++index) {
            if (!is_ready(index)) continue;
            consider(classes_[streams_[index].priority], index);
        }
        const Class* best = nullptr;
        for (std::size_t priority = send_priorities; priority-- > 0;) {
            if (!classes_[priority].is_waiting) continue;
            if (best == nullptr || waited_[priority] >= starved_turns_max) best = &classes_[priority];
        }
        if (best == nullptr) return std::nullopt;
        return best->stream;
    }
    template <class Ready>
    void took_turn(std::size_t stream, const Ready& is_ready) {
        const StreamTurns& mine = streams_[stream];
        std::int64_t lanes_sum = 0, parts_sum = 0;
        std::uint32_t lane_counted = UINT32_MAX;
        for (std::size_t index = 0; index < streams_.size(); ++index) {
            const StreamTurns& one = streams_[index];
            if (!is_ready(index)) continue;
            if (one.priority < mine.priority && !is_counted(one.priority)) ++waited_[one.priority];
            if (one.priority != mine.priority) continue;
            if (one.lane != lane_counted) {
                lane_counted = one.lane;
                lane_gain_[one.lane] += one.weight;
                lanes_sum += one.weight;
            }
            if (one.lane != mine.lane) continue;
            part_gain_[index] += one.part_weight;
            parts_sum += one.part_weight;
        }
        counted_ = 0;
        waited_[mine.priority] = 0;
        lane_gain_[mine.lane] -= lanes_sum;
        part_gain_[stream] -= parts_sum;
    }

  private:
    struct Class {
        bool is_waiting = false;
        std::size_t stream = 0;
        std::int64_t lane_gain = 0;
        std::int64_t part_gain = 0;
    };
    void consider(Class& mine, std::size_t index) {
        const StreamTurns& one = streams_[index];
        const std::int64_t lane = lane_gain_[one.lane] + one.weight;
        const std::int64_t part = part_gain_[index] + one.part_weight;
        const bool is_same_lane = mine.is_waiting && streams_[mine.stream].lane == one.lane;
        const bool is_better = !mine.is_waiting || (is_same_lane ? part > mine.part_gain : lane > mine.lane_gain);
        if (is_better) mine = {.is_waiting = true, .stream = index, .lane_gain = lane, .part_gain = part};
    }
    [[nodiscard]] bool is_counted(std::uint8_t priority) {
        const bool before = (counted_ >> priority & 1U) != 0;
        counted_ |= 1U << priority;
        return before;
    }

    std::vector<StreamTurns> streams_;
    std::vector<std::int64_t> lane_gain_;
    std::vector<std::int64_t> part_gain_;
    std::uint32_t waited_[send_priorities] = {};
    std::uint32_t counted_ = 0;
    Class classes_[send_priorities];
};

}  // namespace weir::edge
