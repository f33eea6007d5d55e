#include "central/cursors/cursor_reader.hpp"

#include "central/cursors/cursor_store.hpp"
#include "core/control/tool_output.hpp"

namespace weir::central {
namespace {

std::size_t read_record(const journal::RecordView& record, const PartitionQuestion& question,
                        const std::function<void(const FoundEvent&)>& visit) {
    const wire::BatchHeader& batch = record.batch_header;
    if (batch.kind != wire::BatchKind::events || !control::is_plain(record)) return 0;
    std::size_t events = 0;
    wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
        wire::EventView event;
        if (wire::verify_event(frame.body, event) != wire::Reason::none) return;
        if (partition_of(event.key, question.partitions) != question.partition) return;
        const std::uint64_t time_ns = event.time.value != 0 ? event.time.value : record.header.arrival_wall_ns;
        visit({event, frame.body, time_ns, batch, batch.first_sequence + index});
        ++events;
    });
    return events;
}

}  // namespace

Result<PartitionRead> read_partition(const std::string& journal, const PartitionQuestion& question,
                                     const std::function<void(const FoundEvent&)>& visit) {
    auto listed = journal::list_segments(journal);
    if (!listed) return listed.error();
    PartitionRead read;
    read.place = question.place;
    if (listed.value().segments.empty()) {
        read.is_at_end = true;
        return read;
    }
    const auto& first = listed.value().segments.front().header;
    const std::uint64_t begin = first.segment_index * first.segment_bytes;
    if (question.place < begin) {
        read.place = begin + journal::block_bytes;
        // A place before anything was read is no gap where the journal is still whole.
        if (first.segment_index > 0) read.gap_to = read.place;
    }
    auto scanner = journal::Scanner::open(journal, {read.place});
    if (!scanner) return scanner.error();
    scanner.value().expect({question.durable});
    for (std::size_t records = 0; records < partition_records_max && read.events < question.events_max; ++records) {
        const auto record = scanner.value().next();
        if (!record || record->end.value > question.durable) {
            read.is_at_end = true;
            break;
        }
        read.events += read_record(*record, question, visit);
        read.place = record->end.value;
    }
    read.damaged = scanner.value().damaged_records();
    return read;
}

}  // namespace weir::central
