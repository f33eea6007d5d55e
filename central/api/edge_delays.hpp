// EdgeDelays: how long batches of each edge were on their way, and how far its clock is off.
//
// A batch says when the edge closed it, by the edge's clock; central's journal when it arrived. The smallest difference of the last
// two minutes is the clock's offset (and the shortest way); what a batch took beyond it is its lag.
//
// Thread    note(): one. The others: any; one mutex.
// Bounds    edges_max edges; more are not followed.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::central {

struct EdgeDelay {
    std::optional<double> lag_ms;
    std::optional<double> backlog_lag_ms;
    std::optional<double> clock_offset_ms;  // positive: the edge's clock is ahead
    std::optional<std::uint64_t> last_arrival_ms;
};

class EdgeDelays {
  public:
    static constexpr std::uint64_t bucket_ns = 60 * ns_per_second;
    static constexpr std::uint64_t backlog_ns = 10 * ns_per_second;

    explicit EdgeDelays(std::size_t edges_max) : edges_max_(edges_max) {}
    void note(const wire::BatchHeader& batch, WallNs arrival);
    [[nodiscard]] EdgeDelay of(std::string_view edge, WallNs now) const;

  private:
    struct Edge {
        std::int64_t least = INT64_MAX, least_before = INT64_MAX;  // of arrival - closing, in ns
        std::uint64_t bucket = 0;
        std::optional<std::int64_t> live, backlog;
        std::uint64_t backlog_at = 0;
        std::uint64_t last = 0;
    };
    std::size_t edges_max_;
    mutable std::mutex mutex_;
    std::map<std::string, Edge, std::less<>> edges_;
};

}  // namespace weir::central
