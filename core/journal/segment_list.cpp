#include "core/journal/segment_list.hpp"

#include <algorithm>

#include "core/journal/at_rest.hpp"
#include "core/journal/posix_file.hpp"

namespace weir::journal {
namespace {

// Empty if it is a whole segment, else why not.
std::string check_segment(const std::string& path, std::uint64_t index, SegmentHeader& header, bool& is_opened) {
    const PosixFile file(path, O_RDONLY);
    is_opened = file.is_open() || errno == EIO;
    if (!file.is_open()) return error_from_errno(errno, "open").what;
    const auto count = file.read(std::as_writable_bytes(std::span(&header, 1)), 0);
    if (count < 0) return error_from_errno(static_cast<int>(-count), "read").what;
    if (count != sizeof header) return "shorter than a segment header";
    if (header.magic != segment_magic) return "no segment magic";
    if (header.crc != segment_crc(header)) return "segment header's checksum does not match";
    if (header.version != journal_version && header.version != sealed_version) {
        return "unknown version " + std::to_string(header.version);
    }
    if ((header.version == sealed_version) != (header.key_id != 0)) return "its version and key do not agree";
    if (header.segment_index != index) return "its header says index " + std::to_string(header.segment_index);
    if (header.segment_bytes < 2 * block_bytes || header.segment_bytes % block_bytes != 0) return "impossible length";
    if (index > UINT64_MAX / header.segment_bytes - 2) return "impossible index";  // positions in it would wrap
    if (file.file_bytes() < header.segment_bytes) return "shorter than its header says";
    return {};
}

}  // namespace

Result<SegmentList> list_segments(const std::string& directory) {
    std::vector<std::string> names;
    if (io::files().list(directory, names) != 0) return error_from_errno(errno, "open " + directory);
    std::vector<std::uint64_t> indexes;
    for (const std::string& name : names) {
        if (const auto index = segment_index_of(name)) indexes.push_back(*index);
    }
    std::sort(indexes.begin(), indexes.end());

    SegmentList list;
    for (const std::uint64_t index : indexes) {
        SegmentInfo info{.path = directory + "/" + segment_file_name(index), .header = {}};
        bool is_opened = false;
        std::string why = check_segment(info.path, index, info.header, is_opened);
        if (why.empty() && !list.segments.empty()) {
            const SegmentHeader& first = list.segments.front().header;
            if (info.header.journal_id != first.journal_id) why = "belongs to another journal";
            if (info.header.segment_bytes != first.segment_bytes) why = "has another length than the first segment";
        }
        info.is_locked = info.header.key_id != 0 && !keyring().holds(info.header.key_id);
        if (why.empty()) {
            list.segments.push_back(std::move(info));
        } else if (io::files().exists(info.path)) {  // else it was trimmed while we looked
            list.bad.push_back(info.path + ": " + why);
            if (is_opened) list.damaged.push_back(index);
        }
    }
    return list;
}

}  // namespace weir::journal
