#include "central/store/event_reader.hpp"

#include <algorithm>

#include "core/control/tool_output.hpp"

namespace weir::central {

Result<EventReader> EventReader::open(const std::string& journal, const EventQuestion& question,
                                      const std::string& indexes) {
    EventReader reader(journal, question, indexes);
    auto listed = journal::list_segments(journal);
    if (!listed) return listed.error();
    reader.segments_ = std::move(listed.value().segments);
    if (auto compiled = reader.compile(); !compiled) return compiled.error();
    return reader;
}

Status EventReader::compile() {
    if (question_.where.empty()) return Done{};
    const auto compiled = rules::compile(question_.where, {.is_placed = true});
    if (!compiled.program) return Error{0, rules::describe(compiled.fault, question_.where)};
    auto set = rules::RuleSet::build({&*compiled.program, 1});
    if (!set) return set.error();
    rules_ = std::make_unique<rules::RuleSet>(std::move(set.value()));
    judge_.emplace(*rules_);
    return Done{};
}

void EventReader::read(const Visit& visit) {
    if (indexes_.empty() || segments_.empty()) {
        static_cast<void>(read_span({}, nullptr, visit));
    } else {
        for (std::size_t at = 0; at < segments_.size(); ++at) {
            if (!read_segment(segments_[at], at + 1 == segments_.size(), visit)) break;
        }
    }
}

bool EventReader::read_segment(const journal::SegmentInfo& segment, bool is_last, const Visit& visit) {
    const std::uint64_t first = segment.header.segment_index * segment.header.segment_bytes;
    const std::uint64_t begin = first + journal::block_bytes;  // behind its header
    const std::uint64_t end = is_last ? UINT64_MAX : first + segment.header.segment_bytes;
    // What is encrypted is not told in the clear beside it.
    const bool is_indexed = !is_last && segment.header.key_id == 0;
    const auto index = is_indexed ? load_index(indexes_, segment) : std::nullopt;
    if (index) {
        for (const Span& span : spans_of(*index, end)) {
            if (!read_span(span, nullptr, visit)) return false;
        }
        return true;
    }
    SegmentIndex made;
    made.journal_id = segment.header.journal_id;
    made.segment_index = segment.header.segment_index;
    if (!read_span({begin, end}, is_indexed ? &made : nullptr, visit)) return false;
    // Where it cannot be written, the next question reads the segment once more.
    if (is_indexed && is_whole_ && !made.blocks.empty() && store_index(indexes_, made)) ++totals_.indexes_written;
    return true;
}

std::vector<EventReader::Span> EventReader::spans_of(const SegmentIndex& index, std::uint64_t segment_end) {
    std::vector<Span> spans;
    for (std::size_t at = 0; at < index.blocks.size(); ++at) {
        const IndexBlock& block = index.blocks[at];
        const std::uint64_t end = at + 1 < index.blocks.size() ? index.blocks[at + 1].position : segment_end;
        if (!may_be_in(block)) {
            ++totals_.blocks_passed;
        } else if (!spans.empty() && spans.back().to == block.position) {
            spans.back().to = end;
        } else {
            spans.push_back({block.position, end, block.previous_crc});
        }
    }
    return spans;
}

bool EventReader::may_be_in(const IndexBlock& block) const {
    if (block.greatest_ns < question_.from_ns || block.least_ns >= question_.until_ns) return false;
    if (question_.key && !block.keys.may_hold(*question_.key)) return false;
    const auto holds_for = [&](const std::string& type) { return rules_->candidate_count(type) > 0; };
    return rules_ == nullptr || block.types.is_open ||
           std::any_of(block.types.names.begin(), block.types.names.end(), holds_for);
}

bool EventReader::read_span(const Span& span, SegmentIndex* made, const Visit& visit) {
    is_whole_ = false;
    auto opened = journal::Scanner::open(journal_, {span.from}, span.previous_crc);
    if (!opened) return false;
    journal::Scanner& scanner = opened.value();
    bool is_wanted = true;
    while (const auto record = scanner.next()) {
        if (record->position.value >= span.to) {
            is_whole_ = scanner.damaged_segments().empty() && scanner.damaged_records() == 0;
            break;
        }
        ++totals_.records;
        is_wanted = read_record(*record, made, visit);
        if (!is_wanted) break;
    }
    totals_.damaged += scanner.damaged_records();
    return is_wanted;
}

bool EventReader::read_record(const journal::RecordView& record, SegmentIndex* made, const Visit& visit) {
    const wire::BatchHeader& batch = record.batch_header;
    if (made != nullptr) made->begin_record(record);
    if (batch.kind != wire::BatchKind::events) return true;
    if (!control::is_plain(record)) {
        totals_.unreadable += batch.count;
        return true;
    }
    bool is_wanted = true;
    wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
        if (!is_wanted) return;
        wire::EventView event;
        ++totals_.events;
        if (wire::verify_event(frame.body, event) != wire::Reason::none) {
            ++totals_.unreadable;
            return;
        }
        const std::uint64_t time_ns = event.time.value != 0 ? event.time.value : record.header.arrival_wall_ns;
        if (made != nullptr) made->add(event, wire::name_of(batch.edge_id), time_ns);
        const FoundEvent found{event, frame.body, time_ns, batch, batch.first_sequence + index};
        if (!is_asked_for(found)) return;
        ++totals_.found;
        is_wanted = visit(found);
    });
    return is_wanted;
}

bool EventReader::is_asked_for(const FoundEvent& found) {
    if (found.time_ns < question_.from_ns || found.time_ns >= question_.until_ns) return false;
    if (question_.key && found.event.key != *question_.key) return false;
    if (!judge_) return true;
    judge_->begin({found.event, wire::name_of(found.batch.edge_id), wire::name_of(found.batch.lane_name),
                   found.batch.part == wire::Part::live ? "live" : "backlog"});
    return judge_->holds(0);
}

}  // namespace weir::central
