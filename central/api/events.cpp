// Events of the journal: GET /api/v1/events.
#include "central/api/answers.hpp"
#include "central/api/event_text.hpp"
#include "central/api/json_text.hpp"
#include "central/api/problem.hpp"
#include "central/api/record_page.hpp"
#include "central/recovery/recovery.hpp"
#include "core/control/tool_output.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t events_max = 1000;

struct Asked {
    std::optional<std::string> type, key, edge, lane;
    std::uint64_t since = 0, until = UINT64_MAX, limit = limit_default;

    [[nodiscard]] bool wants(const wire::BatchHeader& batch) const {
        return agrees(edge, wire::name_of(batch.edge_id)) && agrees(lane, wire::name_of(batch.lane_name));
    }
    [[nodiscard]] bool wants(const wire::EventView& event, std::uint64_t time_ns) const {
        return time_ns >= since && time_ns < until && agrees(type, event.type) && agrees(key, event.key);
    }
};

}  // namespace

void append_event(const wire::EventView& event, const journal::RecordView& record, Sequence sequence,
                  std::string& out) {
    ObjectText text;
    text.text("id", event.id).text("type", event.type).text("source", event.source).text("key", event.key);
    text.number_or_null("time_ms", event.time.value == 0 ? std::nullopt : std::optional(event.time.value / ns_per_ms));
    text.number("arrival_ms", record.header.arrival_wall_ns / ns_per_ms).number("priority", event.priority);
    text.text("edge", wire::name_of(record.batch_header.edge_id));
    text.text("lane", wire::name_of(record.batch_header.lane_name));
    text.text("part", part_text(record.batch_header.part)).number("sequence", sequence);
    text.number("position", record.position.value).text("content_type", event.content_type);
    JsonFault fault;
    const auto payload =
        event.content_type == "application/json" ? json_parse(event.payload, fault) : std::optional<JsonValue>();
    out += text.raw("data", payload ? payload->raw : std::string_view("null")).end();
}

control::AdminResponse answer_events(const ApiSources& sources, std::string_view target) {
    Query query(target, {"type", "key", "edge", "lane", "since", "until", "newest", "limit", "cursor"});
    Asked asked{
        .type = query.text("type"), .key = query.text("key"), .edge = query.text("edge"), .lane = query.text("lane")};
    asked.since = query.time("since").value_or(0);
    asked.until = query.time("until").value_or(UINT64_MAX);
    asked.limit = query.number("limit", 1, events_max).value_or(limit_default);
    const bool is_newest = query.choice("newest", {"1"}).has_value();
    const auto cursor = query.cursor_first('v');
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    if (is_newest && cursor) return problem(400, "newest: not with cursor");
    ObjectText answer;
    answer.raw("as_of", as_of_text(sources));
    const std::uint64_t durable = sources.shared.durable_position.load(std::memory_order_acquire);
    RecordPage::Place from{cursor.value_or(0), query.cursor_second()};
    if (is_newest && sources.milestones != nullptr) from.position = sources.milestones->before(durable, newest_bytes);
    RecordPage page(journal_directory(sources.config), durable, sources.config.journal.segment_bytes);
    std::string events = "[";
    std::uint64_t found = 0;
    const auto walked =
        page.walk(from, cursor.has_value(), [&](const journal::RecordView& record, std::uint64_t first) {
            std::optional<std::uint64_t> rest;
            const wire::BatchHeader& batch = record.batch_header;
            if (batch.kind != wire::BatchKind::events || !control::is_plain(record) || !asked.wants(batch)) return rest;
            wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
                if (rest || index < first) return;
                wire::EventView event;
                if (frame.header.kind != wire::FrameKind::event) return;
                if (wire::verify_event(frame.body, event) != wire::Reason::none) return;
                if (!asked.wants(event, event.time.value != 0 ? event.time.value : record.header.arrival_wall_ns))
                    return;
                if (found == asked.limit) {
                    rest = index;
                    return;
                }
                if (found++ != 0) events += ',';
                append_event(event, record, batch.first_sequence + index, events);
            });
            return rest;
        });
    if (!walked && walked.error().code == RecordPage::gone_code) return problem(410, walked.error().what, problem_gone);
    if (!walked) return problem(503, walked.error().what);
    answer.raw("events", events + "]").number("scanned_bytes", page.scanned_bytes());
    const auto next = page.next();
    answer.text_or_null("next", next ? std::optional(make_cursor('v', next->position, next->index)) : std::nullopt);
    return json_answer(answer.end());
}

}  // namespace weir::central
