// Expressions and payloads: whatever the text, a fault that points into it or a program; whatever the payload, an answer, the same
// from every side.
//
// Input     1 byte: how many expressions (0-7) · each: 2 bytes length, bytes · type, key: 1 byte length, bytes · time: 8 bytes ·
//           priority: 1 byte · the payload: the rest.
#include <cstring>

#include "core/base/json_scan.hpp"
#include "core/rules/rule_set.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using namespace weir::rules;

// Every table and column there is; the row of a key is the key.
class Echo final : public Tables {
  public:
    [[nodiscard]] std::optional<std::uint32_t> find_column(std::string_view, std::string_view column) const override {
        return static_cast<std::uint32_t>(column.size());
    }
    [[nodiscard]] Value read(std::uint32_t, const Value& key) const noexcept override { return key; }
};

bool is_same(const Value& left, const Value& right) {
    if (left.type != right.type) return false;
    if (left.type == Type::text) return left.as_text() == right.as_text();
    return left.integer == right.integer;
}

void must_point_into(const Fault& fault, std::string_view text) {
    WEIR_ASSERT(!fault.what.empty());
    WEIR_ASSERT(fault.line >= 1 && fault.column >= 1);
    std::size_t at = 0;
    for (std::uint32_t line = 1; line < fault.line; ++line) {
        at = text.find('\n', at);
        WEIR_ASSERT(at != std::string_view::npos);
        ++at;
    }
    WEIR_ASSERT(at + fault.column - 1 <= text.size());
    WEIR_ASSERT(describe(fault, text).ends_with("^\n"));
}

// Compiled again from its print; the program itself where the print is beyond a limit.
Program again(const Program& program, const Graph& graph, const CompileOptions& options) {
    Compiled second = compile(format(program), options);
    if (second.program) return std::move(*second.program);
    WEIR_ASSERT(second.fault.what.find("more") != std::string::npos);
    Graph copy;
    std::map<NodeId, NodeId> done;
    const NodeId root = copy.copy(graph, program.root(), {}, done);
    return {std::move(copy), root};
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const Echo tables;
    CompileOptions options{
        .is_placed = true, .is_judged = true, .gives_condition = false, .tables = &tables, .limits = {}};
    std::vector<Program> programs;
    std::vector<Program> printed;
    for (unsigned count = input.take<std::uint8_t>() % 8; count > 0; --count) {
        const auto part = fuzz::copy_of(input.take_part());
        const std::string_view text = fuzz::text_of(part);
        options.limits.text_bytes_max = 4096;
        Compiled made = compile(text, options);
        if (!made.program) {
            must_point_into(made.fault, text);
            continue;
        }
        options.limits.text_bytes_max = 1U << 20;
        printed.push_back(again(*made.program, made.program->graph(), options));
        programs.push_back(std::move(*made.program));
    }
    const auto set = RuleSet::build(programs, {.tables = &tables, .schemas = {}, .limits = {}});
    const auto set_printed = RuleSet::build(printed, {.tables = &tables, .schemas = {}, .limits = {}});
    WEIR_ASSERT(set.ok() && set_printed.ok());

    const auto type = fuzz::copy_of(input.take_bytes(input.take<std::uint8_t>()));
    const auto key = fuzz::copy_of(input.take_bytes(input.take<std::uint8_t>()));
    wire::EventView event;
    event.type = fuzz::text_of(type);
    event.source = "source";
    event.id = "id";
    event.key = fuzz::text_of(key);
    event.time = WallNs{input.take<std::uint64_t>()};
    event.priority = input.take<std::uint8_t>() % 4;
    event.content_type = "application/json";
    const auto payload = fuzz::copy_of(input.rest());
    event.payload = fuzz::text_of(payload);

    Judge judge(set.value());
    Judge judge_printed(set_printed.value());
    judge.begin({event, "north", "fast", "live"});
    judge_printed.begin({event, "north", "fast", "live"});
    std::optional<std::uint32_t> first;
    for (std::uint32_t rule = 0; rule < programs.size(); ++rule) {
        const bool holds = judge.holds(rule);
        if (holds && !first) first = rule;
        WEIR_ASSERT((judge.matches()[0] >> rule & 1U) == (holds ? 1U : 0U));
        WEIR_ASSERT(judge.value(rule).is_true() == holds);
        WEIR_ASSERT(is_same(judge.value(rule), judge_printed.value(rule)));
    }
    const auto count = static_cast<std::uint32_t>(programs.size());
    WEIR_ASSERT(judge.first_match(0, count) == first);
    JsonFault fault;
    if (judge.payload_state() != PayloadState::unread) {
        WEIR_ASSERT((judge.payload_state() == PayloadState::json) == json_parse(event.payload, fault).has_value());
    }
    return 0;
}
