// HopsText: a daemon's latency hops (edge/hops.hpp, central/ingest/hops.hpp) as JSON and as metrics.
//
// Thread    Control threads: the histograms' writers go on, and what is read is a moment old.
// Format    [{"hop":"judged","from":"received","to":"judged","whole":false,"count":N,"sum_us":...,"mean_us":...,"p50_us":...,
//           "p99_us":...,"max_us":...}, ...] since the daemon's start, in the order in which an event passes them; the wholes last.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/control/metrics_text.hpp"
#include "core/metrics/histogram.hpp"

namespace weir::control {

struct Hop {
    std::string_view name;  // of its end
    std::string_view from;
    const Histogram& times;
    bool is_whole = false;  // a sum of hops, measured apart from them
};

// The body of GET /api/v1/latency.
[[nodiscard]] std::string hops_json(std::span<const Hop> hops);
// NAME{hop="..."}: a histogram for each that is no whole.
void append_hops(MetricsText& text, std::string_view name, std::span<const Hop> hops);

}  // namespace weir::control
