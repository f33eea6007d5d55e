// Ladder: how much of its work the edge does: healthy, degraded, critical; from how little room it has.
//
// Up at once, as far as the worst measure asks; down one rung at a time, when every measure has been clear of its lower threshold
// for the dwell time. So a measure that swings around a threshold costs one step up and no more.
//
// Thread    Intake runner. A plain state machine: what it is told, and when, is all that it knows.
// Bounds    Thresholds and times: LadderConfig.
#pragma once

#include <cstdint>

#include "core/base/types.hpp"
#include "core/wire/control.hpp"
#include "edge/config.hpp"

namespace weir::edge {

// What was measured since the last look.
struct RoomMeasures {
    std::uint64_t spool_percent = 0;           // how full the spool is
    std::uint64_t buffers_free_percent = 100;  // batch buffers: the most that were free at one time
    std::uint64_t stalled_ms = 0;              // for how long nothing could be taken, for want of room; 0: it is taken
};

// What a rung means for the stages that ask.
struct LadderEffects {
    bool enrich = true;
    std::uint64_t linger_us_min = 0;  // of every batch, whatever its lane says
    bool sheds_best_effort = false;   // events for such lanes are shed before they get a sequence
    bool operator==(const LadderEffects&) const = default;
};

class Ladder {
  public:
    explicit Ladder(const LadderConfig& config) : config_(config) {}
    // New thresholds count from the next look on.
    void configure(const LadderConfig& config) noexcept { config_ = config; }
    // True if the rung has changed.
    bool look(const RoomMeasures& measures, MonotonicNs now) noexcept;

    [[nodiscard]] wire::Rung rung() const { return rung_; }
    [[nodiscard]] LadderEffects effects() const noexcept;

  private:
    [[nodiscard]] wire::Rung asked_for(const RoomMeasures& measures) const noexcept;
    [[nodiscard]] wire::Rung held_by(const RoomMeasures& measures) const noexcept;

    LadderConfig config_;
    wire::Rung rung_ = wire::Rung::healthy;
    MonotonicNs clear_since_ = never;  // all measures are clear of this rung
};

// How full a spool is that may hold `bytes_max`, on a disk that has `disk_free_bytes` left beside the `held_bytes` it holds, in
// percent: what cannot be deleted, of what it can have. 100 where nothing more fits.
[[nodiscard]] std::uint64_t spool_fill_percent(std::uint64_t needed_bytes, std::uint64_t held_bytes,
                                               std::uint64_t bytes_max, std::uint64_t disk_free_bytes) noexcept;

}  // namespace weir::edge
