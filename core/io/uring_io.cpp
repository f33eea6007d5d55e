#include "core/io/uring_io.hpp"

#include <cerrno>

namespace weir::io {
Result<std::unique_ptr<Io>> make_uring_io(const IoOptions&) { return Error{ENOSYS, "io_uring is not built in"}; }
}  // namespace weir::io
