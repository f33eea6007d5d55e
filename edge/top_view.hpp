// TopView: what `weir-edge top` shows: two looks at a running edge become one table.
//
// Thread    Any: plain text in, plain text out.
#pragma once

#include <cstddef>
#include <string>

#include "core/control/metrics_reader.hpp"

namespace weir::edge {

struct TopLook {
    control::Metrics metrics;  // of /metrics
    std::string ledger;        // of /api/v1/ledger
};
struct TopSize {
    std::size_t columns = 100;
    std::size_t rows = 0;  // 0: as many as there are
};
// `before`: rates and latencies are those of the `seconds` between the two; null: there are no rates, and latencies are those since the
// start. Lines end in '\n', and are cut where the terminal ends.
[[nodiscard]] std::string top_table(const TopLook& now, const TopLook* before, double seconds, const TopSize& size);

}  // namespace weir::edge
