#include "core/control/process.hpp"

#include <sys/prctl.h>

namespace weir::control {

void keep_memory_private() noexcept {
    static_cast<void>(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

}  // namespace weir::control
