#include "central/api/edge_delays.hpp"

#include <algorithm>
#include <utility>

namespace weir::central {
namespace {

double ms_of(std::int64_t ns) {
    return static_cast<double>(ns) / static_cast<double>(ns_per_ms);
}

}  // namespace

void EdgeDelays::note(const wire::BatchHeader& batch, WallNs arrival) {
    if (batch.closed_wall_ns == 0) return;
    const std::lock_guard lock(mutex_);
    const auto name = wire::name_of(batch.edge_id);
    auto found = edges_.find(name);
    if (found == edges_.end()) {
        if (edges_.size() == edges_max_) return;
        found = edges_.emplace(std::string(name), Edge{}).first;
    }
    Edge& edge = found->second;
    const auto taken = static_cast<std::int64_t>(arrival.value - batch.closed_wall_ns);
    edge.last = arrival.value;
    if (const std::uint64_t bucket = arrival.value / bucket_ns; bucket != edge.bucket) {
        edge.least_before = bucket == edge.bucket + 1 ? edge.least : INT64_MAX;
        edge.least = INT64_MAX;
        edge.bucket = bucket;
    }
    if (batch.part == wire::Part::backlog) {
        edge.backlog = taken;
        edge.backlog_at = arrival.value;
        return;
    }
    edge.live = taken;
    edge.least = std::min(edge.least, taken);
}

EdgeDelay EdgeDelays::of(std::string_view edge_name, WallNs now) const {
    const std::lock_guard lock(mutex_);
    const auto found = edges_.find(edge_name);
    if (found == edges_.end()) return {};
    const Edge& edge = found->second;
    EdgeDelay told;
    told.last_arrival_ms = edge.last / ns_per_ms;
    const std::int64_t least = std::min(edge.least, edge.least_before);
    const bool has_least = least != INT64_MAX;
    if (has_least) told.clock_offset_ms = -ms_of(least);
    if (has_least && edge.live) told.lag_ms = ms_of(std::max<std::int64_t>(*edge.live - least, 0));
    if (edge.backlog && now.value < edge.backlog_at + backlog_ns) {
        told.backlog_lag_ms = ms_of(std::max<std::int64_t>(*edge.backlog - (has_least ? least : 0), 0));
    }
    return told;
}

}  // namespace weir::central
