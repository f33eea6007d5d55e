// list_segments: which files of a directory are whole segments of one journal, and what is wrong with the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/journal/record.hpp"

namespace weir::journal {

struct SegmentInfo {
    std::string path;
    SegmentHeader header;
    bool is_locked = false;  // under a key that keyring() has not: there, whole, and not to be read
};

// The segments of a directory in order of index; files that are no whole segment are named in `bad`.
struct SegmentList {
    std::vector<SegmentInfo> segments;
    std::vector<std::string> bad;  // "PATH: why"
    std::vector<std::uint64_t>
        damaged;  // indexes of those of `bad` that the disk has wrong: not what could not be opened
};
[[nodiscard]] Result<SegmentList> list_segments(const std::string& directory);

}  // namespace weir::journal
