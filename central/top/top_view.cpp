#include "central/top/top_view.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/journal/record.hpp"

namespace weir::central {
namespace {

using control::duration_text;
using control::Metric;
using control::number_text;
using control::plain_text;
using control::printed;
using control::share_text;
using control::size_text;
using control::TopGrowth;
using control::TopLook;
using control::TopSize;

constexpr std::size_t edges_min = 4;  // that are shown however small the terminal is
constexpr std::size_t lanes_max = 8;
constexpr const char* appended = "weir_central_appended_events_total";

std::optional<JsonValue> object_of(std::string_view text) {
    JsonFault fault;
    const auto value = json_parse(text, fault);
    return value && value->kind == JsonKind::object ? value : std::nullopt;
}

std::string text_of(const JsonValue& object, std::string_view name) {
    std::string text;
    const auto value = json_member(object.raw, name);
    return value && json_text(*value, text) ? plain_text(text) : std::string();
}

// nullopt: there is none, or it is null.
std::optional<double> number_of(const JsonValue& object, std::string_view name) {
    const auto value = json_member(object.raw, name);
    return value ? json_number(*value) : std::nullopt;
}

bool is_true(const JsonValue& object, std::string_view name) {
    const auto value = json_member(object.raw, name);
    return value && value->raw == "true";
}

struct Edge {
    std::string name;
    bool is_connected = false;
    double events = 0;
    std::optional<double> lag_ms, held;
    double last_seen_ms = 0;
};

// One row for each name, of all its lineages.
std::vector<Edge> edges_of(std::string_view answer) {
    std::map<std::string, Edge> by_name;
    const auto object = object_of(answer);
    const auto list = object ? json_member(object->raw, "edges") : std::nullopt;
    if (!list) return {};
    json_elements(list->raw, [&](const JsonValue& row) {
        if (row.kind != JsonKind::object) return;
        Edge& edge = by_name[text_of(row, "edge")];
        edge.name = text_of(row, "edge");
        edge.is_connected = edge.is_connected || is_true(row, "connected");
        edge.events += number_of(row, "events").value_or(0);
        const double seen_ms = number_of(row, "last_seen_ms").value_or(0);
        // Of the lineage that was heard last: nobody could send what one before it holds.
        if (seen_ms >= edge.last_seen_ms) edge.held = number_of(row, "held");
        edge.last_seen_ms = std::max(edge.last_seen_ms, seen_ms);
        if (const auto lag = number_of(row, "lag_ms")) edge.lag_ms = std::max(edge.lag_ms.value_or(0), *lag);
    });
    std::vector<Edge> edges;
    for (auto& [name, edge] : by_name) edges.push_back(std::move(edge));
    return edges;
}

class Table {
  public:
    Table(const TopLook& now, const TopLook* before, double seconds, WallNs wall)
        : now_(now), growth_(now, before, seconds), wall_(wall), edges_(edges_of(now.answer(1))) {}

    std::vector<std::string> lines(std::size_t rows_max) {
        head();
        const std::vector<std::string> above = std::exchange(lines_, {});
        lanes();
        hops();
        journal();
        alerts();
        ledger();
        const std::vector<std::string> below = std::exchange(lines_, above);
        const std::size_t others = above.size() + below.size() + 2;  // a blank line and the heading
        edges(rows_max == 0 ? edges_.size() : std::max(edges_min, rows_max - std::min(rows_max, others)));
        lines_.insert(lines_.end(), below.begin(), below.end());
        return std::move(lines_);
    }

  private:
    void line(std::string text) { lines_.push_back(std::move(text)); }
    [[nodiscard]] double value(std::string_view name) const { return growth_.value(name); }
    [[nodiscard]] std::string ago(double ms) const {
        const double now_ms = static_cast<double>(wall_.value) / static_cast<double>(ns_per_ms);
        return ms <= 0 ? "-" : duration_text(std::max(now_ms - ms, 0.0) / 1000);
    }

