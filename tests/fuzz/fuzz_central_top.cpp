// What `weir-central top` reads and shows: whatever the answers say, a table whose lines fit and move no cursor.
//
// Input     1 byte: columns · 1 byte: rows · 2 bytes length, the text of /metrics · the same: /api/v1/ledger · the same: /api/v1/edges ·
//           /api/v1/alerts: the rest.
#include <algorithm>

#include "central/top/top_view.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace weir;
    fuzz::Input input(data, bytes);
    const control::TopSize size{.columns = input.take<std::uint8_t>(), .rows = 1U + input.take<std::uint8_t>()};
    const auto metrics = fuzz::copy_of(input.take_part());
    const auto ledger = fuzz::copy_of(input.take_part());
    const auto edges = fuzz::copy_of(input.take_part());
    const auto alerts = fuzz::copy_of(input.rest());
    const control::TopLook now{
        control::Metrics::read(fuzz::text_of(metrics)),
        {std::string(fuzz::text_of(ledger)), std::string(fuzz::text_of(edges)), std::string(fuzz::text_of(alerts))}};
    for (const control::TopLook* const before : {&now, static_cast<const control::TopLook*>(nullptr)}) {
        const std::string table = central::top_table(now, before, 1.5, WallNs{1'517'385'600'000'000'000}, size);
        WEIR_ASSERT(static_cast<std::size_t>(std::count(table.begin(), table.end(), '\n')) <= size.rows);
        std::size_t width = 0;
        for (const char c : table) {
            WEIR_ASSERT(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
            width = c == '\n' ? 0 : width + 1;
            WEIR_ASSERT(width <= size.columns);
        }
    }
    return 0;
}
