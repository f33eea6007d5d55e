// AlertSink: tells somebody outside of alerts: the log, a webhook, a command.
//
// Thread    The one of its AlertTeller. tell() may wait up to timeout_ms for each attempt.
// Law       An Error means: not told, or not known to be; the same alerts may be told again.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "central/sinks_config.hpp"
#include "core/base/result.hpp"

namespace weir::central {

struct ToldAlert {
    std::uint64_t serial = 0;    // its row
    std::uint64_t position = 0;  // in the journal
    std::uint64_t arrival_ns = 0;
    std::string rule;
    std::string key;
    std::string kind;  // "fired", "escalated", "repeated", "resolved", "folded"
    analytics::Severity severity = analytics::Severity::info;
    std::uint64_t time_ns = 0;
    std::uint64_t since_ns = 0;
    std::uint64_t count = 1;
    std::string data;  // the notice as one line of JSON
};

class AlertSink {
  public:
    static constexpr int refused_code = 1;  // of an Error: they will not be taken however often they are offered

    AlertSink() = default;
    virtual ~AlertSink() = default;
    AlertSink(const AlertSink&) = delete;
    AlertSink& operator=(const AlertSink&) = delete;
    [[nodiscard]] virtual Status tell(std::span<const ToldAlert> alerts) = 0;
};
[[nodiscard]] std::unique_ptr<AlertSink> make_sink(const SinkConfig& config);

// What Alertmanager takes at /api/v2/alerts: a list with labels (alertname, key, severity), startsAt, and endsAt once it is over. An
// escalated alert ends with its old severity.
[[nodiscard]] std::string alertmanager_json(std::span<const ToldAlert> alerts);
// Runs it with `input` at its standard input, nothing else open, the environment PATH; killed with all it started after `ms_max`.
[[nodiscard]] Status run_command(const std::vector<std::string>& command, std::string_view input, std::uint64_t ms_max);

}  // namespace weir::central
