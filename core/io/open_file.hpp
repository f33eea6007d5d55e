// Opens a file as FileOptions say; shared by the Io implementations.
#pragma once

#include <string>

#include "core/io/io.hpp"

namespace weir::io {
// A descriptor, mode 0600 if created. O_DIRECT is left out where the file system refuses it.
[[nodiscard]] Result<int> open_file(const std::string& path, FileOptions options);
}  // namespace weir::io
