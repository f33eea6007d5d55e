#include "core/control/letter_reader.hpp"

#include "core/control/tool_output.hpp"
#include "core/wire/unverified.hpp"

namespace weir::control {
namespace {

bool read(const wire::BatchHeader& batch, const wire::FrameView& frame, std::uint32_t index, DeadLetter& letter) {
    if (frame.body.size() < sizeof(wire::DeadLetterHead)) return false;
    letter.edge = wire::name_of(batch.edge_id);
    letter.lineage = batch.lineage;
    letter.sequence = batch.first_sequence + index;
    letter.head = wire::load<wire::DeadLetterHead>(frame.body);
    letter.original = frame.body.subspan(sizeof letter.head);
    if (letter.original.size() != letter.head.original_bytes) return false;
    letter.fault = wire::verify_event(letter.original, letter.event);
    return true;
}

// What central's ingest could not verify lies in its batch, just as it came.
DeadLetter set_aside(const journal::RecordView& record, const wire::FrameView& frame, std::uint32_t index,
                     wire::Reason reason) {
    const wire::BatchHeader& batch = record.batch_header;
    DeadLetter letter;
    letter.edge = wire::name_of(batch.edge_id);
    letter.lineage = batch.lineage;
    letter.sequence = batch.first_sequence + index;
    letter.lane = wire::name_of(batch.lane_name);
    letter.part = batch.part;
    letter.head.reason = letter.fault = reason;
    letter.head.stage = wire::StageId::ingest;
    letter.head.original_bytes = static_cast<std::uint32_t>(frame.body.size());
    letter.head.received_wall_ns = record.header.arrival_wall_ns;
    letter.original = frame.body;
    return letter;
}

}  // namespace

LetterFault for_each_letter(const journal::RecordView& record,
                            const std::function<void(const DeadLetter&, std::uint32_t)>& visit) {
    const wire::BatchHeader& batch = record.batch_header;
    if (batch.kind != wire::BatchKind::events) return LetterFault::none;
    if (!is_plain(record)) return LetterFault::not_plain;
    if (batch.lane != dead_letter_lane) {
        wire::for_each_unverified(batch, record.body(),
                                  [&](std::uint32_t index, const wire::FrameView& frame, wire::Reason reason) {
                                      visit(set_aside(record, frame, index, reason), index);
                                  });
        return LetterFault::none;
    }
    LetterFault fault = LetterFault::none;
    wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
        if (frame.header.kind != wire::FrameKind::dead_letter) return;
        DeadLetter letter;
        if (read(batch, frame, index, letter)) return visit(letter, index);
        fault = LetterFault::cut;
    });
    return fault;
}

}  // namespace weir::control
