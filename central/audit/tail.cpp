#include "central/audit/tail.hpp"

#include <algorithm>

#include "core/journal/at_rest.hpp"
#include "core/journal/posix_file.hpp"
#include "core/journal/record.hpp"
#include "core/journal/scan.hpp"

namespace weir::central::audit {
namespace {

constexpr std::size_t heads_bytes = sizeof(journal::RecordHeader) + sizeof(wire::BatchHeader);
constexpr std::size_t read_bytes = 1U << 20;

struct Heads {
    journal::RecordHeader record;
    wire::BatchHeader batch;
};

// The headers at the front of `bytes`, if they are whole.
bool load_heads(ConstBytes bytes, Heads& heads) {
    heads.record = wire::load<journal::RecordHeader>(bytes);
    if (heads.record.magic != journal::record_magic && heads.record.magic != journal::sealed_magic) return false;
    heads.batch = wire::load<wire::BatchHeader>(bytes.subspan(sizeof(journal::RecordHeader)));
    return heads.record.crc == journal::record_crc(heads.record, heads.batch);
}

std::string text_of(const wire::BatchHeader& batch) {
    return "edge " + std::string(wire::name_of(batch.edge_id)) + " lane " +
           std::string(wire::name_of(batch.lane_name)) + " sequences " + std::to_string(batch.first_sequence) + ".." +
           std::to_string(batch.last_sequence());
}

// The batch's header of a sealed record, wherever it lies now: its own position says under what it was sealed.
bool unseal(const journal::PosixFile& file, std::uint64_t offset, const journal::SegmentInfo& info, Heads& heads) {
    const std::uint64_t bytes = journal::stored_bytes(heads.record.batch_bytes, true);
    if (info.is_locked || bytes > wire::frame_body_bytes_max + journal::block_bytes) return false;
    std::vector<std::byte> record(bytes);
    if (file.read(record, offset) != static_cast<std::int64_t>(bytes)) return false;
    const Bytes batch = Bytes(record).subspan(sizeof(journal::RecordHeader), heads.record.batch_bytes);
    const auto seal = wire::load<journal::RecordSeal>(ConstBytes(record).last(sizeof(journal::RecordSeal)));
    journal::RecordCipher cipher(info.header.journal_id);
    const auto opened =
        cipher.open(heads.record.position / info.header.segment_bytes, heads.record, seal, batch, batch.data());
    if (opened != journal::RecordCipher::Opened::whole) return false;
    heads.batch = wire::load<wire::BatchHeader>(batch);
    return true;
}

// Calls visit(offset, heads) for each whole pair of headers from `offset` on, to the end of the file.
template <class Visit>
void for_each_heads(const journal::PosixFile& file, const journal::SegmentInfo& info, std::uint64_t offset,
                    Visit&& visit) {
    std::vector<std::byte> buffer(read_bytes + heads_bytes);
    Heads heads;
    for (;; offset += read_bytes) {
        const auto count = file.read(buffer, offset);
        if (count < static_cast<std::int64_t>(heads_bytes)) return;
        const auto places = std::min<std::size_t>(read_bytes, static_cast<std::size_t>(count) - heads_bytes + 1);
        const ConstBytes bytes(buffer);
        for (std::size_t at = 0; at < places; at += wire::frame_alignment) {
            const auto magic = wire::load<std::uint32_t>(bytes.subspan(at));
            if (magic != journal::record_magic && magic != journal::sealed_magic) continue;
            if (!load_heads(bytes.subspan(at, heads_bytes), heads)) continue;
            if (magic == journal::sealed_magic && !unseal(file, offset + at, info, heads)) continue;
            visit(offset + at, heads);
        }
    }
}

}  // namespace

TailFindings look_behind(const std::string& directory, Position end,
                         const std::function<void(const wire::BatchHeader&)>& moved) {
    TailFindings found;
    const auto list = journal::list_segments(directory);
    if (!list) return found;
    for (const journal::SegmentInfo& info : list.value().segments) {
        const std::uint64_t segment_bytes = info.header.segment_bytes;
        const std::uint64_t begin = info.header.segment_index * segment_bytes;
        if (begin + segment_bytes <= end.value) continue;
        const std::uint64_t first = end.value > begin ? end.value - begin : 0;
        const journal::PosixFile file(info.path, O_RDONLY);
        if (!file.is_open()) continue;  // released beside us
        for_each_heads(file, info, std::max<std::uint64_t>(first, journal::segment_header_bytes),
                       [&](std::uint64_t offset, const Heads& heads) {
                           const std::string place = info.path + ":" + std::to_string(offset) + ": ";
                           if (heads.record.position > begin + offset) {
                               moved(heads.batch);
                               if (!found.fault.empty()) return;
                               found.fault = place + "a record of position " + std::to_string(heads.record.position) +
                                             " lies here (" + text_of(heads.batch) + "): bytes before it were cut out";
                           } else if (heads.record.position == begin + offset && found.note.empty()) {
                               found.note = place + "records behind the end, of writes cut by a crash or under way: " +
                                            text_of(heads.batch) + " is the first";
                           }
                       });
    }
    return found;
}

}  // namespace weir::central::audit
