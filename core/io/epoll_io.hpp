// EpollIo: the Io contract over epoll, an eventfd and one thread for files. Runs where io_uring is refused.
#pragma once

#include <memory>

#include "core/io/io.hpp"

namespace weir::io {
[[nodiscard]] Result<std::unique_ptr<Io>> make_epoll_io(const IoOptions& options);
}  // namespace weir::io
