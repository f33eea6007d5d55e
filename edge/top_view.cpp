#include "edge/top_view.hpp"

#include <algorithm>
#include <vector>

#include "core/base/json_scan.hpp"

namespace weir::edge {
namespace {

using control::duration_text;
using control::Metric;
using control::Metrics;
using control::number_text;
using control::plain_text;
using control::printed;
using control::share_text;
using control::size_text;
using control::TopGrowth;
using control::TopLook;
using control::TopSize;
using control::whole_number;

class Table {
  public:
    Table(const TopLook& now, const TopLook* before, double seconds) : now_(now), growth_(now, before, seconds) {}

    std::vector<std::string> lines() {
        head();
        runners();
        rooms();
        lanes();
        hops();
        spool();
        dead_letters();
        ledger();
        return std::move(lines_);
    }

  private:
    void line(std::string text) { lines_.push_back(std::move(text)); }
    [[nodiscard]] double value(std::string_view name, std::string_view label = {}, std::string_view is = {}) const {
        return now_.metrics.value(name, label, is);
    }
    [[nodiscard]] double grown(std::string_view name, std::string_view label = {}, std::string_view is = {}) const {
        return growth_.grown(name, label, is);
    }
    [[nodiscard]] std::string rate(std::string_view name, std::string_view label = {}, std::string_view is = {}) const {
        return growth_.rate(name, label, is);
    }

