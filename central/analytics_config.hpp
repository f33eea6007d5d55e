// AnalyticsConfig: what central is told to compute from its journal: [analytics], [[windows]], [[patterns]], [[anomalies]], [[alerts]].
//
// Law       What was read without a fault builds an Engine.
#pragma once

#include <string>
#include <string_view>

#include "central/analytics/definitions.hpp"
#include "central/sinks_config.hpp"
#include "core/base/result.hpp"
#include "core/control/config_reader.hpp"

namespace weir::central {

struct AnalyticsConfig {
    analytics::Definitions definitions;
    std::vector<SinkConfig> sinks;
    std::uint64_t checkpoint_ms = 5000;  // between two states of the operators on the disk
    std::uint64_t commit_ms = 50;        // between two transactions of results
    std::uint64_t rows_max = 1'000'000;  // of each kind of result, the newest kept
    std::uint64_t query_ms_max = 2000;   // for a question of the admin port
    std::string text;                    // the whole file, of which the definitions come: kept with their results

    [[nodiscard]] bool is_used() const {
        const auto& told = definitions;
        return !told.windows.empty() || !told.patterns.empty() || !told.anomalies.empty() || !told.alerts.empty();
    }
};

// What all definitions may take in memory when every bound is reached.
void add_budget(const AnalyticsConfig& config, control::BudgetText& terms);
void read_analytics(control::ConfigTable& root, AnalyticsConfig& config);
// Of a file that was read before and kept: its other keys are not looked at.
[[nodiscard]] Result<AnalyticsConfig> analytics_of_text(std::string_view text);

}  // namespace weir::central
