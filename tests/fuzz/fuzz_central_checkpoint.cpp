// The content of central's checkpoint: whatever it holds, central starts unless its limits are too small; what was taken from it is
// packed into the same bytes.
//
// Input     1 byte: bit 0 makes it name the journals that are there · the content.
#include "central/recovery/recovery.hpp"
#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/journal_image.hpp"

namespace {
using namespace weir;
using central::CheckpointHead;

// Both journals there, each with one segment and no record in it.
struct Place {
    Place() {
        for (const char* name : {"/journal", "/dead-letters"}) {
            std::filesystem::create_directory(directory.path() + name);
            journal::SegmentHeader header;
            header.journal_id = fuzz::JournalImage::journal_id;
            header.segment_bytes = 2 * journal::block_bytes;
            header.crc = journal::segment_crc(header);
            std::vector<std::byte> segment(header.segment_bytes);
            wire::store(segment, header);
            directory.put(name + ("/" + journal::segment_file_name(0)), segment);
        }
        config.data_dir = directory.path();
        config.limits.edges_max = 4;
        config.limits.positions_max = 8;
    }
    fuzz::ScratchDirectory directory;
    central::CentralConfig config;
};

void put_checkpoint(const Place& place, ConstBytes content) {
    journal::CheckpointHeader header;
    header.content_bytes = static_cast<std::uint32_t>(content.size());
    header.serial = 2;
    std::vector<std::byte> file(sizeof header + content.size() + sizeof(std::uint32_t));
    wire::store(file, header);
    std::copy(content.begin(), content.end(), file.begin() + sizeof header);
    const std::size_t covered = sizeof header + content.size();
    wire::store(Bytes(file).subspan(covered), crc32c(0, ConstBytes(file).first(covered)));
    place.directory.put("central-checkpoint.0", file);
}

void must_be_packed_the_same(const central::PositionTable& table, ConstBytes content) {
    const auto head = wire::load<CheckpointHead>(content);
    if (table.row_count() != head.rows) return;  // a row that came twice
    std::vector<std::byte> packed;
    WEIR_ASSERT(central::pack_checkpoint(table, head, packed));
    if (head.stored_bytes_width != 0) {
        WEIR_ASSERT(std::equal(packed.begin(), packed.end(), content.begin(), content.end()));
        return;
    }
    // As it was before rows had their bytes beside them.
    const ConstBytes rows = content.subspan(sizeof head);
    WEIR_ASSERT(std::equal(rows.begin(), rows.end(), packed.begin() + sizeof head));
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const Place place;
    fuzz::Input input(data, bytes);
    const bool names_journals = input.take<std::uint8_t>() % 2 != 0;
    auto content = fuzz::copy_of(input.rest());
    if (content.size() > journal::checkpoint_content_bytes_max) return 0;
    if (names_journals && content.size() >= sizeof(CheckpointHead)) {
        auto head = wire::load<CheckpointHead>(content);
        head.journal_id = head.dead_letters_id = fuzz::JournalImage::journal_id;
        wire::store(content, head);
    }
    put_checkpoint(place, content);
    central::PositionTable table(place.config.limits.positions_max, place.config.limits.edges_max);
    const auto recovered = central::recover(place.config, table);
    if (!recovered) {
        // Only what an operator can set right ends a start.
        WEIR_ASSERT(content.size() > sizeof(CheckpointHead));
        WEIR_ASSERT(recovered.error().what.find("limits.") != std::string::npos);
        const auto rows = (content.size() - sizeof(CheckpointHead)) / sizeof(central::CheckpointRow);
        WEIR_ASSERT(rows > std::min(place.config.limits.edges_max, place.config.limits.positions_max));
        return 0;
    }
    WEIR_ASSERT(recovered.value().from_checkpoint || table.row_count() == 0);
    for (std::uint32_t i = 0; i < table.row_count(); ++i) {
        const central::PositionRow& row = table.row(i);
        WEIR_ASSERT(row.received.get() == row.appended.get() + row.duplicates.get() + row.rejected.get());
    }
    if (recovered.value().from_checkpoint) must_be_packed_the_same(table, content);
    return 0;
}
