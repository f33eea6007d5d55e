#include "central/readmodel/result_questions.hpp"

#include <variant>
#include <vector>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/problem.hpp"

namespace weir::central {
namespace {

using control::AdminResponse;

struct Asked {
    std::uint64_t limit = limit_default;
    std::optional<std::uint64_t> as_of;
    bool has_all_versions = false;
    std::string where = "1";  // with a ? for each of:
    std::vector<std::variant<std::uint64_t, std::string>> values;

    template <class Value>
    void add(std::string_view condition, const std::optional<Value>& value) {
        if (!value) return;
        where.append(" AND w.").append(condition);
        values.emplace_back(*value);
    }
};

std::string_view time_column(ResultKind kind) {
    return kind == ResultKind::window || kind == ResultKind::pattern ? "end_ns" : "time_ns";
}

Query query_of(ResultKind kind, std::string_view target) {
    switch (kind) {
        case ResultKind::window:
            return {target,
                    {"name", "key", "since", "until", "as_of", "versions", "limit", "cursor", "max_staleness_ms"}};
        case ResultKind::pattern:
            return {target, {"name", "key", "since", "until", "as_of", "limit", "cursor", "max_staleness_ms"}};
        case ResultKind::anomaly:
            return {target, {"name", "key", "since", "until", "as_of", "alarm", "limit", "cursor", "max_staleness_ms"}};
        case ResultKind::alert:
            return {target,
                    {"name", "key", "since", "until", "as_of", "severity", "kind", "fate", "limit", "cursor",
                     "max_staleness_ms"}};
    }
    return {target, {}};
}

Asked asked_of(ResultKind kind, Query& query) {
    Asked asked;
    asked.limit = query.number("limit", 1, limit_max).value_or(limit_default);
    asked.has_all_versions = query.choice("versions", {"newest", "all"}) == "all";
    asked.add("name = ?", query.text("name"));
    asked.add("key = ?", query.text("key"));
    asked.add("severity = ?", query.choice("severity", {"info", "warning", "critical"}));
    asked.add("kind = ?", query.choice("kind", {"fired", "escalated", "repeated", "resolved", "folded"}));
    asked.add("fate = ?", query.choice("fate", {"told", "silenced", "suppressed", "grouped"}));
    if (const auto alarm = query.choice("alarm", {"0", "1"})) {
        asked.add("alarm = ?", std::optional<std::uint64_t>(*alarm == "1" ? 1 : 0));
    }
    asked.add(std::string(time_column(kind)) + " >= ?", query.time("since"));
    asked.add(std::string(time_column(kind)) + " < ?", query.time("until"));
    asked.as_of = query.time("as_of");
    asked.add("arrival_ns <= ?", asked.as_of);
    asked.add("serial < ?", query.cursor_first('r'));
    return asked;
}

// One row more than asked for: whether there is a next page.
std::string sql_of(ResultKind kind, const Asked& asked) {
    std::string sql = "SELECT w.serial, w.name, w.position, w.arrival_ns, w.data FROM " + std::string(table_of(kind)) +
                      " w WHERE " + asked.where;
    if (kind == ResultKind::window && !asked.has_all_versions) {
        sql +=
            " AND NOT EXISTS (SELECT 1 FROM windows n WHERE n.name = w.name AND n.key = w.key AND"
            " n.start_ns = w.start_ns AND n.born = w.born AND n.version > 1 AND n.version > w.version";  // > 1: by the index of corrections
        if (asked.as_of) sql += " AND n.arrival_ns <= " + std::to_string(*asked.as_of);
        sql += ")";
    }
    return sql + " ORDER BY w.serial DESC LIMIT " + std::to_string(asked.limit + 1);
}

}  // namespace

std::optional<AdminResponse> ResultQuestions::answer(const ApiSources& sources, std::string_view target) {
    constexpr std::string_view head = "/api/v1/";
    const std::string_view path = target.substr(0, target.find('?'));
    if (!path.starts_with(head)) return std::nullopt;
    for (std::size_t number = 0; number < result_kinds; ++number) {
        const auto kind = static_cast<ResultKind>(number);
        if (path.substr(head.size()) == table_of(kind)) return ask(sources, kind, target);
    }
    return std::nullopt;
}

AdminResponse ResultQuestions::ask(const ApiSources& sources, ResultKind kind, std::string_view target) {
    Query query = query_of(kind, target);
    const Asked asked = asked_of(kind, query);
    if (auto refused = refusal_of(query, 0); refused && !query.fault().empty()) return std::move(*refused);
    if (!database_) {
        auto opened = Database::open(path_, Database::Use::ask);
        if (!opened) return problem(404, "nothing was computed yet");
        database_.emplace(std::move(opened.value()));
    }
    database_->limit_ms(ms_max_);
    const auto position = cursor_of(*database_, "analytics");
    auto prepared = database_->prepare(sql_of(kind, asked));
    if (!position || !prepared) {
        database_.reset();
        return problem(503, !position ? position.error().what : prepared.error().what);
    }
    const std::uint64_t staleness_ms = analytics_staleness_ms(sources, position.value());
    if (auto refused = refusal_of(query, staleness_ms)) return std::move(*refused);
    Statement& row = prepared.value();
    for (const auto& value : asked.values) {
        if (const auto* number = std::get_if<std::uint64_t>(&value)) row.bind(*number);
        if (const auto* text = std::get_if<std::string>(&value)) row.bind(std::string_view(*text));
    }
    std::string rows = "[";
    std::optional<std::string> next;
    std::int64_t last_serial = 0;
    for (std::uint64_t count = 0;; ++count) {
        const auto more = row.step();
        if (!more) return problem(503, more.error().what);
        if (!more.value()) break;
        if (count == asked.limit) {
            next = make_cursor('r', static_cast<std::uint64_t>(last_serial));
            break;
        }
        last_serial = row.number(0);
        ObjectText one;
        one.whole("serial", last_serial).text("name", row.text(1)).whole("position", row.number(2));
        one.whole("arrival_ns", row.number(3)).raw("data", row.text(4));
        rows.append(count == 0 ? "\n" : ",\n").append(one.end());
    }
    const std::uint64_t durable = sources.shared.durable_position.load(std::memory_order_acquire);
    ObjectText as_of;
    as_of.number("durable", durable).number("read", sources.reader.position()).number("analytics", position.value());
    ObjectText body;
    body.raw("as_of", as_of.end()).number("position", position.value()).raw(table_of(kind), rows + "]");
    AdminResponse answer = tagged_answer(body.text_or_null("next", next).end());
    answer.headers.push_back({"Weir-Staleness-Ms", std::to_string(staleness_ms)});
    return answer;
}

}  // namespace weir::central
