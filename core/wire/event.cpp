// FlatBuffers enters weir here and nowhere else.
#include "core/wire/event.hpp"

#include <flatbuffers/flatbuffers.h>

#include <algorithm>
#include <array>

#include "core/base/assert.hpp"
#include "core/base/base64.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/wire/event_reader.hpp"
#include "schemas/event_generated.h"

namespace weir::wire {
namespace {

constexpr std::string_view json_content_type = "application/json";
constexpr std::size_t identifier_at = 4;  // after the root offset

// The reader of the usual event knows the schema by heart.
constexpr bool is_known(EventField field, flatbuffers::voffset_t by_schema) {
    return static_cast<flatbuffers::voffset_t>(field) == by_schema;
}
static_assert(is_known(EventField::id, schema::Event::VT_ID) && is_known(EventField::type, schema::Event::VT_TYPE) &&
              is_known(EventField::source, schema::Event::VT_SOURCE) &&
              is_known(EventField::key, schema::Event::VT_KEY) &&
              is_known(EventField::time_ns, schema::Event::VT_TIME_NS) &&
              is_known(EventField::priority, schema::Event::VT_PRIORITY) &&
              is_known(EventField::trace_id, schema::Event::VT_TRACE_ID) &&
              is_known(EventField::content_type, schema::Event::VT_CONTENT_TYPE) &&
              is_known(EventField::payload, schema::Event::VT_PAYLOAD));
static_assert(priority_normal == static_cast<std::uint8_t>(schema::Priority::normal) &&
              priority_max == static_cast<std::uint8_t>(schema::Priority::MAX));

std::string_view text_of(const flatbuffers::String* text) {
    return text == nullptr ? std::string_view{} : std::string_view(text->c_str(), text->size());
}
std::string_view text_of(const flatbuffers::Vector<std::uint8_t>* bytes) {
    if (bytes == nullptr) return {};
    return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

// The scalar fields lie at any byte of a receive slab: copied out, never dereferenced.
template <class T>
T scalar_at(const flatbuffers::Table& table, flatbuffers::voffset_t field, T otherwise) {
    const std::uint8_t* const at = table.GetAddressOf(field);
    if (at == nullptr) return otherwise;
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

bool is_within(std::string_view text, std::size_t bytes_min, std::size_t bytes_max) {
    return text.size() >= bytes_min && text.size() <= bytes_max;
}

bool are_texts_good(const EventView& view) {
    return is_within(view.id, 1, id_bytes_max) && is_within(view.type, 1, type_bytes_max) &&
           is_within(view.source, 1, source_bytes_max) && is_within(view.key, 0, key_bytes_max) &&
           is_within(view.content_type, 1, content_type_bytes_max) &&
           (view.trace_id.empty() || view.trace_id.size() == trace_id_bytes);
}

// What the event would take if no two fields shared bytes. Offsets may name the same bytes twice, and whoever unfolds
// them pays for each.
std::size_t logical_bytes(const EventView& view) {
    return view.id.size() + view.type.size() + view.source.size() + view.key.size() + view.content_type.size() +
           view.payload.size() + view.trace_id.size();
}

void append_member(std::string_view name, std::string_view value, std::string& out) {
    out += name;
    json_quote(value, out);
}

void append_payload(const EventView& event, std::string& out) {
    JsonFault fault;
    if (event.content_type == json_content_type && json_parse(event.payload, fault)) {
        const std::size_t from = out.size();
        out += event.payload;
        // Line ends can only be blanks between tokens here: the event stays on its line.
        std::replace_if(
            out.begin() + static_cast<std::ptrdiff_t>(from), out.end(), [](char c) { return c == '\n' || c == '\r'; },
            ' ');
        return;
    }
    out += R"({"base64":")";
    append_base64(event.payload, out);
    out += R"("})";
}

}  // namespace

