// DiskRoom: how large the file system of a data directory is, and what of it may still be written.
//
// Thread    Any; one system call (statvfs).
#pragma once

#include <string>
#include <string_view>

#include "core/control/metrics_text.hpp"

namespace weir::control {

// PREFIXdisk_bytes and PREFIXdisk_free_bytes; neither, where the file system does not say.
void append_disk_room(MetricsText& out, std::string_view prefix, const std::string& directory);

}  // namespace weir::control
