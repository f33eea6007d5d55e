// Text that claims to be JSON: json_parse and Boost.JSON agree on what is JSON, what Boost prints reads back as the same value,
// and a text survives being quoted and read.
#include <boost/json.hpp>
#include <string>

#include "core/base/json_scan.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

boost::json::value boost_parse(std::string_view text, boost::json::error_code& error) {
    boost::json::parse_options options;
    options.max_depth = json_depth_max;
    return boost::json::parse({text.data(), text.size()}, error, {}, options);
}

JsonKind kind_of(const boost::json::value& value) {
    if (value.is_object()) return JsonKind::object;
    if (value.is_array()) return JsonKind::array;
    if (value.is_string()) return JsonKind::string;
    if (value.is_bool()) return JsonKind::boolean;
    return value.is_null() ? JsonKind::null : JsonKind::number;
}

void must_say_the_same(const JsonValue& ours, const boost::json::value& theirs) {
    WEIR_ASSERT(ours.kind == kind_of(theirs));
    std::string text;
    if (ours.kind == JsonKind::string) {
        WEIR_ASSERT(json_text(ours, text));
        WEIR_ASSERT(std::string_view(theirs.get_string()) == text);
    }
    if (ours.kind != JsonKind::object) return;
    for (const auto& member : theirs.get_object()) {
        const auto found = json_member(ours.raw, {member.key().data(), member.key().size()});
        WEIR_ASSERT(found.has_value());
        must_say_the_same(*found, member.value());
    }
}

void must_survive_quoting(std::string_view text) {
    std::string quoted;
    json_quote(text, quoted);
    JsonFault fault;
    const auto value = json_parse(quoted, fault);
    WEIR_ASSERT(value.has_value() && value->kind == JsonKind::string && value->raw == quoted);
    std::string read;
    WEIR_ASSERT(json_text(*value, read));
    WEIR_ASSERT(read == text || read.find("\xef\xbf\xbd") != std::string::npos);
    std::string again;
    json_quote(read, again);
    WEIR_ASSERT(again == quoted);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const std::string_view text = fuzz::text_of(std::as_bytes(std::span(data, bytes)));
    must_survive_quoting(text);
    JsonFault fault;
    const auto value = json_parse(text, fault);
    boost::json::error_code error;
    const boost::json::value theirs = boost_parse(text, error);
    if (!value) {
        WEIR_ASSERT(fault.at <= bytes && *fault.what != '\0');
        WEIR_ASSERT(error);
        return 0;
    }
    static_cast<void>(json_number(*value));
    static_cast<void>(json_path(value->raw, "data.fine"));
    std::string read;
    if (error) {
        // Ours checks the grammar alone: a lone surrogate is found when the text is wanted, a number's size when its value is.
        const bool may_differ = text.find("\\u") != text.npos || text.find_first_of("eE") != text.npos;
        WEIR_ASSERT(may_differ);
        static_cast<void>(json_text(*value, read));
        return 0;
    }
    must_say_the_same(*value, theirs);
    const std::string printed = boost::json::serialize(theirs);
    // How Boost prints 1e999 and 0e999, which is no JSON.
    if (printed.find("Infinity") != printed.npos || printed.find("NaN") != printed.npos) return 0;
    const auto again = json_parse(printed, fault);
    WEIR_ASSERT(again.has_value());
    must_say_the_same(*again, theirs);
    return 0;
}
