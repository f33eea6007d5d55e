#include "edge/expressions.hpp"

#include <utility>

#include "core/rules/compile.hpp"
#include "edge/payload_schemas.hpp"

namespace weir::edge {

std::string expression_fault(const std::string& text) {
    const auto compiled = rules::compile(text);
    if (compiled.program) return {};
    return std::to_string(compiled.fault.line) + ":" + std::to_string(compiled.fault.column) + ": " +
           compiled.fault.what;
}

Result<Expressions> Expressions::compile(const EdgeConfig& config) {
    Expressions made;
    std::vector<rules::Program> programs;
    std::string fault;
    const auto add = [&](const std::string& text) -> Number {
        if (text.empty()) return std::nullopt;
        auto compiled = rules::compile(text);
        if (!compiled.program) {
            fault = rules::describe(compiled.fault, text);
            return std::nullopt;
        }
        programs.push_back(std::move(*compiled.program));
        return static_cast<std::uint32_t>(programs.size() - 1);
    };
    for (const RuleConfig& rule : config.rules) made.rules_.push_back({add(rule.when), add(rule.must)});
    for (const RouteConfig& route : config.routes) made.routes_.push_back(add(route.when));
    if (!fault.empty()) return Error{0, fault};
    if (programs.empty()) return made;
    const auto schemas = flat_schemas_of(config);
    auto set = rules::RuleSet::build(programs, {.tables = nullptr, .schemas = schemas, .limits = {}});
    if (!set) return set.error();
    made.set_ = std::make_unique<rules::RuleSet>(std::move(set.value()));
    return made;
}

}  // namespace weir::edge
