// TopView: what `weir-central top` shows: two looks at a running central become one table, 80 columns wide.
//
// Thread    Any: plain text in, plain text out.
#pragma once

#include <string>

#include "core/base/types.hpp"
#include "core/control/top_text.hpp"

namespace weir::central {

// A look's answers: those of /api/v1/ledger, /api/v1/edges and /api/v1/alerts, the newest first. Where the terminal is too small for all
// edges, those that are away or lag most are shown. `before`: as for an edge's table. `wall`: when this is, to say how long ago things were.
[[nodiscard]] std::string top_table(const control::TopLook& now, const control::TopLook* before, double seconds,
                                    WallNs wall, const control::TopSize& size);

}  // namespace weir::central
