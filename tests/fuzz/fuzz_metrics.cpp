// What `weir-edge top` reads and shows: whatever an answer says, a table whose lines fit and move no cursor; what was read of /metrics can
// be written and read again.
//
// Input     1 byte: columns · 2 bytes length, the text of /metrics before · the same now · the ledger: the rest.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "edge/top_view.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

std::string written(std::string_view name, const control::Metric& metric) {
    std::string line(name);
    line += '{';
    for (const auto& [label, value] : metric.labels) {
        if (line.back() != '{') line += ',';
        line += label + "=\"";
        for (const char c : value) {
            if (c == '"' || c == '\\') line += '\\';
            line += c == '\n' ? std::string("\\n") : std::string(1, c);
        }
        line += '"';
    }
    char number[64];
    const auto end = std::to_chars(number, number + sizeof number, metric.value);
    line += "} ";
    line += std::isinf(metric.value) ? std::string_view("+Inf")
                                     : std::string_view(number, static_cast<std::size_t>(end.ptr - number));
    return line;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const std::size_t columns = input.take<std::uint8_t>();
    const auto before_text = fuzz::copy_of(input.take_part());
    const auto now_text = fuzz::copy_of(input.take_part());
    const control::TopLook before{control::Metrics::read(fuzz::text_of(before_text)), {}};
    const control::TopLook now{control::Metrics::read(fuzz::text_of(now_text)),
                               {std::string(fuzz::text_of(input.rest()))}};
    for (const control::TopLook* const earlier : {&before, static_cast<const control::TopLook*>(nullptr)}) {
        const std::string table = edge::top_table(now, earlier, 1.5, {.columns = columns, .rows = 50});
        WEIR_ASSERT(std::count(table.begin(), table.end(), '\n') <= 50);
        std::size_t width = 0;
        for (const char c : table) {
            WEIR_ASSERT(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
            width = c == '\n' ? 0 : width + 1;
            WEIR_ASSERT(width <= columns);
        }
    }
    for (const char* const name :
         {"weir_edge_info", "weir_edge_lane_accepted_events_total", "weir_edge_append_seconds_bucket"}) {
        for (const control::Metric& metric : now.metrics.all(name)) {
            const auto again = control::Metrics::read(written(name, metric));
            WEIR_ASSERT(again.all(name).size() == 1);
            WEIR_ASSERT(again.all(name)[0].labels == metric.labels && again.all(name)[0].value == metric.value);
        }
    }
    return 0;
}
