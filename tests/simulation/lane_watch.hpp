// LaneWatch: what an edge's spool runner writes and sends, seen at its Io; and whether each lane keeps to its bound meanwhile.
//
// What was given up is nowhere when a world ends: which events it was is known from the writes. Of a lane in memory nothing is written.
//
// Thread    One.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "edge/config.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "tests/simulation/lanes.hpp"
#include "tests/simulation/sim_io.hpp"

namespace weir::sim {

class LaneWatch final : public IoWatch {
  public:
    using Key = std::pair<std::string, std::uint64_t>;  // producer, number
    using Stream = std::pair<LaneId, wire::Part>;

    explicit LaneWatch(const edge::EdgeConfig& config) : config_(config) {}

    void connects() override { sent_.clear(); }
    void sends(ConstBytes bytes) override;
    void writes(ConstBytes bytes) override;

    // The events that were written under each sequence of a stream, by the last life that wrote it.
    [[nodiscard]] const std::map<Sequence, Key>* written(const Stream& stream) const;

    struct Look {
        std::uint64_t now_ns = 0;
        const std::vector<edge::LaneState>& streams;
        const edge::SpoolCounters& counters;
        bool is_well = false;  // the machine's disk does what it is asked for
    };
    // After each step of the edge: what is wrong, or nothing.
    [[nodiscard]] std::string judge(const Look& look);
    // A life ends: what the next one holds at its beginning is what this one has not stored as delivered.
    void ends() { lanes_.clear(); }

  private:
    struct SentBatch {
        Stream stream;
        std::uint64_t disk_bytes = 0;
        Sequence last_sequence = 0;
        bool is_given_up = false;
    };
    struct Lane {
        std::uint64_t begun_with = 0;  // bytes
        std::uint64_t given_up = 0;    // events
        std::uint64_t bytes = 0;
        std::uint64_t stuck_since_ns = 0;  // 0: it is not
    };
    [[nodiscard]] std::string judge_lane(const edge::LaneConfig& config, std::size_t index, const Look& look);
    // It could give up more than half of what it holds; false where that is not certain.
    [[nodiscard]] bool might_shed(const edge::LaneConfig& config, LaneId lane, std::uint64_t bytes,
                                  const Look& look) const;

    const edge::EdgeConfig& config_;
    std::map<Stream, std::map<Sequence, Key>> written_;
    std::vector<SentBatch> sent_;  // of the session at hand
    std::vector<Lane> lanes_;      // of this life; index: EdgeConfig::lanes
    std::uint64_t looked_at_ns_ = 0;
};

}  // namespace weir::sim
