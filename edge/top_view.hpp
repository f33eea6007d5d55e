// TopView: what `weir-edge top` shows: two looks at a running edge become one table.
//
// Thread    Any: plain text in, plain text out.
#pragma once

#include <string>

#include "core/control/top_text.hpp"

namespace weir::edge {

// Of each look the first answer is that of /api/v1/ledger. `before`: rates and latencies are those of the `seconds` between the two; null:
// there are no rates, and latencies are those since the start. Lines end in '\n', and are cut where the terminal ends.
[[nodiscard]] std::string top_table(const control::TopLook& now, const control::TopLook* before, double seconds,
                                    const control::TopSize& size);

}  // namespace weir::edge
