// What a daemon asks of the kernel for itself.
//
// Thread    Before others are made.
#pragma once

namespace weir::control {

// No core dump, and no other process of the same user may read this one's memory (PR_SET_DUMPABLE, prctl(2)). Root still may.
void keep_memory_private() noexcept;

}  // namespace weir::control
