// A tap's events as lines.
#include <algorithm>

#include "core/base/base64.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/rules/json_paths.hpp"
#include "edge/tap_desk.hpp"

namespace weir::edge {
namespace {

bool is_whole_json(const TapCopy& event) {
    JsonFault fault;
    return event.payload.size() == event.payload_bytes && rules::is_json(event.content_type) &&
           json_parse(event.payload, fault).has_value();
}

// The payload on one line: line ends in JSON are blanks between its words.
void append_payload(const TapCopy& event, std::string_view base64_before, std::string_view base64_after,
                    std::string& out) {
    if (!is_whole_json(event)) {
        out += base64_before;
        append_base64(event.payload, out);
        out += base64_after;
        return;
    }
    const auto from = static_cast<std::ptrdiff_t>(out.size());
    out += event.payload;
    std::replace_if(
        out.begin() + from, out.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

void append_json(const TapCopy& event, std::string_view lane, std::string& out) {
    const auto member = [&](std::string_view name, std::string_view value) {
        if (value.empty()) return;
        if (out.back() != '{') out += ',';
        json_quote(name, out);
        out += ':';
        json_quote(value, out);
    };
    out += '{';
    member("verdict", text(event.verdict));
    if (event.reason != wire::Reason::none) member("reason", wire::text(event.reason));
    member("lane", lane);
    member("id", event.id);
    member("type", event.type);
    member("source", event.source);
    member("key", event.key);
    if (event.time.value != 0) member("time", format_time(event.time));
    if (event.is_verified) {
        out += ",\"priority\":" + std::to_string(event.priority);
        member("content_type", event.content_type);
        out += ",\"data\":";
        append_payload(event, R"({"base64":")", "\"}", out);
        if (event.payload.size() < event.payload_bytes) out += ",\"data_bytes\":" + std::to_string(event.payload_bytes);
    }
    out += "}\n";
}

// Nothing in an event moves a terminal's cursor: neither control letters, nor those of the second set (U+0080 to U+009F).
void make_plain(std::string& out, std::size_t from) {
    for (std::size_t at = from; at < out.size(); ++at) {
        const auto byte = static_cast<unsigned char>(out[at]);
        const bool is_second_set =
            byte == 0xc2 && at + 1 < out.size() && static_cast<unsigned char>(out[at + 1]) < 0xa0;
        if (byte < 0x20 || byte == 0x7f || is_second_set) out[at] = '?';
        if (is_second_set) out[at + 1] = '?';
    }
}

void append_text(const TapCopy& event, std::string_view lane, std::string& out) {
    const std::size_t from = out.size();
    const auto word = [&](std::string_view name, std::string_view value) {
        if (value.empty()) return;
        if (out.size() > from) out += "  ";
        out += name;
        out += value;
    };
    if (event.time.value != 0) word("", format_time(event.time));
    word("", text(event.verdict));
    if (event.reason != wire::Reason::none) word("reason=", wire::text(event.reason));
    word("lane=", lane);
    word("", event.type);
    word("id=", event.id);
    word("source=", event.source);
    word("key=", event.key);
    if (event.is_verified) {
        out += "  ";
        append_payload(event, "base64:", "", out);
        if (event.payload.size() < event.payload_bytes) {
            out += " (cut, of " + std::to_string(event.payload_bytes) + " bytes)";
        }
    }
    make_plain(out, from);
    out += '\n';
}

}  // namespace

void append_tap_line(const TapCopy& event, std::string_view lane, TapFormat format, std::string& out) {
    if (format == TapFormat::json) return append_json(event, lane, out);
    append_text(event, lane, out);
}

}  // namespace weir::edge
