// keep_cache_small: what a reader that follows a journal leaves behind goes out of the page cache.
//
// Left there, a journal as fast as its disk fills the machine's memory within a minute; then the kernel takes pages back as fast, and
// moves others about to have long pieces free: every thread meets that as page faults, the pinned ones too.
//
// Bounds    cached_segments_max segments stay, for whoever reads close behind; others read from the disk.
#pragma once

#include <cstdint>
#include <string>

#include "core/journal/posix_file.hpp"
#include "core/journal/record.hpp"
#include "core/journal/scan.hpp"

namespace weir::journal {

inline constexpr std::uint64_t cached_segments_max = 4;

// Takes the scanner's on_segment().
inline void keep_cache_small(Scanner& scanner, std::string directory) {
    scanner.on_segment([directory = std::move(directory)](std::uint64_t segment_index) {
        if (segment_index < cached_segments_max) return;
        const PosixFile left(directory + "/" + segment_file_name(segment_index - cached_segments_max), O_RDONLY);
        if (left.is_open()) io::files().drop_cache(left.handle());
    });
}

}  // namespace weir::journal
