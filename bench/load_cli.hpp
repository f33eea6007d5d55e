// The options of weir-bench load.
#pragma once

#include <CLI/CLI.hpp>

#include "bench/commands.hpp"

namespace weir::bench {

CLI::App* add_load(CLI::App& app, LoadOptions& load, bool& is_tls);
CLI::App* add_chart(CLI::App& app, ChartOptions& chart);
[[nodiscard]] const std::map<std::string, wire::AckLevel>& ack_levels();

}  // namespace weir::bench
