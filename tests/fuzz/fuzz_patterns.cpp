// Patterns and dotted paths of rules and routes, against a plain statement of what they mean.
//
// Input     1 byte: how many patterns (0-7) · each: 1 byte length, bytes · the text: 1 byte length, bytes · the path: the same ·
//           the payload: the rest.
#include <string>
#include <vector>

#include "edge/intake/patterns.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

// Letter by letter, '*' at the end standing for whatever is left.
bool is_match(std::string_view pattern, std::string_view text) {
    std::size_t at = 0;
    for (; at < pattern.size(); ++at) {
        if (pattern[at] == '*' && at + 1 == pattern.size()) return true;
        if (at >= text.size() || text[at] != pattern[at]) return false;
    }
    return at == text.size();
}

// One step after the other by json_member alone.
std::optional<JsonValue> walk(JsonValue value, std::string_view path) {
    for (;;) {
        const std::size_t dot = path.find('.');
        if (value.kind != JsonKind::object) return std::nullopt;
        const auto next = json_member(value.raw, path.substr(0, dot));
        if (!next || dot == path.npos) return next;
        value = *next;
        path.remove_prefix(dot + 1);
    }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const auto short_text = [&] { return std::string(fuzz::text_of(input.take_bytes(input.take<std::uint8_t>()))); };
    std::vector<std::string> texts(input.take<std::uint8_t>() % 8);
    for (std::string& text : texts) text = short_text();
    const std::string text = short_text();
    const edge::Patterns patterns(texts);
    bool expected = texts.empty();
    for (const std::string& pattern : texts) expected = expected || is_match(pattern, text);
    WEIR_ASSERT(patterns.is_empty() == texts.empty());
    WEIR_ASSERT(patterns.matches(text) == expected);

    const std::string path = short_text();
    wire::EventView event;
    event.content_type = text;
    event.payload = fuzz::text_of(input.rest());
    edge::Payload payload(event);
    JsonFault fault;
    const auto whole = json_parse(event.payload, fault);
    WEIR_ASSERT(payload.parses() == whole.has_value());
    const auto found = payload.at(path);
    const auto walked = whole ? walk(*whole, path) : std::nullopt;
    WEIR_ASSERT(found.has_value() == walked.has_value());
    if (found) WEIR_ASSERT(found->raw.data() == walked->raw.data() && found->kind == walked->kind);
    static_cast<void>(payload.is_json_typed());
    return 0;
}
