// Payloads of a registered schema: whatever the bytes, a verdict; what is taken, the verifier that flatc makes takes too; and what it
// refuses is not taken. Paths are read from either, and nothing outside is.
//
// Input     1 byte: even = the shipped schema, odd = one without its last event type · the payload: the rest.
#include <flatbuffers/flatbuffers.h>

#include <fstream>
#include <iterator>

#include "core/rules/flat_verifier.hpp"
#include "core/wire/event.hpp"
#include "schemas/civic_generated.h"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using namespace weir::rules;

FlatSchema schema_at(const char* path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bfbs{std::istreambuf_iterator<char>(file), {}};
    auto schema = FlatSchema::load({.content_type = "x"}, std::as_bytes(std::span(bfbs.data(), bfbs.size())));
    WEIR_ASSERT(schema.ok());
    return std::move(schema.value());
}
struct Known {
    explicit Known(const char* path) : schema(schema_at(path)), verifier(schema), paths(schema, asked) {}
    const std::vector<Path> asked{{},
                                  {{"fact"}},
                                  {{"fact_type"}},
                                  {{"fact"}, {"report_id"}},
                                  {{"fact"}, {"place"}, {"latitude"}},
                                  {{"fact"}, {"photos"}, {"", 1}},
                                  {{"fact"}, {"digest"}, {"", 31}},
                                  {{"fact"}, {"value"}},
                                  {{"fact"}, {"after"}}};
    FlatSchema schema;
    FlatVerifier verifier;
    FlatPaths paths;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const Known newer(WEIR_CIVIC_BFBS);
    static const Known older(WEIR_TEST_SCHEMAS "/civic_older.bfbs");
    fuzz::Input input(data, bytes);
    const bool is_newer = input.take<std::uint8_t>() % 2 == 0;
    const Known& known = is_newer ? newer : older;
    const auto payload = fuzz::copy_of(input.rest());
    const std::string_view text = fuzz::text_of(payload);
    const wire::Reason reason = known.verifier.verify(text);
    const bool has_identifier = text.size() >= 8 && text.substr(4, 4) == "WCIV";
    flatbuffers::Verifier flatc(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size(),
                                wire::event_depth_max, wire::event_tables_max, false);
    const bool is_good = has_identifier && weir::schema::civic::VerifyCivicBuffer(flatc);
    switch (reason) {
        case wire::Reason::none:
            WEIR_ASSERT(is_good);
            break;
        case wire::Reason::schema_mismatch:
            WEIR_ASSERT(!is_good);
            break;
        case wire::Reason::schema_newer:  // flatc's takes what it does not know
        case wire::Reason::too_deep:
        case wire::Reason::logical_bytes:
            break;
        default:
            WEIR_ASSERT(!"a reason that a payload can have");
    }
    for (std::uint32_t path = 0; path < known.asked.size() && known.paths.accepts(text); ++path) {
        const Value value = known.paths.read(path, text);
        if (value.type != Type::text || value.bytes == 0) continue;
        WEIR_ASSERT(value.start >= text.data() && value.start + value.bytes <= text.data() + text.size());
    }
    return 0;
}
