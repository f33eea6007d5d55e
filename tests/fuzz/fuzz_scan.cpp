// A journal that was written and then damaged: the Scanner gives only records whose checksums hold and that lie in the files as
// they are given, in rising order, comes to an end, and gives every record where there is no damage.
//
// Input     1 byte: 0 = from the beginning, else from a place · 8 bytes: that place · 1 byte: 1 = the first segment's index is in
//           the next 8 bytes · then steps: 1 byte what, and what it needs (apply).
#include "core/journal/scan.hpp"

#include "tests/fuzz/journal_image.hpp"

namespace {
using namespace weir;
using fuzz::JournalImage;

constexpr std::size_t steps_max = 64;

void apply(fuzz::Input& input, JournalImage& image) {
    const auto place = [&] { return std::uint32_t{input.take<std::uint16_t>()}; };
    switch (input.take<std::uint8_t>() % 10) {
        case 0:
        case 1:
            return image.append(1U + input.take<std::uint8_t>() * 24U, true);
        case 2:
            return image.append(1U + input.take<std::uint8_t>() * 4U, false);
        case 3: {
            const std::uint32_t at = place();
            return image.flip(at, input.take<std::uint8_t>());
        }
        case 4:
            return image.zero_block(input.take<std::uint8_t>());
        case 5: {
            const auto from = input.take<std::uint8_t>();
            return image.copy_block(from, input.take<std::uint8_t>());
        }
        case 6: {
            const std::uint32_t at = place();
            return image.overwrite(at, input.take_part());
        }
        case 7:
            return image.seal_record(place());
        case 8: {
            const auto which = input.take<std::uint8_t>();
            return image.seal_segment(which, input.take_part());
        }
        default: {
            const auto which = input.take<std::uint8_t>();
            return image.cut(which, input.take<std::uint16_t>());
        }
    }
}

void must_be_whole(const journal::RecordView& record, const JournalImage& image, std::uint64_t segment_bytes) {
    WEIR_ASSERT(record.header.magic == journal::record_magic);
    WEIR_ASSERT(record.header.position == record.position.value);
    WEIR_ASSERT(record.header.crc == journal::record_crc(record.header, record.batch_header));
    WEIR_ASSERT(record.end.value == record.position.value + journal::record_bytes(record.header.batch_bytes));
    WEIR_ASSERT(record.batch.size() == record.header.batch_bytes);
    wire::BatchHeader checked;
    WEIR_ASSERT(wire::check_batch(record.batch, checked) == wire::BatchFault::none);
    WEIR_ASSERT(checked.header_crc == record.batch_header.header_crc);
    // It lies in one segment, behind its header, and says what lies there.
    const std::uint64_t at = record.position.value % segment_bytes;
    WEIR_ASSERT(at >= journal::segment_header_bytes);
    WEIR_ASSERT(at + (record.end.value - record.position.value) <= segment_bytes);
    const ConstBytes lies =
        image.at_position(record.position.value + sizeof(journal::RecordHeader), record.batch.size(), segment_bytes);
    WEIR_ASSERT(std::equal(lies.begin(), lies.end(), record.batch.begin(), record.batch.end()));
}

// A segment that could not be read is never written over.
void must_go_on_behind(const std::string& bad, const std::string& directory, const journal::Tail& tail,
                       const std::vector<journal::SegmentInfo>& segments) {
    const auto index = journal::segment_index_of(std::string_view(bad).substr(directory.size() + 1, 24));
    WEIR_ASSERT(index.has_value());
    if (segments.empty() || *index > 1000) return;
    WEIR_ASSERT(tail.end.value >= (*index + 1) * segments[0].header.segment_bytes);
}

void read_all(const std::string& directory, Position from, const JournalImage& image) {
    const auto listed = journal::list_segments(directory);
    WEIR_ASSERT(listed.ok());
    const auto& segments = listed.value().segments;
    for (std::size_t i = 1; i < segments.size(); ++i) {
        WEIR_ASSERT(segments[i - 1].header.segment_index < segments[i].header.segment_index);
        WEIR_ASSERT(segments[i].header.segment_bytes == segments[0].header.segment_bytes);
    }
    auto opened = journal::Scanner::open(directory, from);
    WEIR_ASSERT(opened.ok());
    journal::Scanner& scanner = opened.value();
    // The least that a record can take bounds how many there are.
    constexpr std::size_t records_max =
        JournalImage::segments_max * JournalImage::segment_bytes / journal::record_bytes(sizeof(wire::BatchHeader));
    std::vector<std::uint64_t> given;
    std::uint64_t end = 0;
    while (const auto record = scanner.next()) {
        WEIR_ASSERT(!segments.empty());
        must_be_whole(*record, image, segments[0].header.segment_bytes);
        WEIR_ASSERT(record->position.value >= end);
        end = record->end.value;
        given.push_back(record->position.value);
        WEIR_ASSERT(given.size() <= records_max);
    }
    WEIR_ASSERT(!scanner.next().has_value());
    const journal::Tail tail = scanner.tail();
    WEIR_ASSERT(tail.end.value >= end);
    WEIR_ASSERT(given.empty() || tail.end.value % journal::block_bytes == 0);
    for (const std::string& bad : listed.value().bad) must_go_on_behind(bad, directory, tail, segments);
    if (!image.is_whole || from.value != 0 || !listed.value().bad.empty()) return;
    WEIR_ASSERT(given == image.positions);
    WEIR_ASSERT(scanner.damaged_records() == 0 && scanner.fault().empty());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const fuzz::ScratchDirectory directory;
    fuzz::Input input(data, bytes);
    const bool begins_at_place = input.take<std::uint8_t>() != 0;
    const auto place = input.take<std::uint64_t>();
    const bool is_trimmed = input.take<std::uint8_t>() == 1;
    JournalImage image(is_trimmed ? input.take<std::uint64_t>() : 0);
    for (std::size_t steps = 0; steps < steps_max && !input.is_empty(); ++steps) apply(input, image);
    image.put_into(directory);
    read_all(directory.path(), {begins_at_place ? place : 0}, image);
    image.remove_from(directory);
    return 0;
}
