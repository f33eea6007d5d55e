// Expressions: all that a configuration's rules and routes say in core/rules' language, compiled into one set.
//
// Thread    Control threads; what it made is read by intake.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/rules/rule_set.hpp"
#include "edge/config.hpp"

namespace weir::edge {

class Expressions {
  public:
    using Number = std::optional<std::uint32_t>;  // in the set; nullopt: nothing is asked
    struct OfRule {
        Number when;
        Number must;
    };

    struct OfEnrich {
        Number when;
        std::vector<std::uint32_t> values;  // one for each field that is set
    };

    // `tables`: what lookups read; null: nothing, all of them are null. It outlives what is made. Fails only where the configuration was not read by load_config, which has compiled each of them before.
    [[nodiscard]] static Result<Expressions> compile(const EdgeConfig& config, const rules::Tables* tables = nullptr);
    [[nodiscard]] bool is_empty() const { return set_ == nullptr; }
    [[nodiscard]] const rules::RuleSet& set() const { return *set_; }
    [[nodiscard]] const std::vector<OfRule>& rules() const { return rules_; }
    [[nodiscard]] const std::vector<OfEnrich>& enrichments() const { return enrichments_; }
    [[nodiscard]] const std::vector<Number>& routes() const { return routes_; }

  private:
    Expressions() = default;
    std::unique_ptr<rules::RuleSet> set_;  // judges point into it
    std::vector<OfRule> rules_;
    std::vector<Number> routes_;
    std::vector<OfEnrich> enrichments_;
};

// What is wrong with an expression, as "LINE:COLUMN: what" within its text; empty if nothing is. `tables`: names and types of
// their columns; null: any will do.
[[nodiscard]] std::string expression_fault(const std::string& text, const rules::CompileOptions& options = {});

}  // namespace weir::edge
