#include "central/sinks_config.hpp"

#include <algorithm>

#include "core/wire/batch.hpp"

namespace weir::central {
namespace {

using control::Bounds;
using control::ConfigTable;

constexpr std::size_t name_bytes_max = 32;
constexpr std::size_t arguments_max = 64;

void read_url(ConfigTable& table, SinkConfig& sink) {
    constexpr std::string_view scheme = "http://";
    std::string url;
    bool allow_plaintext = false;
    table.text("url", url);
    table.flag("allow_plaintext", allow_plaintext);
    if (sink.kind != SinkConfig::Kind::webhook) {
        if (table.has("url")) table.fault("url", "is for kind = \"webhook\"");
        return;
    }
    if (!url.starts_with(scheme)) return table.fault("url", "must be \"http://HOST:PORT/PATH\"");
    const auto slash = std::min(url.find('/', scheme.size()), url.size());
    sink.address = url.substr(scheme.size(), slash - scheme.size());
    sink.target = slash == url.size() ? "/" : url.substr(slash);
    if (std::any_of(sink.target.begin(), sink.target.end(), [](char c) { return c <= ' ' || c > '~'; })) {
        table.fault("url", "must be of printable ASCII without blanks");
    }
    if (const auto what = control::address_fault(
            sink.address, {.allow_plaintext = allow_plaintext, .allow_key = "allow_plaintext", .tcp_only = true})) {
        table.fault("url", *what);
    }
}

void read_command(ConfigTable& table, SinkConfig& sink) {
    table.texts("command", sink.command);
    if (sink.kind != SinkConfig::Kind::command) {
        if (table.has("command")) table.fault("command", "is for kind = \"command\"");
        return;
    }
    if (sink.command.empty() || !sink.command.front().starts_with('/')) {
        table.fault("command", "must name a program by its whole path");
    }
    if (sink.command.size() > arguments_max) table.fault("command", "has more than 64 entries");
}

}  // namespace

void read_sink(ConfigTable& table, std::vector<SinkConfig>& sinks) {
    SinkConfig sink;
    table.needs_text("name", sink.name);
    if (!sink.name.empty() && !wire::is_name(sink.name, name_bytes_max)) {
        table.fault("name", "must be 1 to 32 of a-z, 0-9 and '-'");
    }
    if (std::any_of(sinks.begin(), sinks.end(), [&](const auto& other) { return other.name == sink.name; })) {
        table.fault("name", "another sink has this name: \"" + sink.name + '"');
    }
    using Kind = SinkConfig::Kind;
    using analytics::Severity;
    table.choice("kind", sink.kind, {{"log", Kind::log}, {"webhook", Kind::webhook}, {"command", Kind::command}});
    read_url(table, sink);
    read_command(table, sink);
    table.choice("severity_min", sink.severity_min,
                 {{"info", Severity::info}, {"warning", Severity::warning}, {"critical", Severity::critical}});
    table.number("timeout_ms", sink.timeout_ms, Bounds{10, 600'000, "ms"});
    table.number("retry_ms_max", sink.retry_ms_max, Bounds{1000, 86'400'000, "ms"});
    table.number("keep_s", sink.keep_s, Bounds{1, 31'536'000, "s"});
    sinks.push_back(std::move(sink));
}

}  // namespace weir::central
