#include "central/store/event_reader.hpp"

#include "core/control/tool_output.hpp"

namespace weir::central {

Result<EventReader> EventReader::open(const std::string& journal, const EventQuestion& question) {
    auto scanner = journal::Scanner::open(journal, {});
    if (!scanner) return scanner.error();
    EventReader reader(question, std::move(scanner.value()));
    if (question.where.empty()) return reader;
    auto compiled = rules::compile(question.where, {.is_placed = true});
    if (!compiled.program) return Error{0, rules::describe(compiled.fault, question.where)};
    auto set = rules::RuleSet::build({&*compiled.program, 1});
    if (!set) return set.error();
    reader.rules_ = std::make_unique<rules::RuleSet>(std::move(set.value()));
    reader.judge_.emplace(*reader.rules_);
    return reader;
}

void EventReader::read(const std::function<bool(const FoundEvent&)>& visit) {
    while (const auto record = scanner_.next()) {
        ++totals_.records;
        if (!read_record(*record, visit)) break;
    }
    totals_.damaged = scanner_.damaged_records();
}

bool EventReader::read_record(const journal::RecordView& record, const std::function<bool(const FoundEvent&)>& visit) {
    const wire::BatchHeader& batch = record.batch_header;
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
