// Bytes that claim to be an event: the gate refuses them or every view lies within them.
#include "core/base/assert.hpp"
#include "core/wire/event.hpp"

namespace {
void must_lie_within(std::string_view view, const std::uint8_t* data, std::size_t bytes) {
    if (view.empty()) return;
    const auto* begin = reinterpret_cast<const std::uint8_t*>(view.data());
    // The default content type is the only text that does not come from the event.
    if (view == "application/json" && (begin < data || begin >= data + bytes)) return;
    WEIR_ASSERT(begin >= data);
    WEIR_ASSERT(begin + view.size() <= data + bytes);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace weir;
    wire::EventView event;
    if (wire::verify_event(std::as_bytes(std::span(data, bytes)), event) != wire::Reason::none) return 0;
    for (const auto view :
         {event.id, event.type, event.source, event.key, event.content_type, event.payload, event.trace_id})
        must_lie_within(view, data, bytes);
    std::string text;
    wire::append_event_json(event, "", text);
    WEIR_ASSERT(!text.empty());
    return 0;
}
