#include "edge/expressions.hpp"

#include <utility>

#include "core/rules/compile.hpp"
#include "edge/payload_schemas.hpp"

namespace weir::edge {

std::string expression_fault(const std::string& text, const rules::CompileOptions& options) {
    const auto compiled = rules::compile(text, options);
    if (compiled.program) return {};
    return std::to_string(compiled.fault.line) + ":" + std::to_string(compiled.fault.column) + ": " +
           compiled.fault.what;
}

Result<Expressions> Expressions::compile(const EdgeConfig& config, const rules::Tables* tables) {
    Expressions made;
    std::vector<rules::Program> programs;
    std::string fault;
    const auto add = [&](const std::string& text, bool gives_condition = true) -> Number {
        if (text.empty()) return std::nullopt;
        auto compiled = rules::compile(text, {.gives_condition = gives_condition});
        if (!compiled.program) {
            fault = rules::describe(compiled.fault, text);
            return std::nullopt;
        }
        programs.push_back(std::move(*compiled.program));
        return static_cast<std::uint32_t>(programs.size() - 1);
    };
    for (const RuleConfig& rule : config.rules) made.rules_.push_back({add(rule.when), add(rule.must)});
    for (const RouteConfig& route : config.routes) made.routes_.push_back(add(route.when));
    for (const EnrichConfig& enrich : config.enrichments) {
        OfEnrich& one = made.enrichments_.emplace_back();
        one.when = add(enrich.when);
        for (const SetConfig& set : enrich.set) one.values.push_back(add(set.from, false).value_or(0));
    }
    if (!fault.empty()) return Error{0, fault};
    if (programs.empty()) return made;
    const auto schemas = flat_schemas_of(config);
    auto set = rules::RuleSet::build(programs, {.tables = tables, .schemas = schemas, .limits = {}});
    if (!set) return set.error();
    made.set_ = std::make_unique<rules::RuleSet>(std::move(set.value()));
    return made;
}

}  // namespace weir::edge
