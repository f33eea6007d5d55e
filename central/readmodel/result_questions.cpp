#include "central/readmodel/result_questions.hpp"

#include <algorithm>
#include <charconv>
#include <variant>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"

namespace weir::central {
namespace {

using control::AdminResponse;

AdminResponse refuse(unsigned status, std::string_view why) {
    std::string body = "{\"error\":";
    json_quote(why, body);
    return {status, "application/json", body + "}\n"};
}

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> time_of(std::string_view text) {
    if (const auto ns = number_of(text)) return ns;
    const auto parsed = parse_time(text);
    return parsed ? std::optional(parsed->value) : std::nullopt;
}

// %41 and + are what they stand for; nullopt: half a code.
std::optional<std::string> decoded(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '+') {
            out += ' ';
        } else if (text[at] != '%') {
            out += text[at];
        } else {
            unsigned value = 0;
            if (at + 2 >= text.size()) return std::nullopt;
            const auto [end, fault] = std::from_chars(text.data() + at + 1, text.data() + at + 3, value, 16);
            if (fault != std::errc{} || end != text.data() + at + 3) return std::nullopt;
            out += static_cast<char>(value);
            at += 2;
        }
    }
    return out;
}

struct Asked {
    std::uint64_t limit = ResultQuestions::limit_default;
    std::optional<std::uint64_t> as_of;
    bool has_all_versions = false;
    std::string where = "1";  // with a ? for each of:
    std::vector<std::variant<std::uint64_t, std::string>> values;
    std::string fault;
};

std::string_view time_column(ResultKind kind) {
    return kind == ResultKind::window || kind == ResultKind::pattern ? "end_ns" : "time_ns";
}

void take(ResultKind kind, std::string_view name, const std::string& value, Asked& asked) {
    const auto add = [&](std::string_view condition, auto told) {
        asked.where.append(" AND w.").append(condition);
        asked.values.emplace_back(std::move(told));
    };
    const bool is_alert = kind == ResultKind::alert;
    if (name == "name" || name == "key" || (is_alert && (name == "severity" || name == "kind" || name == "fate"))) {
        return add(std::string(name) + " = ?", value);
    }
    if (name == "versions" && kind == ResultKind::window) {
        if (value != "all" && value != "newest") asked.fault = "versions: must be all or newest";
        asked.has_all_versions = value == "all";
        return;
    }
    if (name == "limit") {
        const auto limit = number_of(value);
        if (!limit || *limit == 0 || *limit > ResultQuestions::limit_max) asked.fault = "limit: must be 1 to 10000";
        asked.limit = limit.value_or(0);
        return;
    }
    if (name != "since" && name != "until" && name != "as_of") {
        asked.fault = std::string(name) + ": unknown";
        return;
    }
    const auto time = time_of(value);
    if (!time) {
        asked.fault = std::string(name) + ": must be a time in RFC 3339 or in ns";
        return;
    }
    if (name == "as_of") {
        asked.as_of = time;
        return add("arrival_ns <= ?", *time);
    }
    add(std::string(time_column(kind)) + (name == "since" ? " >= ?" : " < ?"), *time);
}

Asked asked_of(ResultKind kind, std::string_view query) {
    Asked asked;
    while (!query.empty() && asked.fault.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), one.size() + 1));
        if (one.empty()) continue;
        const auto equals = std::min(one.find('='), one.size());
        const auto value = decoded(one.substr(std::min(one.size(), equals + 1)));
        if (value) take(kind, one.substr(0, equals), *value, asked);
        if (!value) asked.fault = std::string(one.substr(0, equals)) + ": half a %-code";
    }
    return asked;
}

std::string sql_of(ResultKind kind, const Asked& asked) {
    std::string sql = "SELECT w.serial, w.name, w.position, w.arrival_ns, w.data FROM " + std::string(table_of(kind)) +
                      " w WHERE " + asked.where;
    if (kind == ResultKind::window && !asked.has_all_versions) {
        sql +=
            " AND NOT EXISTS (SELECT 1 FROM windows n WHERE n.name = w.name AND n.key = w.key AND"
            " n.start_ns = w.start_ns AND n.born = w.born AND n.version > w.version";
        if (asked.as_of) sql += " AND n.arrival_ns <= " + std::to_string(*asked.as_of);
        sql += ")";
    }
    return sql + " ORDER BY w.serial DESC LIMIT " + std::to_string(asked.limit);
}

}  // namespace

std::optional<AdminResponse> ResultQuestions::answer(std::string_view target) {
    constexpr std::string_view head = "/api/v1/";
    const std::string_view path = target.substr(0, target.find('?'));
    if (!path.starts_with(head)) return std::nullopt;
    for (std::size_t number = 0; number < result_kinds; ++number) {
        const auto kind = static_cast<ResultKind>(number);
        if (path.substr(head.size()) != table_of(kind)) continue;
        return ask(kind, target.substr(std::min(target.size(), path.size() + 1)));
    }
    return std::nullopt;
}

AdminResponse ResultQuestions::ask(ResultKind kind, std::string_view query) {
    const Asked asked = asked_of(kind, query);
    if (!asked.fault.empty()) return refuse(400, asked.fault);
    if (!database_) {
        auto opened = Database::open(path_, Database::Use::ask);
        if (!opened) return refuse(404, "nothing was computed yet");
        database_.emplace(std::move(opened.value()));
    }
    database_->limit_ms(ms_max_);
    const auto position = cursor_of(*database_, "analytics");
    auto prepared = database_->prepare(sql_of(kind, asked));
    if (!position || !prepared) {
        database_.reset();
        return refuse(503, !position ? position.error().what : prepared.error().what);
    }
    Statement& row = prepared.value();
    for (const auto& value : asked.values) {
        if (const auto* number = std::get_if<std::uint64_t>(&value)) row.bind(*number);
        if (const auto* text = std::get_if<std::string>(&value)) row.bind(std::string_view(*text));
    }
    std::string body = "{\"position\":" + std::to_string(position.value()) + ",\"";
    body.append(table_of(kind)).append("\":[");
    for (;;) {
        const auto more = row.step();
        if (!more) return refuse(503, more.error().what);
        if (!more.value()) return {200, "application/json", body + "]}\n"};
        if (body.back() != '[') body += ',';
        body += "\n{\"serial\":" + std::to_string(row.number(0)) + ",\"name\":";
        json_quote(row.text(1), body);
        body += ",\"position\":" + std::to_string(row.number(2)) + ",\"arrival_ns\":" + std::to_string(row.number(3));
        body.append(",\"data\":").append(row.text(4)).append("}");
    }
}

}  // namespace weir::central
