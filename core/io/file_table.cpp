#include "core/io/file_table.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/assert.hpp"

namespace weir::io {
namespace {

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

}  // namespace

FileTable::~FileTable() {
    for (const int fd : descriptors_)
        if (fd >= 0) ::close(fd);
}

Result<File> FileTable::open(const std::string& path, FileOptions options) {
    const auto free = std::find(descriptors_.begin(), descriptors_.end(), -1);
    if (free == descriptors_.end()) return Error{EMFILE, "open " + path + ": no file entry is free"};
    auto opened = open_file(path, options);
    if (!opened) return opened.error();
    *free = opened.value();
    return File{static_cast<std::int32_t>(free - descriptors_.begin())};
}

void FileTable::close(File file) {
    int& fd = descriptors_[static_cast<std::size_t>(file.handle)];
    WEIR_ASSERT(fd >= 0);
    ::close(fd);
    fd = -1;
}

}  // namespace weir::io
