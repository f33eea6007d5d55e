#include "central/api/result_board.hpp"

#include <algorithm>
#include <vector>

#include "central/api/json_text.hpp"

namespace weir::central {
namespace {

std::string_view text_of(analytics::SeriesOf of) {
    switch (of) {
        case analytics::SeriesOf::count:
            return "count";
        case analytics::SeriesOf::sum:
            return "sum";
        case analytics::SeriesOf::mean:
            return "avg";
        case analytics::SeriesOf::distinct:
            return "distinct";
    }
    return "";
}

std::uint64_t number(const Statement& row, int column) {
    return static_cast<std::uint64_t>(row.number(column));
}

std::string_view member_of(std::string_view data, std::string_view name) {
    const auto found = json_member(data, name);
    return found && found->kind == JsonKind::number ? found->raw : std::string_view("null");
}

}  // namespace

void ResultBoard::redefine(const AnalyticsConfig& config) {
    const std::lock_guard lock(mutex_);
    series_.clear();
    for (const auto& one : config.definitions.anomalies) {
        series_[one.name] = {one.window, std::string(text_of(one.series))};
    }
}

void ResultBoard::look(std::uint64_t commits, const std::vector<Silence>& silences) {
    std::string text;
    for (const Silence& one : silences) text += json_of(one);
    const bool has_silences = text != silences_text_;
    silences_text_ = std::move(text);
    if (commits != commits_) {
        if (!database_) {
            if (auto opened = Database::open(path_, Database::Use::ask)) database_.emplace(std::move(opened.value()));
        }
        if (database_) {
            database_->limit_ms(query_ms_max);
            const bool is_read = read_windows() && read_anomalies() && read_alerts();
            if (is_read) commits_ = commits;
            if (!is_read) database_.reset();
        }
    }
    if (std::exchange(windows_changed_, false)) list_windows();
    if (std::exchange(alerts_changed_, false) || has_silences) list_alerts(silences);
}

// Results that were taken back, or made anew from the journal.
void ResultBoard::forget() {
    windows_.clear();
    window_ids_.clear();
    anomalies_.clear();
    alerts_.clear();
    window_serial_ = anomaly_serial_ = alert_serial_ = 0;
    windows_changed_ = alerts_changed_ = true;
    anomalies_list_ = std::make_shared<StreamState::List>();
}

Result<Statement> ResultBoard::newer(const std::string& columns, const std::string& table, std::uint64_t& last,
                                     const std::string& where) {
    auto newest = database_->prepare("SELECT coalesce(max(serial), 0) FROM " + table);
    if (!newest) return newest.error();
    if (const auto has = newest.value().step(); !has) return has.error();
    const std::uint64_t serial = number(newest.value(), 0);
    if (serial < last) forget();
    const std::uint64_t from = std::max(last, serial - std::min(serial, look_rows_max));
    auto rows = database_->prepare("SELECT " + columns + " FROM " + table + " WHERE serial > ? AND serial <= ?" +
                                   where + " ORDER BY serial");
    if (!rows) return rows.error();
    rows.value().bind(from).bind(serial);
    rows_ += serial - last;
    last = serial;
    return rows;
}

Status ResultBoard::read_windows() {
    auto rows = newer("serial, name, key, start_ns, end_ns, born, version, count, position, arrival_ns, data",
                      "windows", window_serial_, "");
    if (!rows) return rows.error();
    Statement& row = rows.value();
    for (;;) {
        const auto more = row.step();
        if (!more) return more.error();
        if (!more.value()) return Done{};
        const std::string name(row.text(1)), key(row.text(2));
        const std::string_view data = row.text(10);
        const std::uint64_t serial = number(row, 0);
        std::string id = name + '/' + key + '/' + std::to_string(row.number(3)) + '/' + std::to_string(row.number(5));
        ObjectText text;
        text.text("id", id).number("serial", serial).text("name", name).text("key", key);
        text.number("start_ms", number(row, 3) / ns_per_ms).number("end_ms", number(row, 4) / ns_per_ms);
        text.number("version", number(row, 6)).number("count", number(row, 7));
        for (const std::string_view one : {"sum", "avg", "min", "max"}) text.raw(one, member_of(data, one));
        text.number("position", number(row, 8)).number("arrival_ms", number(row, 9) / ns_per_ms);
        if (const auto known = window_ids_.find(id); known != window_ids_.end()) windows_.erase(known->second);
        window_ids_[id] = serial;
        windows_[serial] = {std::move(id), name, text.end()};
        windows_changed_ = true;
    }
}

// The newest per_name_max of each definition, windows_max of all.
void ResultBoard::list_windows() {
    auto list = std::make_shared<StreamState::List>();
    std::map<std::string, std::size_t> by_name;
    for (auto one = windows_.end(); one != windows_.begin();) {
        --one;
        if (list->size() < windows_max && by_name[one->second.name]++ < per_name_max) {
            list->emplace(one->second.id, one->second.text);
        } else {
            window_ids_.erase(one->second.id);
            one = windows_.erase(one);
        }
    }
    windows_list_ = std::move(list);
}

Status ResultBoard::read_anomalies() {
    auto rows = newer("serial, name, key, time_ns, value, score, data", "anomalies", anomaly_serial_, " AND alarm = 1");
    if (!rows) return rows.error();
    Statement& row = rows.value();
    bool is_changed = false;
    for (;;) {
        const auto more = row.step();
        if (!more) return more.error();
        if (!more.value()) break;
        const std::uint64_t serial = number(row, 0);
        Series series;
        {
            const std::lock_guard lock(mutex_);
            if (const auto found = series_.find(row.text(1)); found != series_.end()) series = found->second;
        }
        ObjectText text;
        text.text("id", std::to_string(serial)).number("serial", serial).text("name", row.text(1));
        text.text("window", series.window).text("of", series.of).text("key", row.text(2));
        text.number("time_ms", number(row, 3) / ns_per_ms).real("value", row.real(4)).real("score", row.real(5));
        const auto by = json_member(row.text(6), "by");
        anomalies_[serial] = text.raw("by", by ? by->raw : std::string_view("null")).end();
        is_changed = true;
    }
    if (!is_changed) return Done{};
    while (anomalies_.size() > anomalies_max) anomalies_.erase(anomalies_.begin());
    auto list = std::make_shared<StreamState::List>();
    for (const auto& [serial, text] : anomalies_) list->emplace(std::to_string(serial), text);
    anomalies_list_ = std::move(list);
    return Done{};
}

Status ResultBoard::read_alerts() {
    auto rows = newer("serial, name, key, time_ns, since_ns, arrival_ns, kind, fate, severity, count", "alerts",
                      alert_serial_, "");
    if (!rows) return rows.error();
    Statement& row = rows.value();
    for (;;) {
        const auto more = row.step();
        if (!more) return more.error();
        if (!more.value()) return Done{};
        Alert alert{.serial = number(row, 0),
                    .name = std::string(row.text(1)),
                    .key = std::string(row.text(2)),
                    .state = row.text(6) == "resolved" ? "cleared" : "open",
                    .severity = std::string(row.text(8)),
                    .kind = std::string(row.text(6)),
                    .fate = std::string(row.text(7)),
                    .since_ms = number(row, 4) / ns_per_ms,
                    .time_ms = number(row, 3) / ns_per_ms,
                    .arrival_ms = number(row, 5) / ns_per_ms,
                    .count = number(row, 9)};
        // A folded notice says how many others there were, not how this one stands.
        auto& known = alerts_[{alert.name, alert.key}];
        if (alert.kind == "folded" && known.serial != 0) alert.state = known.state;
        known = std::move(alert);
        alerts_changed_ = true;
    }
}

void ResultBoard::list_alerts(const std::vector<Silence>& silences) {
    while (alerts_.size() > alerts_max) {
        const auto oldest = std::min_element(alerts_.begin(), alerts_.end(), [](const auto& a, const auto& b) {
            return a.second.serial < b.second.serial;
        });
        alerts_.erase(oldest);
    }
    auto list = std::make_shared<StreamState::List>();
    for (const auto& [of, alert] : alerts_) {
        std::optional<std::uint64_t> until_ms;
        for (const Silence& one : silences) {
            if (one.name != alert.name || (one.key && *one.key != alert.key)) continue;
            until_ms = std::max(until_ms.value_or(0), one.until_ms);
        }
        std::string id = alert.name + '/' + alert.key;
        ObjectText text;
        text.text("id", id).number("serial", alert.serial).text("name", alert.name).text("key", alert.key);
        text.text("state", alert.state).text("severity", alert.severity).number("since_ms", alert.since_ms);
        text.number("time_ms", alert.time_ms).number("arrival_ms", alert.arrival_ms).text("kind", alert.kind);
        text.text("fate", alert.fate).number("count", alert.count).truth("is_silenced", until_ms.has_value());
        list->emplace(std::move(id), text.number_or_null("silenced_until_ms", until_ms).end());
    }
    alerts_list_ = std::move(list);
}

}  // namespace weir::central
