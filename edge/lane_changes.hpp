// LaneChanges: which streams there are by the configuration of now, and what a new one makes of them while the edge runs.
//
//   added      a lane that the spool still drains is taken up again; else a spare one gets the name (spool/spare_lanes.hpp)
//   removed    nothing is routed to it any more; what it holds is sent, or given up, as it was told; the next start drains it too
//   changed    class, shed, priority, weights, bounds and batch limits are taken; not drain or spool: its streams were made at the start
//
// Thread    Control.
// Law       A stream's number, part and name never change once it has a name. What is refused has changed nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "edge/config.hpp"
#include "edge/handover.hpp"
#include "edge/spool/lane_orders.hpp"

namespace weir::edge {

class LaneChanges {
  public:
    // `streams`: of the start, the spare ones among them.
    LaneChanges(std::string data_dir, std::vector<LaneState> streams);
    // Why the lanes of `next` cannot be taken without a restart, each with its name; empty: they can.
    [[nodiscard]] std::vector<std::string> why_not(const EdgeConfig& next) const;
    // Takes them; the streams that got a name. Precondition: why_not(next) is empty.
    std::vector<std::size_t> take(const EdgeConfig& next);
    // What the spool is to be told.
    [[nodiscard]] std::unique_ptr<LaneOrders> orders(const EdgeConfig& config) const;
    [[nodiscard]] std::string directory_of(std::size_t stream) const;

    [[nodiscard]] const std::vector<LaneState>& streams() const { return streams_; }
    [[nodiscard]] std::size_t spare_lanes() const;

  private:
    static constexpr std::size_t none = SIZE_MAX;
    [[nodiscard]] std::size_t find(std::string_view name) const;  // its first stream
    [[nodiscard]] bool has_backlog(std::size_t first) const;

    std::string data_dir_;
    std::vector<LaneState> streams_;
};

}  // namespace weir::edge
