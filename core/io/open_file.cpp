#include "core/io/open_file.hpp"

#include <fcntl.h>

#include <cerrno>

namespace weir::io {

Result<int> open_file(const std::string& path, FileOptions options) {
    int flags = O_CLOEXEC | (options.read_only ? O_RDONLY : O_RDWR);
    if (options.create) flags |= O_CREAT;
    if (options.durable) flags |= O_DSYNC;
    int fd = -1;
    if (options.direct) fd = ::open(path.c_str(), flags | O_DIRECT, 0600);
    if (fd < 0 && (!options.direct || errno == EINVAL)) fd = ::open(path.c_str(), flags, 0600);
    if (fd < 0) return error_from_errno(errno, "open " + path);
    return fd;
}

}  // namespace weir::io
