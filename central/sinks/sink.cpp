#include "central/sinks/sink.hpp"

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/control/admin_client.hpp"
#include "core/control/log.hpp"

namespace weir::central {
namespace {

using analytics::Severity;

class LogSink final : public AlertSink {
  public:
    [[nodiscard]] Status tell(std::span<const ToldAlert> alerts) override {
        for (const ToldAlert& alert : alerts) {
            control::log(level_of(alert.severity), "alert",
                         {{"rule", alert.rule},
                          {"kind", alert.kind},
                          {"severity", text(alert.severity)},
                          {"key", alert.key},
                          {"time", format_time({alert.time_ns})},
                          {"count", alert.count},
                          {"serial", alert.serial}});
        }
        return Done{};
    }

  private:
    static control::LogLevel level_of(Severity severity) {
        switch (severity) {
            case Severity::info:
                return control::LogLevel::info;
            case Severity::warning:
                return control::LogLevel::warn;
            case Severity::critical:
                return control::LogLevel::error;
        }
        return control::LogLevel::warn;
    }
};

class WebhookSink final : public AlertSink {
  public:
    explicit WebhookSink(const SinkConfig& config) : config_(config) {}
    [[nodiscard]] Status tell(std::span<const ToldAlert> alerts) override {
        control::AdminQuestion question;
        question.address = config_.address;
        question.method = "POST";
        question.target = config_.target;
        question.content_type = "application/json";
        question.body = alertmanager_json(alerts);
        question.ms_max = config_.timeout_ms;
        const auto answer = control::ask_admin(question);
        if (!answer) return answer.error();
        const unsigned status = answer.value().status;
        if (status >= 200 && status < 300) return Done{};
        const bool is_refused = status >= 400 && status < 500 && status != 408 && status != 429;
        return Error{is_refused ? refused_code : 0, config_.address + ": answers " + std::to_string(status)};
    }

  private:
    SinkConfig config_;
};

class CommandSink final : public AlertSink {
  public:
    explicit CommandSink(const SinkConfig& config) : config_(config) {}
    [[nodiscard]] Status tell(std::span<const ToldAlert> alerts) override {
        std::string lines;
        for (const ToldAlert& alert : alerts) lines.append(alert.data).append("\n");
        return run_command(config_.command, lines, config_.timeout_ms);
    }

  private:
    SinkConfig config_;
};

void append_alert(const ToldAlert& alert, Severity severity, bool is_over, std::string& out) {
    const auto member = [&](std::string_view name, std::string_view value) {
        if (out.back() != '{') out += ',';
        json_quote(name, out);
        out += ':';
        json_quote(value, out);
    };
    out += out.back() == '[' ? "{\"labels\":{" : ",{\"labels\":{";
    member("alertname", alert.rule);
    member("key", alert.key);
    member("severity", text(severity));
    out += "},\"annotations\":{";
    member("kind", alert.kind);
    member("count", std::to_string(alert.count));
    out += "},\"startsAt\":";
    json_quote(format_time({alert.since_ns}), out);
    if (is_over) {
        out += ",\"endsAt\":";
        json_quote(format_time({alert.time_ns}), out);
    }
    out += "}";
}

}  // namespace

std::string alertmanager_json(std::span<const ToldAlert> alerts) {
    std::string out = "[";
    for (const ToldAlert& alert : alerts) {
        if (alert.kind == "escalated") {
            append_alert(alert, alert.severity == Severity::critical ? Severity::warning : Severity::info, true, out);
        }
        append_alert(alert, alert.severity, alert.kind == "resolved", out);
    }
    return out + "]";
}

std::unique_ptr<AlertSink> make_sink(const SinkConfig& config) {
    switch (config.kind) {
        case SinkConfig::Kind::log:
            return std::make_unique<LogSink>();
        case SinkConfig::Kind::webhook:
            return std::make_unique<WebhookSink>(config);
        case SinkConfig::Kind::command:
            return std::make_unique<CommandSink>(config);
    }
    return nullptr;
}

}  // namespace weir::central
