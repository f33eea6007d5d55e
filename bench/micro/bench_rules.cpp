// What judging an event by 1, 10 and 100 rules costs: rules that name an event type, and the worst case, rules that do not.
//
// Events are of about 200 bytes, of 20 types in turn, each with a JSON payload of six members. A time is that of one event;
// `held` is how many rules held per event: where it changes, the meaning of a rule has changed.
#include <benchmark/benchmark.h>

#include <bit>
#include <string>
#include <vector>

#include "core/rules/rule_set.hpp"

namespace {

using namespace weir;
using rules::Judge;
using rules::Program;
using rules::RuleSet;

constexpr std::size_t types_count = 20;
constexpr std::size_t events_count = 320;

struct Event {
    std::string id, type, key, payload;
    wire::EventView view;
};

std::vector<Event> make_events() {
    std::vector<Event> events(events_count);
    for (std::size_t i = 0; i < events.size(); ++i) {
        Event& event = events[i];
        event.id = "ppa-12_2017-" + std::to_string(9001381 + i);
        event.type = "violation.kind-" + std::to_string(i % types_count);
        event.key = std::to_string(19100 + i % 50);
        event.payload = R"({"lat":39.9659867139,"lon":-75.2247776919,"fine":)" + std::to_string(i * 7 % 120) +
                        R"(,"code":"EXPIRED INSPECTION","stops":[)" + std::to_string(i % 3) + R"(,2],"agency":"PPA"})";
        event.view.id = event.id;
        event.view.type = event.type;
        event.view.source = "philly/police";
        event.view.key = event.key;
        event.view.time = WallNs{1512086400ULL * ns_per_second + i};
        event.view.priority = static_cast<std::uint8_t>(i % 4);
        event.view.content_type = "application/json";
        event.view.payload = event.payload;
    }
    return events;
}

// Rule `n` without its type: two or three conditions, thresholds and texts differing from rule to rule.
std::string condition(std::size_t n) {
    const std::string bound = std::to_string(n % 110);
    switch (n % 4) {
        case 0:
            return "data.fine > " + bound + " && priority >= 2";
        case 1:
            return "data.code == \"EXPIRED INSPECTION\" && data.fine > " + bound;
        case 2:
            return "source in [\"philly/police\", \"philly/ppa\"] && data.stops[0] == 1 && data.fine < " + bound;
        default:
            return "starts_with(key, \"191" + std::to_string(n % 10) +
                   "\") && has(data.agency) && data.fine != " + bound;
    }
}

enum class Shape { selective, prefix, without_type, fields_only };

std::string rule(std::size_t n, Shape shape) {
    const std::string kind = std::to_string(n % types_count);
    switch (shape) {
        case Shape::selective:
            return "type == \"violation.kind-" + kind + "\" && " + condition(n);
        case Shape::prefix:
            return "type like \"violation.kind-" + kind.substr(0, 1) + "*\" && " + condition(n);
        case Shape::without_type:
            return condition(n);
        case Shape::fields_only:
            return "priority >= " + std::to_string(n % 4) + " && key < \"191" + std::to_string(10 + n % 90) + "\"";
    }
    return {};
}

RuleSet make_rules(std::size_t count, Shape shape) {
    std::vector<Program> programs;
    for (std::size_t n = 0; n < count; ++n) {
        auto compiled = rules::compile(rule(n, shape));
        WEIR_ASSERT(compiled.program.has_value());
        programs.push_back(std::move(*compiled.program));
    }
    auto set = RuleSet::build(programs);
    WEIR_ASSERT(set.ok());
    return std::move(set.value());
}

void judge(benchmark::State& state, Shape shape) {
    const auto events = make_events();
    const RuleSet set = make_rules(static_cast<std::size_t>(state.range(0)), shape);
    Judge judge(set);
    std::size_t held = 0;
    std::size_t next = 0;
    for (auto _ : state) {
        judge.begin({events[next].view});
        for (const std::uint64_t word : judge.matches()) held += static_cast<std::size_t>(std::popcount(word));
        next = next + 1 == events.size() ? 0 : next + 1;
    }
    state.SetItemsProcessed(state.iterations());
    state.counters["held"] = static_cast<double>(held) / static_cast<double>(state.iterations());
}
BENCHMARK_CAPTURE(judge, selective, Shape::selective)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK_CAPTURE(judge, prefix, Shape::prefix)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK_CAPTURE(judge, without_type, Shape::without_type)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK_CAPTURE(judge, fields_only, Shape::fields_only)->Arg(1)->Arg(10)->Arg(100);

// The floor below all rules that ask for the payload: one pass over it.
void read_payload(benchmark::State& state) {
    const auto events = make_events();
    const rules::PathTree tree({{{"fine"}}, {{"code"}}, {{"stops"}, {"", 0}}, {{"agency"}}});
    std::vector<rules::Slot> slots(tree.slot_count());
    std::int64_t bytes = 0;
    std::size_t next = 0;
    for (auto _ : state) {
        if (!tree.read(events[next].payload, slots)) state.SkipWithError("refused");
        bytes += static_cast<std::int64_t>(events[next].payload.size());
        next = next + 1 == events.size() ? 0 : next + 1;
    }
    state.SetBytesProcessed(bytes);
}
BENCHMARK(read_payload);

}  // namespace
