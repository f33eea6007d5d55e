// The state of analytics: whatever the bytes, no read beyond them; what is taken up is saved again, and that is taken up too, byte for byte.
//
// Input     1 byte: which part · its bytes. (A checksum over the whole guards them on a disk; here they come as they are.)
#include <functional>
#include <memory>

#include "central/analytics/alert_machine.hpp"
#include "central/analytics/anomaly_ensemble.hpp"
#include "central/analytics/event_clock.hpp"
#include "central/analytics/pane_windows.hpp"
#include "central/analytics/pattern_machine.hpp"
#include "central/analytics/session_windows.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using namespace weir::analytics;

template <class Part>
void load_and_save(const std::function<std::unique_ptr<Part>()>& make, ConstBytes bytes) {
    const auto part = make();
    const std::vector<std::byte> exact = fuzz::copy_of(bytes);
    StateReader in(fuzz::text_of(exact));
    part->load(in);
    if (!in.is_done()) return;
    StateWriter once;
    part->save(once);
    const auto again = make();
    StateReader second(once.bytes());
    again->load(second);
    WEIR_ASSERT(second.is_done());
    StateWriter twice;
    again->save(twice);
    WEIR_ASSERT(once.bytes() == twice.bytes());
}

WindowSpec spec_of(std::uint64_t length_ns) {
    WindowSpec spec;
    spec.length_ns = length_ns;
    spec.gap_ns = 10;
    spec.step_ns = 10;
    spec.aggregate.percentiles = {50'000};
    spec.aggregate.has_distinct = true;
    spec.aggregate.top_count = 3;
    return spec;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const auto which = input.take<std::uint8_t>();
    const ConstBytes rest = input.rest();
    switch (which % 6) {
        case 0:
            load_and_save<EventClock>([] { return std::make_unique<EventClock>(EventClockSpec{}); }, rest);
            break;
        case 1:
            load_and_save<PaneWindows>([] { return std::make_unique<PaneWindows>(spec_of(30)); }, rest);
            break;
        case 2:
            load_and_save<SessionWindows>([] { return std::make_unique<SessionWindows>(spec_of(0)); }, rest);
            break;
        case 3:
            load_and_save<PatternMachine>(
                [] {
                    std::vector<PatternStep> steps(2);
                    steps[0].elements = {{0, 2}};
                    steps[1].guards = 2;
                    return std::make_unique<PatternMachine>(steps, 1000);
                },
                rest);
            break;
        case 4:
            load_and_save<AnomalyEnsemble>([] { return std::make_unique<AnomalyEnsemble>(AnomalySpec{}); }, rest);
            break;
        case 5:
            load_and_save<AlertMachine>([] { return std::make_unique<AlertMachine>(std::vector<AlertRule>(2)); }, rest);
            break;
        default:
            break;
    }
    return 0;
}
