// A file of JSON lines, plain or gzip: each line that is not blank gives an event or a fault that names it, whatever lies in the
// lines around it; and an event printed as a line is the same event when it is read again.
#include <algorithm>

#include "bench/ndjson.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

bool is_gzip(std::string_view text) {
    return text.starts_with("\x1f\x8b");
}

std::size_t lines_that_are_not_blank(std::string_view text) {
    std::size_t count = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        while (line.ends_with('\r')) line.remove_suffix(1);
        if (line.find_first_not_of(" \t") != line.npos) ++count;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return count;
}

void must_survive_printing(const wire::EventView& event) {
    static fuzz::MemoryFile file;
    std::string printed;
    wire::append_event_json(event, "", printed);
    file.set(fuzz::bytes_of(printed));
    auto reader = bench::NdjsonReader::open(file.path());
    WEIR_ASSERT(reader.ok());
    const auto line = reader.value().next();
    WEIR_ASSERT(line.has_value());
    if (event.time.value == 0) return;  // the first second of 1970 is printed as "not said"
    if (!line->fault.empty()) {
        WEIR_ASSERT(line->fault.ends_with("longer than 1 MiB"));
        return;
    }
    const wire::EventView& again = line->event;
    WEIR_ASSERT(again.id == event.id && again.type == event.type && again.source == event.source);
    WEIR_ASSERT(again.key == event.key && again.time == event.time && again.payload == event.payload);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static fuzz::MemoryFile file;
    const ConstBytes content = std::as_bytes(std::span(data, bytes));
    file.set(content);
    auto reader = bench::NdjsonReader::open(file.path());
    WEIR_ASSERT(reader.ok());
    std::size_t count = 0;
    while (const auto line = reader.value().next()) {
        ++count;
        if (line->fault.empty()) {
            must_survive_printing(line->event);
        } else {
            WEIR_ASSERT(line->fault.starts_with(file.path() + ":"));
        }
    }
    const std::string_view text = fuzz::text_of(content);
    if (!is_gzip(text)) WEIR_ASSERT(count == lines_that_are_not_blank(text));
    return 0;
}