    void head() {
        const auto& info = now_.metrics.all("weir_central_info");
        const auto here = std::count_if(edges_.begin(), edges_.end(), [](const Edge& one) { return one.is_connected; });
        line("weir-central   io " + (info.empty() ? std::string("-") : plain_text(info.front().label("io"))) +
             "   edges " + std::to_string(here) + " of " + std::to_string(edges_.size()) + "   events/s " +
             growth_.sum_rate(appended) + "   written/s " + growth_.byte_rate("weir_central_written_bytes_total"));
        if (value("weir_central_journal_poisoned") != 0) line("THE JOURNAL CANNOT BE WRITTEN: the disk failed");
        if (value("weir_central_dead_letters_poisoned") != 0) line("DEAD LETTERS CANNOT BE WRITTEN: the disk failed");
    }
    void edges(std::size_t edges_max) {
        line("");
        line(printed("%-19s %5s %9s %10s %10s %13s %8s", "EDGE", "", "lag", "held", "events/s", "events", "seen"));
        // What is away, and then what lags most, is what is looked for; the rest by name.
        std::stable_sort(edges_.begin(), edges_.end(), [](const Edge& one, const Edge& other) {
            if (one.is_connected != other.is_connected) return !one.is_connected;
            return one.lag_ms.value_or(0) > other.lag_ms.value_or(0);
        });
        const std::size_t shown = edges_.size() > edges_max ? edges_max - 1 : edges_.size();
        for (std::size_t index = 0; index < shown; ++index) {
            const Edge& one = edges_[index];
            line(printed("%-19s %5s %9s %10s %10s %13s %8s", one.name.substr(0, 19).c_str(),
                         one.is_connected ? "" : "AWAY", one.lag_ms ? duration_text(*one.lag_ms / 1000).c_str() : "-",
                         one.held ? number_text(*one.held).c_str() : "-",
                         growth_.sum_rate(appended, "edge", one.name).c_str(), number_text(one.events).c_str(),
                         ago(one.last_seen_ms).c_str()));
        }
        if (shown < edges_.size()) line("... and " + std::to_string(edges_.size() - shown) + " more edges");
    }
    void lanes() {
        std::set<std::string> names;
        for (const Metric& one : now_.metrics.all(appended)) names.emplace(one.label("lane"));
        for (const Metric& one : now_.metrics.all("weir_central_lane_held")) names.emplace(one.label("lane"));
        line("");
        line(printed("%-20s %14s %10s %12s %8s", "LANE", "stored", "events/s", "duplicates", "gap"));
        std::size_t shown = 0;
        for (const std::string& name : names) {
            if (shown++ == lanes_max) break;
            line(printed("%-20s %14s %10s %12s %8s%s", plain_text(name).substr(0, 20).c_str(),
                         number_text(growth_.sum(appended, "lane", name)).c_str(),
                         growth_.sum_rate(appended, "lane", name).c_str(),
                         number_text(growth_.sum("weir_central_duplicate_events_total", "lane", name)).c_str(),
                         number_text(growth_.sum("weir_central_gap_events_total", "lane", name)).c_str(),
                         growth_.value("weir_central_lane_held", "lane", name) != 0 ? "  HELD" : ""));
        }
        if (names.size() > lanes_max) line("... and " + std::to_string(names.size() - lanes_max) + " more lanes");
    }
    // Every histogram of times that central keeps, whatever its name.
    void hops() {
        constexpr std::string_view begin = "weir_central_", end = "_seconds_bucket";
        const auto names = now_.metrics.names(begin, end);
        if (names.empty()) return;
        line("");
        line(printed("%-30s %12s %10s %10s %10s", "LATENCY (at most)", growth_.is_known() ? "times/s" : "times", "p50",
                     "p99", "max"));
        for (const std::string& name : names) {
            std::set<std::string> hop_names;
            for (const Metric& one : now_.metrics.all(name)) hop_names.emplace(one.label("hop"));
            for (const std::string& hop_name : hop_names) {
                hop(name.substr(begin.size(), name.size() - begin.size() - end.size()),
                    name.substr(0, name.size() - std::string_view("_bucket").size()), hop_name);
            }
        }
    }
    void hop(std::string shown, const std::string& name, const std::string& hop_name) {
        const auto times = control::hop_times(now_.metrics, growth_.before(), name, hop_name);
        const double count = growth_.is_known() ? times.count / growth_.seconds() : times.count;
        std::replace(shown.begin(), shown.end(), '_', ' ');
        if (!hop_name.empty()) shown += " " + plain_text(hop_name);
        const auto text = [&](double seconds) { return times.count > 0 ? duration_text(seconds) : std::string("-"); };
        line(printed("%-30s %12s %10s %10s %10s", shown.substr(0, 30).c_str(), number_text(count).c_str(),
                     text(times.p50_s).c_str(), text(times.p99_s).c_str(), duration_text(times.max_s).c_str()));
    }
    // A reader stands where the last record ends, which is padded to a whole block.
    [[nodiscard]] double behind(std::string_view name) const {
        const double read_to = std::ceil(value(name) / journal::block_bytes) * journal::block_bytes;
        return std::max(value("weir_central_journal_position_bytes") - read_to, 0.0);
    }
    void journal() {
        const double durable = value("weir_central_journal_position_bytes");
        const double free = value("weir_central_disk_free_bytes"), all = value("weir_central_disk_bytes");
        line("");
        line("JOURNAL  " + size_text(durable) + "   disk free " + size_text(free) + " of " + size_text(all) + " (" +
             share_text(free, all) + ")");
        line("BEHIND   read model " + size_text(behind("weir_central_reader_position_bytes")) +
             (value("weir_central_analytics_running") != 0
                  ? "   analytics " + size_text(behind("weir_central_analytics_position_bytes"))
                  : std::string()));
        const char* const letters = "weir_central_dead_lettered_events_total";
        line("DEAD LETTERS  " + number_text(growth_.sum(letters)) + "   events/s " + growth_.sum_rate(letters) +
             "   expired " + number_text(value("weir_central_dead_letters_expired_total")) + "   kept " +
             size_text(value("weir_central_dead_letters_bytes")));
    }
    void alerts() {
        const auto object = object_of(now_.answer(2));
        const auto list = object ? json_member(object->raw, "alerts") : std::nullopt;
        if (!list || value("weir_central_analytics_running") == 0) return;
        line("");
        line("ALERTS  " + number_text(value("weir_central_analytics_firing_alerts")) + " firing");
        json_elements(list->raw, [&](const JsonValue& row) {
            const auto data = row.kind == JsonKind::object ? json_member(row.raw, "data") : std::nullopt;
            if (!data || data->kind != JsonKind::object) return;
            const double time_ns = number_of(*data, "time_ns").value_or(0);
            line(printed("%-20s %-9s %-9s %-20s %s",
                         format_time({control::whole_number(time_ns)}).substr(0, 19).c_str(),
                         text_of(*data, "severity").c_str(), text_of(*data, "kind").c_str(),
                         text_of(*data, "rule").substr(0, 20).c_str(), text_of(*data, "key").substr(0, 18).c_str()));
        });
    }
    void ledger() {
        const auto object = object_of(now_.answer(0));
        const auto totals = object ? json_member(object->raw, "totals") : std::nullopt;
        if (!totals || totals->kind != JsonKind::object) return;
        const auto terms = [&](std::string text, std::initializer_list<const char*> names) {
            for (const char* const name : names) {
                text += "  " + std::string(name) + " " + number_text(number_of(*totals, name).value_or(0));
            }
            line(std::move(text));
        };
        line("");
        terms("LEDGER", {"received", "appended", "residue"});
        terms("      ", {"duplicates", "rejected", "dead_lettered"});
        terms("      ", {"gap", "elsewhere", "dead_letters_expired"});
    }

    const TopLook& now_;
    TopGrowth growth_;
    WallNs wall_;
    std::vector<Edge> edges_;
    std::vector<std::string> lines_;
};

}  // namespace

std::string top_table(const TopLook& now, const TopLook* before, double seconds, WallNs wall, const TopSize& size) {
    return control::fitted(Table(now, before, seconds, wall).lines(size.rows), size);
}

}  // namespace weir::central
