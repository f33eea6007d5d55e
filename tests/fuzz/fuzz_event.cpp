// Bytes that claim to be an event: the gate refuses them or every view lies within them, building it anew gives the same event,
// and its line of JSON says the same. What the reader of the usual event takes, FlatBuffers' verifier takes, and reads the same.
#include <string>

#include "core/base/json_scan.hpp"
#include "core/wire/event_reader.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

void must_lie_within(std::string_view view, ConstBytes bytes) {
    if (view.empty()) return;
    const auto* begin = reinterpret_cast<const std::byte*>(view.data());
    // The default content type is the only text that does not come from the event.
    const bool is_inside = begin >= bytes.data() && begin < bytes.data() + bytes.size();
    if (view == "application/json" && !is_inside) return;
    WEIR_ASSERT(begin >= bytes.data());
    WEIR_ASSERT(begin + view.size() <= bytes.data() + bytes.size());
}

void must_be_what_the_library_reads(ConstBytes bytes) {
    wire::EventView read;
    if (!wire::read_usual_event(bytes, read)) return;
    wire::EventView by_library;
    WEIR_ASSERT(wire::verify_event_by_library(bytes, by_library) == wire::Reason::none);
    for (const auto field : {&wire::EventView::id, &wire::EventView::type, &wire::EventView::source,
                             &wire::EventView::key, &wire::EventView::payload, &wire::EventView::trace_id}) {
        WEIR_ASSERT((read.*field).data() == (by_library.*field).data());
        WEIR_ASSERT((read.*field).size() == (by_library.*field).size());
    }
    WEIR_ASSERT(read.content_type == by_library.content_type);
    WEIR_ASSERT(read.time == by_library.time && read.priority == by_library.priority);
}

void must_survive_building(const wire::EventView& event) {
    wire::EventBuilder builder;
    wire::EventView again;
    const wire::Reason reason = wire::verify_event(builder.build(event), again);
    if (reason == wire::Reason::too_large) return;  // fields that shared bytes no longer do
    WEIR_ASSERT(reason == wire::Reason::none);
    WEIR_ASSERT(again.id == event.id && again.type == event.type && again.source == event.source);
    WEIR_ASSERT(again.key == event.key && again.content_type == event.content_type && again.payload == event.payload);
    WEIR_ASSERT(again.time == event.time && again.priority == event.priority && again.trace_id == event.trace_id);
}

// `text` as a reader of the line gets it back; bytes that were no UTF-8 are replaced.
void must_say(std::string_view line, std::string_view name, std::string_view text) {
    const auto member = json_member(line, name);
    WEIR_ASSERT(member.has_value());
    std::string read;
    WEIR_ASSERT(json_text(*member, read));
    WEIR_ASSERT(read == text || read.find("\xef\xbf\xbd") != std::string::npos);
}

void must_be_one_line_of_json(const wire::EventView& event) {
    std::string line;
    wire::append_event_json(event, ",\"edge\":\"north\"", line);
    WEIR_ASSERT(line.find('\n') == std::string::npos);
    JsonFault fault;
    if (!json_parse(line, fault)) {
        // A payload as deep as is read lies one deeper in the line.
        WEIR_ASSERT(std::string_view(fault.what) == "nested too deeply");
        return;
    }
    must_say(line, "id", event.id);
    must_say(line, "type", event.type);
    must_say(line, "source", event.source);
    if (!event.key.empty()) must_say(line, "key", event.key);
    must_say(line, "edge", "north");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const ConstBytes input = std::as_bytes(std::span(data, bytes));
    must_be_what_the_library_reads(input);
    wire::EventView event;
    if (wire::verify_event(input, event) != wire::Reason::none) return 0;
    for (const auto view :
         {event.id, event.type, event.source, event.key, event.content_type, event.payload, event.trace_id}) {
        must_lie_within(view, input);
    }
    must_survive_building(event);
    must_be_one_line_of_json(event);
    return 0;
}
