// Log: one line per change of state, on stderr, for people and for what collects it.
//
//   2026-11-21T07:20:13.042Z warn event=uplink_lost edge=north held_events=812
//
// Thread    Control threads only, any of them; a pinned thread counts instead. The log of the process is opened once.
// Bounds    Lines that say the same (level, event and all text fields; numbers may differ) are written once per
// fold_ns; those between
//           are counted, and the next one says repeats=N. folds_max such texts are remembered; the oldest without repeats makes room.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/types.hpp"

namespace weir::control {

enum class LogLevel : std::uint8_t { debug, info, warn, error };
[[nodiscard]] std::string_view text(LogLevel level) noexcept;
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view name) noexcept;

// A key and its value. Texts with blanks, quotes or control characters are written quoted and escaped.
struct LogField {
    LogField(std::string_view field_key, std::string_view field_text) : key(field_key), value(field_text) {}
    LogField(std::string_view field_key, const char* field_text) : key(field_key), value(field_text) {}
    LogField(std::string_view field_key, const std::string& field_text) : key(field_key), value(field_text) {}
    template <class Number>
    requires(std::is_arithmetic_v<Number>) LogField(std::string_view field_key, Number number)
        : key(field_key), value(std::to_string(number)), is_number(true) {}
    std::string_view key;
    std::string value;
    bool is_number = false;
};
using LogFields = std::initializer_list<LogField>;

// Decides which lines are written; pure, so that time is passed in.
class LogFolder {
  public:
    static constexpr std::uint64_t fold_ns = 10 * ns_per_second;
    static constexpr std::size_t folds_max = 256;

    struct Line {
        LogLevel level = LogLevel::info;
        std::string text;  // "event=... key=value"
    };
    // The line to write now; nullopt: it was counted.
    [[nodiscard]] std::optional<Line> take(LogLevel level, std::string_view event, LogFields fields, MonotonicNs now);
    // What was counted and not told yet, in texts that began at least fold_ns ago (all of them: `everything`).
    [[nodiscard]] std::vector<Line> flush(MonotonicNs now, bool everything);

  private:
    struct Fold {
        LogLevel level = LogLevel::info;
        std::string same;  // event and text fields
        std::string last;  // the newest line that was counted
        MonotonicNs written{};
        std::uint64_t repeats = 0;
    };
    std::vector<Fold> folds_;
    std::uint64_t forgotten_ = 0;  // repeats of texts that had to make room
};

// Opens the process's log at `level`: lines below it are not written. Before that, everything from `info` on is.
void log_open(LogLevel level);
void log(LogLevel level, std::string_view event, LogFields fields = {});
inline void log_debug(std::string_view event, LogFields fields = {}) {
    log(LogLevel::debug, event, fields);
}
inline void log_info(std::string_view event, LogFields fields = {}) {
    log(LogLevel::info, event, fields);
}
inline void log_warn(std::string_view event, LogFields fields = {}) {
    log(LogLevel::warn, event, fields);
}
inline void log_error(std::string_view event, LogFields fields = {}) {
    log(LogLevel::error, event, fields);
}
// Writes folded repeats that are due; a control loop calls it every second or so, and `everything` at the end.
void log_flush(bool everything = false);

}  // namespace weir::control
