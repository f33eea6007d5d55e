// UringIo: the Io contract over io_uring.
#pragma once

#include <memory>

#include "core/io/io.hpp"

namespace weir::io {
// Fails, saying why, where the kernel refuses io_uring or lacks what is needed (multishot receive, buffer rings: Linux 6.1).
[[nodiscard]] Result<std::unique_ptr<Io>> make_uring_io(const IoOptions& options);
}  // namespace weir::io