Reason verify_event_by_library(ConstBytes bytes, EventView& view) noexcept {
    if (bytes.empty()) return Reason::empty;
    if (bytes.size() > event_bytes_max) return Reason::too_large;
    const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    if (bytes.size() < identifier_at + flatbuffers::kFileIdentifierLength) return Reason::not_flatbuffer;
    if (!schema::EventBufferHasIdentifier(data)) return Reason::wrong_identifier;
    flatbuffers::Verifier verifier(data, bytes.size(), event_depth_max, event_tables_max, /*check_alignment=*/false);
    if (!schema::VerifyEventBuffer(verifier)) return Reason::not_flatbuffer;

    const schema::Event& event = *schema::GetEvent(data);
    view.id = text_of(event.id());
    view.type = text_of(event.type());
    view.source = text_of(event.source());
    view.key = text_of(event.key());
    view.content_type = text_of(event.content_type());
    if (view.content_type.empty()) view.content_type = json_content_type;
    view.payload = text_of(event.payload());
    view.trace_id = text_of(event.trace_id());
    const auto& table = *flatbuffers::GetRoot<flatbuffers::Table>(data);
    view.time = {scalar_at<std::uint64_t>(table, schema::Event::VT_TIME_NS, 0)};
    view.priority = scalar_at(table, schema::Event::VT_PRIORITY, static_cast<std::uint8_t>(schema::Priority::normal));

    if (logical_bytes(view) > event_bytes_max) return Reason::logical_bytes;
    if (!are_texts_good(view)) return Reason::text_length;
    if (view.priority > static_cast<std::uint8_t>(schema::Priority::MAX)) return Reason::out_of_range;
    return Reason::none;
}

struct EventBuilder::State {
    explicit State(std::size_t bytes) : builder(bytes) {}
    flatbuffers::FlatBufferBuilder builder;  // grows to the largest event seen and stays
};

EventBuilder::EventBuilder(std::size_t bytes) : state_(new State(bytes)) {
    // The builder takes its memory when it is first used.
    EventView smallest;
    smallest.id = smallest.type = smallest.source = "1";
    (void)build(smallest);
}
EventBuilder::~EventBuilder() {
    delete state_;
}

ConstBytes EventBuilder::build(const EventView& event) {
    flatbuffers::FlatBufferBuilder& builder = state_->builder;
    builder.Clear();
    const auto bytes_of = [&](std::string_view bytes) {
        if (bytes.empty()) return flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>>{};
        return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    };
    const auto optional_text = [&](std::string_view value) {
        return value.empty() ? flatbuffers::Offset<flatbuffers::String>{} : builder.CreateString(value);
    };
    const auto payload = bytes_of(event.payload);
    const auto trace_id = bytes_of(event.trace_id);
    const bool is_json = event.content_type == json_content_type;
    const auto content_type = optional_text(is_json ? std::string_view{} : event.content_type);
    const auto key = optional_text(event.key);
    const auto source = builder.CreateString(event.source);
    const auto type = builder.CreateString(event.type);
    const auto id = builder.CreateString(event.id);

    schema::EventBuilder table(builder);
    table.add_time_ns(event.time.value);
    table.add_payload(payload);
    table.add_content_type(content_type);
    table.add_trace_id(trace_id);
    table.add_key(key);
    table.add_source(source);
    table.add_type(type);
    table.add_id(id);
    table.add_priority(static_cast<schema::Priority>(event.priority));
    schema::FinishEventBuffer(builder, table.Finish());
    return std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
}

void append_event_json(const EventView& event, std::string_view extra, std::string& out) {
    append_member(R"({"id":)", event.id, out);
    append_member(R"(,"type":)", event.type, out);
    append_member(R"(,"source":)", event.source, out);
    if (event.time.value != 0) append_member(R"(,"time":)", format_time(event.time), out);
    if (!event.key.empty()) append_member(R"(,"key":)", event.key, out);
    out += R"(,"data":)";
    append_payload(event, out);
    out += extra;
    out += '}';
}

}  // namespace weir::wire
