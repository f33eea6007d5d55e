// Patterns: whatever the text, a fault that points into it or a pattern within its bounds; and whatever events then come, each is taken,
// every run ends, and a state that is saved and loaded goes on alike.
//
// Input     2 bytes length, the pattern's text · events: 1 byte of time, 1 byte of key, 4 bytes of conditions, until the end.
#include "central/analytics/pattern_machine.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using namespace weir::analytics;

void must_point_into(const rules::Fault& fault, std::string_view text) {
    WEIR_ASSERT(!fault.what.empty());
    WEIR_ASSERT(fault.line >= 1 && fault.column >= 1);
    std::size_t at = 0;
    for (std::uint32_t line = 1; line < fault.line; ++line) {
        at = text.find('\n', at);
        WEIR_ASSERT(at != std::string_view::npos);
        ++at;
    }
    WEIR_ASSERT(at + fault.column - 1 <= text.size());
    WEIR_ASSERT(rules::describe(fault, text).ends_with("^\n"));
}

void must_be_bounded(const Pattern& pattern) {
    WEIR_ASSERT(!pattern.steps.empty() && pattern.steps.size() <= pattern_steps_max + 1);
    WEIR_ASSERT(!pattern.steps.front().elements.empty() && pattern.steps.front().guards == 0);
    WEIR_ASSERT(pattern.within_ns > 0 && pattern.within_ns <= pattern_within_ns_max);
    WEIR_ASSERT(pattern.conditions.size() <= pattern_conditions_max);
    for (const PatternStep& step : pattern.steps) {
        WEIR_ASSERT(step.elements.size() <= pattern_elements_max);
        WEIR_ASSERT(!step.elements.empty() || &step == &pattern.steps.back());
        for (const PatternElement& element : step.elements) {
            WEIR_ASSERT(element.condition < pattern.conditions.size());
            WEIR_ASSERT(element.count >= 1 && element.count <= pattern_repeats_max);
        }
    }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const std::string text(fuzz::text_of(input.take_part()));
    const CompiledPattern made = compile_pattern(text);
    if (!made.pattern) {
        must_point_into(made.fault, text);
        return 0;
    }
    must_be_bounded(*made.pattern);
    const PatternLimits limits{.keys_max = 3, .runs_per_key_max = 4, .waiting_max = 8};
    PatternMachine machine(made.pattern->steps, made.pattern->within_ns, limits);
    std::vector<PatternMatch> out;
    std::uint64_t now = std::uint64_t{1} << 60;
    for (std::uint64_t ordinal = 1; !input.is_empty(); ++ordinal) {
        now += input.take<std::uint8_t>() * (made.pattern->within_ns / 64 + 1);
        PatternEvent event{now, ordinal, std::string(1, static_cast<char>('a' + input.take<std::uint8_t>() % 5)),
                           input.take<std::uint32_t>()};
        machine.take(std::move(event), out);
        machine.advance(now - made.pattern->within_ns / 16, out);
        WEIR_ASSERT(machine.key_count() <= limits.keys_max);
    }
    StateWriter saved;
    machine.save(saved);
    PatternMachine again(made.pattern->steps, made.pattern->within_ns, limits);
    StateReader in(saved.bytes());
    again.load(in);
    WEIR_ASSERT(in.is_done());
    std::vector<PatternMatch> again_out;
    machine.advance(UINT64_MAX, out);
    const std::size_t before = out.size();
    again.advance(UINT64_MAX, again_out);
    WEIR_ASSERT(again_out.size() <= before);
    WEIR_ASSERT(std::equal(again_out.rbegin(), again_out.rend(), out.rbegin()));
    WEIR_ASSERT(machine.key_count() == 0 && again.key_count() == 0);
    return 0;
}
