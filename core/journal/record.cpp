#include "core/journal/record.hpp"

#include <charconv>
#include <cstddef>
#include <iterator>

#include "core/base/crc32c.hpp"

namespace weir::journal {

std::uint32_t segment_crc(const SegmentHeader& header) noexcept {
    return crc32c(0, std::as_bytes(std::span(&header, 1)).first(offsetof(SegmentHeader, crc)));
}

std::uint32_t record_crc(const RecordHeader& header, const wire::BatchHeader& batch) noexcept {
    const auto own = crc32c(0, std::as_bytes(std::span(&header, 1)).first(offsetof(RecordHeader, crc)));
    return crc32c(own, std::as_bytes(std::span(&batch, 1)));
}

std::string segment_file_name(std::uint64_t segment_index) {
    std::string name;
    append_segment_file_name(name, segment_index);
    return name;
}

void append_segment_file_name(std::string& path, std::uint64_t segment_index) {
    char digits[20];
    const auto written = std::to_chars(std::begin(digits), std::end(digits), segment_index);
    const auto count = static_cast<std::size_t>(written.ptr - digits);
    path.append(sizeof digits - count, '0').append(digits, count).append(".seg");
}

std::optional<std::uint64_t> segment_index_of(std::string_view file_name) noexcept {
    if (file_name.size() != 24 || file_name.substr(20) != ".seg") return std::nullopt;
    std::uint64_t index = 0;
    const char* end = file_name.data() + 20;
    const auto parsed = std::from_chars(file_name.data(), end, index);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
    return index;
}

}  // namespace weir::journal
