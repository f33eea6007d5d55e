#include "core/control/disk_room.hpp"

#include <sys/statvfs.h>

namespace weir::control {

void append_disk_room(MetricsText& out, std::string_view prefix, const std::string& directory) {
    struct statvfs room {};
    if (::statvfs(directory.c_str(), &room) != 0) return;
    const auto bytes = [&](fsblkcnt_t blocks) {
        return static_cast<double>(blocks) * static_cast<double>(room.f_frsize);
    };
    const std::string begin(prefix);
    out.gauge(begin + "disk_bytes", "Size of the file system under data_dir", {}, bytes(room.f_blocks));
    // Those that only root may have are not free.
    out.gauge(begin + "disk_free_bytes", "What weir may still write to the file system under data_dir", {},
              bytes(room.f_bavail));
}

}  // namespace weir::control