    void head() {
        const auto& info = now_.metrics.all("weir_edge_info");
        const Metric nothing;
        const Metric& about = info.empty() ? nothing : info.front();
        line("weir-edge " + plain_text(about.label("edge")) + "   io " + plain_text(about.label("io")) +
             "   producers " + number_text(value("weir_edge_open_connections")) + "   events/s " +
             rate("weir_edge_offered_events_total") + "   bytes/s in " + rate("weir_edge_received_bytes_total"));
    }
    void runners() {
        line("");
        line(printed("%-12s %10s %10s %14s", "RUNNER", "worked", "idle", "cycles/s"));
        for (const Metric& one : now_.metrics.all("weir_edge_runner_worked_seconds_total")) {
            const std::string name(one.label("runner"));
            const char* const worked_name = "weir_edge_runner_worked_seconds_total";
            const char* const idle_name = "weir_edge_runner_idle_seconds_total";
            const double worked = growth_.before() != nullptr ? grown(worked_name, "runner", name) : one.value;
            double idle =
                growth_.before() != nullptr ? grown(idle_name, "runner", name) : value(idle_name, "runner", name);
            if (worked + idle <= 0) idle = 1;  // it slept all the while: a runner counts its sleep when it wakes
            line(printed("%-12s %10s %10s %14s", plain_text(name).c_str(), share_text(worked, worked + idle).c_str(),
                         share_text(idle, worked + idle).c_str(),
                         rate("weir_edge_runner_cycles_total", "runner", name).c_str()));
        }
    }
    void rooms() {
        line("");
        line(printed("%-12s %10s %10s", "ROOM", "in use", "of"));
        const auto room = [&](const std::string& name, double used, double capacity) {
            line(printed("%-12s %10s %10s", plain_text(name).c_str(), number_text(used).c_str(),
                         number_text(capacity).c_str()));
        };
        for (const Metric& one : now_.metrics.all("weir_edge_ring_waiting_elements")) {
            const std::string_view ring = one.label("ring");
            std::string name = "ring ";
            name += ring.starts_with("to_") ? ring.substr(3) : ring;
            room(name, one.value, value("weir_edge_ring_capacity_elements", "ring", ring));
        }
        room("buffers", value("weir_edge_buffers") - value("weir_edge_buffers_free"), value("weir_edge_buffers"));
        room("slots", value("weir_edge_slots_held"), value("weir_edge_slots"));
    }
    void lanes() {
        line("");
        line(printed("%-16s %14s %14s %14s %12s %10s", "LANE", "accepted", "spooled", "delivered", "held", "events/s"));
        for (const Metric& one : now_.metrics.all("weir_edge_lane_accepted_events_total")) {
            const double delivered = of_stream(now_.metrics, "weir_edge_delivered_events_total", one);
            const double settled = delivered + of_stream(now_.metrics, "weir_edge_gap_events_total", one) +
                                   of_stream(now_.metrics, "weir_edge_expired_events_total", one) +
                                   of_stream(now_.metrics, "weir_edge_shed_events_total", one, "shed_oldest");
            const std::string name = plain_text(one.label("lane")) + (one.label("part") == "backlog" ? ".backlog" : "");
            line(printed("%-16s %14s %14s %14s %12s %10s", name.c_str(), number_text(one.value).c_str(),
                         number_text(of_stream(now_.metrics, "weir_edge_spooled_events_total", one)).c_str(),
                         number_text(delivered).c_str(), number_text(std::max(one.value - settled, 0.0)).c_str(),
                         rate_of(one).c_str()));
        }
    }
    // The value of `name` for the stream that `one` is of: its lane and part.
    [[nodiscard]] static double of_stream(const Metrics& metrics, std::string_view name, const Metric& one,
                                          std::string_view reason = {}) {
        for (const Metric& other : metrics.all(name)) {
            const bool is_same = other.label("lane") == one.label("lane") && other.label("part") == one.label("part");
            if (is_same && other.label("reason") == reason) return other.value;
        }
        return 0;
    }
    [[nodiscard]] std::string rate_of(const Metric& one) const {
        if (!growth_.is_known()) return "-";
        return number_text((one.value - of_stream(*growth_.before(), "weir_edge_lane_accepted_events_total", one)) /
                           growth_.seconds());
    }
    void hops() {
        line("");
        line(printed("%-26s %12s %10s %10s %10s %10s", "HOP (at most)",
                     growth_.before() == nullptr ? "events" : "events/s", "mean", "p50", "p99", "max"));
        struct Shown {
            const char* text;
            const char* metric;
            const char* hop;
        };
        // A mean of the one that asks for `delivered` is that of the hops above it, but for what the two acks do not share.
        const char* const hop_name = "weir_edge_hop_seconds";
        const Shown hops[] = {{"received to judged", hop_name, "judged"},
                              {"  to batch closed", hop_name, "batched"},
                              {"  to write begun", hop_name, "written"},
                              {"  to spooled", hop_name, "spooled"},
                              {"    and said", hop_name, "spooled_said"},
                              {"  to sent", hop_name, "sent"},
                              {"  to central's ack", hop_name, "delivered"},
                              {"    and said", hop_name, "delivered_said"},
                              {"received to spooled ack", "weir_edge_spooled_ack_seconds", ""},
                              {"received to delivered ack", "weir_edge_delivered_ack_seconds", ""}};
        for (const Shown& shown : hops) {
            const auto times = control::hop_times(now_.metrics, growth_.before(), shown.metric, shown.hop);
            const double count = !growth_.is_known() ? times.count : times.count / growth_.seconds();
            const auto text = [&](double seconds) {
                return times.count > 0 ? duration_text(seconds) : std::string("-");
            };
            line(printed("%-26s %12s %10s %10s %10s %10s", shown.text, number_text(count).c_str(),
                         text(times.count > 0 ? times.sum_s / times.count : 0).c_str(), text(times.p50_s).c_str(),
                         text(times.p99_s).c_str(), duration_text(times.max_s).c_str()));
        }
    }
    void spool() {
        const double most = value("weir_edge_spool_bytes_max");
        const double needed = value("weir_edge_journal_needed_bytes");
        line("");
        line("SPOOL   needed " + size_text(needed) + " of " + size_text(most) + " (" + share_text(needed, most) +
             ")   kept " + size_text(value("weir_edge_journal_held_bytes")) + "   written/s " +
             (!growth_.is_known() ? "-"
                                  : size_text(grown("weir_edge_journal_written_bytes_total") / growth_.seconds())) +
             (value("weir_edge_spool_poisoned_errno") != 0 ? "   THE DISK FAILED" : ""));
        const double limit = value("weir_edge_flash_limit_bytes");
        line("DISK    written/s " +
             (!growth_.is_known() ? "-" : size_text(grown("weir_edge_flash_written_bytes_total") / growth_.seconds())) +
             "   today " + size_text(value("weir_edge_flash_today_bytes")) + ", on course for " +
             size_text(value("weir_edge_flash_projected_bytes")) + (limit > 0 ? " of " + size_text(limit) : "") +
             "   an event " + number_text(value("weir_edge_flash_event_bytes")) + " bytes" +
             (value("weir_edge_flash_over_limit") != 0 ? "   OVER" : ""));
        const bool is_connected = value("weir_edge_uplink_connected") != 0;
        const auto endpoint = whole_number(value("weir_edge_uplink_endpoint"));
        line(std::string("UPLINK  ") + (is_connected ? "connected" : "not connected") + "   credit " +
             size_text(value("weir_edge_uplink_credit_bytes")) + "   unacked batches " +
             number_text(value("weir_edge_uplink_unacked_batches")) + "   switched " +
             number_text(value("weir_edge_uplink_switch_overs_total")) + " times");
        const auto& centrals = now_.metrics.all("weir_edge_uplink_breaker_state");
        for (std::size_t index = 0; index < centrals.size(); ++index) {
            const char* const states[] = {"closed", "half open", "open"};
            const auto state = std::min<std::uint64_t>(whole_number(centrals[index].value), 2);
            line("        " + plain_text(centrals[index].label("central")) + "   breaker " + states[state] +
                 (is_connected && index == endpoint ? "   in use" : ""));
        }
    }
    void dead_letters() {
        const auto& reasons = now_.metrics.all("weir_edge_dead_letters_total");
        if (std::none_of(reasons.begin(), reasons.end(), [](const Metric& one) { return one.value > 0; })) return;
        line("");
        line(printed("%-20s %12s %10s", "DEAD LETTERS", "events", "events/s"));
        for (const Metric& one : reasons) {
            if (one.value <= 0) continue;
            const std::string_view reason = one.label("reason");
            line(printed("%-20s %12s %10s", plain_text(reason).c_str(), number_text(one.value).c_str(),
                         rate("weir_edge_dead_letters_total", "reason", reason).c_str()));
        }
    }
    void ledger() {
        JsonFault fault;
        const auto object = json_parse(now_.answer(0), fault);
        if (!object || object->kind != JsonKind::object) return;
        const auto terms = [&](std::string text, std::initializer_list<const char*> names) {
            for (const char* const name : names) {
                const auto value = json_member(object->raw, name);
                text += "  " + std::string(name) + " " + number_text(value ? json_number(*value).value_or(0) : 0);
            }
            line(std::move(text));
        };
        line("");
        terms("LEDGER", {"offered", "accepted", "duplicates", "rejected", "residue"});
        terms("      ", {"delivered", "dead_lettered", "shed", "expired", "gap", "held"});
    }

    const TopLook& now_;
    TopGrowth growth_;
    std::vector<std::string> lines_;
};

}  // namespace

std::string top_table(const TopLook& now, const TopLook* before, double seconds, const TopSize& size) {
    return control::fitted(Table(now, before, seconds).lines(), size);
}

}  // namespace weir::edge
