// What one event costs a window, a pattern and the anomaly ensemble, with 10,000 keys. Times are of one event; `results` is how many
// rows, matches or alarms there were per 1,000 events: where it changes, the meaning of an operator has changed.
#include <benchmark/benchmark.h>

#include "central/analytics/anomaly_ensemble.hpp"
#include "central/analytics/pane_windows.hpp"
#include "central/analytics/pattern_machine.hpp"
#include "central/analytics/session_windows.hpp"

namespace {

using namespace weir;
using namespace weir::analytics;

constexpr std::uint64_t keys_count = 10'000;
constexpr std::uint64_t events_per_record = 64;
constexpr std::uint64_t event_gap_ns = 10 * ns_per_us;  // 100,000 events/s
constexpr std::uint64_t base_ns = 1'700'000'000 * ns_per_second;

std::uint64_t mix(std::uint64_t number) {
    number *= 0x9e3779b97f4a7c15ULL;
    return number ^ (number >> 29U);
}

std::vector<std::string> make_keys() {
    std::vector<std::string> keys;
    for (std::uint64_t index = 0; index < keys_count; ++index) keys.push_back("vehicle-" + std::to_string(index));
    return keys;
}

void report(benchmark::State& state, std::uint64_t events, std::uint64_t results) {
    state.SetItemsProcessed(static_cast<std::int64_t>(events));
    state.counters["results"] = 1000 * static_cast<double>(results) / static_cast<double>(events);
}

template <class Windows>
void run_windows(benchmark::State& state, const WindowSpec& spec) {
    const auto keys = make_keys();
    Windows windows(spec);
    std::vector<WindowResult> out;
    std::uint64_t events = 0;
    std::uint64_t results = 0;
    for (auto _ : state) {
        const std::uint64_t now = base_ns + events * event_gap_ns;
        WindowEvent event{now - mix(events) % ns_per_second, ++events, keys[mix(events) % keys_count], {}};
        event.sample.measure = static_cast<std::int64_t>(mix(events) % 1'000'000'000);
        windows.take(event, out);
        if (events % events_per_record != 0) continue;
        windows.advance(now - ns_per_second, out);
        results += out.size();
        out.clear();
    }
    report(state, events, results);
}

void tumbling(benchmark::State& state) {
    run_windows<PaneWindows>(state, WindowSpec{});
}
void tumbling_with_percentiles(benchmark::State& state) {
    WindowSpec spec;
    spec.aggregate.percentiles = {50'000, 99'000};
    run_windows<PaneWindows>(state, spec);
}
void sliding_of_ten_panes(benchmark::State& state) {
    WindowSpec spec;
    spec.step_ns = spec.length_ns / 10;
    run_windows<PaneWindows>(state, spec);
}
void sessions(benchmark::State& state) {
    WindowSpec spec;
    spec.length_ns = 0;
    spec.gap_ns = ns_per_second / 4;
    run_windows<SessionWindows>(state, spec);
}

void pattern(benchmark::State& state, std::string_view text) {
    const CompiledPattern made = compile_pattern(text);
    PatternMachine machine(made.pattern->steps, made.pattern->within_ns);
    const auto keys = make_keys();
    std::vector<PatternMatch> out;
    std::uint64_t events = 0;
    std::uint64_t results = 0;
    for (auto _ : state) {
        const std::uint64_t now = base_ns + events * event_gap_ns;
        ++events;
        machine.take(
            {now - mix(events) % ns_per_second, events, keys[mix(events) % keys_count], 1U << (mix(events) >> 40U) % 2},
            out);
        if (events % events_per_record != 0) continue;
        machine.advance(now - ns_per_second, out);
        results += out.size();
        out.clear();
    }
    report(state, events, results);
}
void absence(benchmark::State& state) {
    pattern(state, "a -> !b within 1s by key\na: true\nb: true\n");
}
void repetition(benchmark::State& state) {
    pattern(state, "5 x a within 10s by key\na: true\n");
}

void anomaly(benchmark::State& state) {
    AnomalySpec spec;
    spec.members = static_cast<std::uint32_t>(state.range(0));
    AnomalyEnsemble ensemble(spec);
    std::uint64_t values = 0;
    std::uint64_t alarms = 0;
    for (auto _ : state) {
        ++values;
        const double value = 50 + static_cast<double>(mix(values) % 1000) / 100;
        alarms += ensemble.take(base_ns + values * 300 * ns_per_second, value).is_alarm ? 1 : 0;
    }
    report(state, values, alarms);
}

BENCHMARK(tumbling);
BENCHMARK(tumbling_with_percentiles);
BENCHMARK(sliding_of_ten_panes);
BENCHMARK(sessions);
BENCHMARK(absence);
BENCHMARK(repetition);
BENCHMARK(anomaly)->Arg(0x3f)->Arg(0x1ff);

}  // namespace
