// SinkConfig: whom central tells of alerts: [[sinks]].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "central/analytics/alert_machine.hpp"
#include "core/control/config_reader.hpp"

namespace weir::central {

inline constexpr std::size_t sinks_max = 16;  // each has a thread

struct SinkConfig {
    enum class Kind : std::uint8_t { log, webhook, command };
    std::string name;  // [a-z0-9-]{1,32}
    Kind kind = Kind::log;
    std::string address;               // of a webhook: HOST:PORT
    std::string target;                // /path?query
    std::vector<std::string> command;  // the program by its whole path, and its arguments
    analytics::Severity severity_min = analytics::Severity::info;
    std::uint64_t timeout_ms = 5000;      // for one attempt
    std::uint64_t retry_ms_max = 60'000;  // between two attempts; the first pause is 1 s, then doubled
    std::uint64_t keep_s = 3600;          // an alert older than this is not told any more
};

void read_sink(control::ConfigTable& table, std::vector<SinkConfig>& sinks);

}  // namespace weir::central
