// IntakeControls: what the control thread tells intake while it runs, a word at a time.
//
// Thread    Written by control threads, read by intake's runner; relaxed, a moment old.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::edge {

struct IntakeControls {
    std::atomic<std::uint32_t> spool_percent{0};  // how full the spool is
    std::atomic<std::uint32_t> fuse_resets{0};    // grows: every fuse is to be closed
};

}  // namespace weir::edge
