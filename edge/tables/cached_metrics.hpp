// What /metrics says of cached tables.
//
// Thread    Control threads.
#pragma once

#include "core/control/metrics_text.hpp"
#include "edge/tables/cached_tables.hpp"
#include "edge/tables/row_asks.hpp"

namespace weir::edge {

// Of the same tables.
void append_cached_tables(control::MetricsText& text, const CachedTables& tables, const RowAsks& asks);

}  // namespace weir::edge
