// Text that claims to be JSON: what json_parse accepts, json_member can walk.
#include "core/base/assert.hpp"
#include "core/base/json_scan.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace weir;
    const std::string_view text(reinterpret_cast<const char*>(data), bytes);
    JsonFault fault;
    const auto value = json_parse(text, fault);
    if (!value) {
        WEIR_ASSERT(fault.at <= bytes);
        return 0;
    }
    static_cast<void>(json_number(*value));
    if (value->kind == JsonKind::object) static_cast<void>(json_path(value->raw, "data.fine"));
    std::string out;
    if (value->kind == JsonKind::string && json_text(*value, out)) {
        std::string quoted;
        json_quote(out, quoted);
        JsonFault again;
        WEIR_ASSERT(json_parse(quoted, again).has_value());
    }
    return 0;
}
