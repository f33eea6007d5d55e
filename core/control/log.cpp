// The seam of spdlog.
#include "core/control/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>

#include "core/base/clock.hpp"

namespace weir::control {
namespace {

bool is_plain(std::string_view value) {
    return !value.empty() && std::all_of(value.begin(), value.end(), [](char letter) {
        return static_cast<unsigned char>(letter) > ' ' && letter != '"' && letter != '=' && letter != '\\' &&
               letter != 0x7f;
    });
}

// One field never becomes two lines or two fields, whatever an outside peer put into it.
void append_value(std::string_view value, std::string& out) {
    if (is_plain(value)) {
        out.append(value);
        return;
    }
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (const char letter : value) {
        const auto byte = static_cast<unsigned char>(letter);
        if (byte < ' ' || byte == 0x7f) {
            out.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
        } else {
            if (letter == '"' || letter == '\\') out += '\\';
            out += letter;
        }
    }
    out += '"';
}

std::string with_repeats(std::string line, std::uint64_t repeats) {
    if (repeats > 0) line.append(" repeats=").append(std::to_string(repeats));
    return line;
}

struct ProcessLog {
    std::mutex mutex;
    LogFolder folder;
    LogLevel level = LogLevel::info;
    std::shared_ptr<spdlog::logger> out;

    ProcessLog() : out(std::make_shared<spdlog::logger>("weir", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
        out->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
        out->set_level(spdlog::level::trace);
        out->flush_on(spdlog::level::trace);
    }
    void write(const LogFolder::Line& line) {
        const std::string_view name = text(line.level);
        out->log(spdlog::level::info, "{} {}", fmt::string_view(name.data(), name.size()), line.text);
    }
};

ProcessLog& process_log() {
    static ProcessLog log;
    return log;
}

}  // namespace

std::string_view text(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug:
            return "debug";
        case LogLevel::info:
            return "info";
        case LogLevel::warn:
            return "warn";
        case LogLevel::error:
            return "error";
    }
    return "";
}

std::optional<LogLevel> parse_log_level(std::string_view name) noexcept {
    for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
        if (text(level) == name) return level;
    }
    return std::nullopt;
}

std::optional<LogFolder::Line> LogFolder::take(LogLevel level, std::string_view event, LogFields fields,
                                               MonotonicNs now) {
    std::string line = "event=";
    append_value(event, line);
    std::string same = line;
    for (const LogField& field : fields) {
        const std::size_t at = line.size();
        line.append(" ").append(field.key).append("=");
        append_value(field.value, line);
        if (!field.is_number) same.append(line, at);
    }
    const auto found = std::find_if(folds_.begin(), folds_.end(),
                                    [&](const Fold& fold) { return fold.level == level && fold.same == same; });
    if (found == folds_.end()) {
        // Without this bound a peer that makes ever new texts could fill memory.
        if (folds_.size() == folds_max) {
            const auto oldest = std::min_element(folds_.begin(), folds_.end(), [](const Fold& left, const Fold& right) {
                return std::pair(left.repeats > 0, left.written) < std::pair(right.repeats > 0, right.written);
            });
            forgotten_ += oldest->repeats;
            folds_.erase(oldest);
        }
        folds_.push_back({level, std::move(same), {}, now, 0});
        return Line{level, std::move(line)};
    }
    if (now.since(found->written) < fold_ns) {
        ++found->repeats;
        found->last = std::move(line);
        return std::nullopt;
    }
    found->written = now;
    return Line{level, with_repeats(std::move(line), std::exchange(found->repeats, 0))};
}

std::vector<LogFolder::Line> LogFolder::flush(MonotonicNs now, bool everything) {
    std::vector<Line> lines;
    for (Fold& fold : folds_) {
        if (fold.repeats == 0 || (!everything && now.since(fold.written) < fold_ns)) continue;
        fold.written = now;
        lines.push_back({fold.level, with_repeats(std::move(fold.last), std::exchange(fold.repeats, 0))});
        fold.last.clear();
    }
    if (forgotten_ > 0)
        lines.push_back({LogLevel::warn, with_repeats("event=log_folds_full", std::exchange(forgotten_, 0))});
    std::erase_if(folds_, [&](const Fold& fold) { return now.since(fold.written) >= fold_ns; });
    return lines;
}

void log_open(LogLevel level) {
    ProcessLog& log = process_log();
    const std::lock_guard lock(log.mutex);
    log.level = level;
}

void log(LogLevel level, std::string_view event, LogFields fields) {
    ProcessLog& log = process_log();
    const std::lock_guard lock(log.mutex);
    if (level < log.level) return;
    if (const auto line = log.folder.take(level, event, fields, monotonic_now())) log.write(*line);
}

void log_flush(bool everything) {
    ProcessLog& log = process_log();
    const std::lock_guard lock(log.mutex);
    for (const LogFolder::Line& line : log.folder.flush(monotonic_now(), everything)) log.write(line);
}

}  // namespace weir::control
