#include "edge/top_view.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/control/config_reader.hpp"

namespace weir::edge {
namespace {

using control::Metric;
using control::Metrics;

[[gnu::format(printf, 1, 2)]] std::string printed(const char* format, ...) {
    std::array<char, 512> text;
    va_list values;
    va_start(values, format);
    const int bytes = std::vsnprintf(text.data(), text.size(), format, values);
    va_end(values);
    return {text.data(), std::min(text.size() - 1, static_cast<std::size_t>(std::max(bytes, 0)))};
}

// 1234567 -> "1,234,567"
std::string number(double value) {
    const std::string digits = printed("%.0f", std::abs(value));
    std::string text;
    if (value < 0) text += '-';
    for (std::size_t at = 0; at < digits.size(); ++at) {
        if (at > 0 && (digits.size() - at) % 3 == 0) text += ',';
        text += digits[at];
    }
    return text;
}

// What another process says may be any number.
std::uint64_t whole(double value) {
    constexpr double whole_max = 1e18;
    return static_cast<std::uint64_t>(std::clamp(value, 0.0, whole_max));
}

std::string bytes(double value) {
    return control::bytes_text(whole(value));
}

std::string share(double part, double whole) {
    return whole > 0 ? printed("%.1f %%", 100 * part / whole) : "-";
}

std::string time_text(double seconds) {
    if (seconds < 1e-3) return printed("%.0f us", seconds * 1e6);
    return seconds < 1 ? printed("%.1f ms", seconds * 1e3) : printed("%.2f s", seconds);
}

// Names come from a running process: nothing in them moves the cursor.
std::string plain(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

class Table {
  public:
    Table(const TopLook& now, const TopLook* before, double seconds) : now_(now), before_(before), seconds_(seconds) {}

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
        return value(name, label, is) - before_->metrics.value(name, label, is);
    }
    [[nodiscard]] std::string rate(std::string_view name, std::string_view label = {}, std::string_view is = {}) const {
        if (before_ == nullptr || seconds_ <= 0) return "-";
        return number(grown(name, label, is) / seconds_);
    }

    void head() {
        const auto& info = now_.metrics.all("weir_edge_info");
        const Metric nothing;
        const Metric& about = info.empty() ? nothing : info.front();
        line("weir-edge " + plain(about.label("edge")) + "   io " + plain(about.label("io")) + "   producers " +
             number(value("weir_edge_open_connections")) + "   events/s " + rate("weir_edge_offered_events_total") +
             "   bytes/s in " + rate("weir_edge_received_bytes_total"));
    }
    void runners() {
        line("");
        line(printed("%-12s %10s %10s %14s", "RUNNER", "worked", "idle", "cycles/s"));
        for (const Metric& one : now_.metrics.all("weir_edge_runner_worked_seconds_total")) {
            const std::string name(one.label("runner"));
            const char* const worked_name = "weir_edge_runner_worked_seconds_total";
            const char* const idle_name = "weir_edge_runner_idle_seconds_total";
            const double worked = before_ != nullptr ? grown(worked_name, "runner", name) : one.value;
            double idle = before_ != nullptr ? grown(idle_name, "runner", name) : value(idle_name, "runner", name);
            if (worked + idle <= 0) idle = 1;  // it slept all the while: a runner counts its sleep when it wakes
            line(printed("%-12s %10s %10s %14s", plain(name).c_str(), share(worked, worked + idle).c_str(),
                         share(idle, worked + idle).c_str(),
                         rate("weir_edge_runner_cycles_total", "runner", name).c_str()));
        }
    }
    void rooms() {
        line("");
        line(printed("%-12s %10s %10s", "ROOM", "in use", "of"));
        const auto room = [&](const std::string& name, double used, double capacity) {
            line(printed("%-12s %10s %10s", plain(name).c_str(), number(used).c_str(), number(capacity).c_str()));
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
            const std::string name = plain(one.label("lane")) + (one.label("part") == "backlog" ? ".backlog" : "");
            line(printed("%-16s %14s %14s %14s %12s %10s", name.c_str(), number(one.value).c_str(),
                         number(of_stream(now_.metrics, "weir_edge_spooled_events_total", one)).c_str(),
                         number(delivered).c_str(), number(std::max(one.value - settled, 0.0)).c_str(),
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
        if (before_ == nullptr || seconds_ <= 0) return "-";
        return number((one.value - of_stream(before_->metrics, "weir_edge_lane_accepted_events_total", one)) /
                      seconds_);
    }
    void hops() {
        line("");
        line(printed("%-26s %12s %10s %10s %10s %10s", "HOP (at most)", before_ == nullptr ? "events" : "events/s",
                     "mean", "p50", "p99", "max"));
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
            const auto times = control::hop_times(now_.metrics, before_ == nullptr ? nullptr : &before_->metrics,
                                                  shown.metric, shown.hop);
            const double count = before_ == nullptr || seconds_ <= 0 ? times.count : times.count / seconds_;
            const auto text = [&](double seconds) { return times.count > 0 ? time_text(seconds) : std::string("-"); };
            line(printed("%-26s %12s %10s %10s %10s %10s", shown.text, number(count).c_str(),
                         text(times.count > 0 ? times.sum_s / times.count : 0).c_str(), text(times.p50_s).c_str(),
                         text(times.p99_s).c_str(), time_text(times.max_s).c_str()));
        }
    }
    void spool() {
        const double most = value("weir_edge_spool_bytes_max");
        const double needed = value("weir_edge_journal_needed_bytes");
        line("");
        line("SPOOL   needed " + bytes(needed) + " of " + bytes(most) + " (" + share(needed, most) + ")   kept " +
             bytes(value("weir_edge_journal_held_bytes")) + "   written/s " +
             (before_ == nullptr || seconds_ <= 0 ? "-"
                                                  : bytes(grown("weir_edge_journal_written_bytes_total") / seconds_)) +
             (value("weir_edge_spool_poisoned_errno") != 0 ? "   THE DISK FAILED" : ""));
        const bool is_connected = value("weir_edge_uplink_connected") != 0;
        const auto endpoint = whole(value("weir_edge_uplink_endpoint"));
        line(std::string("UPLINK  ") + (is_connected ? "connected" : "not connected") + "   credit " +
             bytes(value("weir_edge_uplink_credit_bytes")) + "   unacked batches " +
             number(value("weir_edge_uplink_unacked_batches")) + "   switched " +
             number(value("weir_edge_uplink_switch_overs_total")) + " times");
        const auto& centrals = now_.metrics.all("weir_edge_uplink_breaker_state");
        for (std::size_t index = 0; index < centrals.size(); ++index) {
            const char* const states[] = {"closed", "half open", "open"};
            const auto state = std::min<std::uint64_t>(whole(centrals[index].value), 2);
            line("        " + plain(centrals[index].label("central")) + "   breaker " + states[state] +
                 (is_connected && index == endpoint ? "   in use" : ""));
        }
    }
    void dead_letters() {
        const auto& reasons = now_.metrics.all("weir_edge_dead_letters_total");
        if (reasons.empty()) return;
        line("");
        line(printed("%-20s %12s %10s", "DEAD LETTERS", "events", "events/s"));
        for (const Metric& one : reasons) {
            const std::string_view reason = one.label("reason");
            line(printed("%-20s %12s %10s", plain(reason).c_str(), number(one.value).c_str(),
                         rate("weir_edge_dead_letters_total", "reason", reason).c_str()));
        }
    }
    void ledger() {
        JsonFault fault;
        const auto object = json_parse(now_.ledger, fault);
        if (!object || object->kind != JsonKind::object) return;
        const auto terms = [&](std::string text, std::initializer_list<const char*> names) {
            for (const char* const name : names) {
                const auto value = json_member(object->raw, name);
                text += "  " + std::string(name) + " " + number(value ? json_number(*value).value_or(0) : 0);
            }
            line(std::move(text));
        };
        line("");
        terms("LEDGER", {"offered", "accepted", "duplicates", "rejected", "residue"});
        terms("      ", {"delivered", "dead_lettered", "shed", "expired", "gap", "held"});
    }

    const TopLook& now_;
    const TopLook* before_;
    double seconds_;
    std::vector<std::string> lines_;
};

}  // namespace

std::string top_table(const TopLook& now, const TopLook* before, double seconds, const TopSize& size) {
    std::vector<std::string> lines = Table(now, before, seconds).lines();
    if (size.rows > 0 && lines.size() > size.rows) {
        const std::size_t left_out = lines.size() - size.rows + 1;
        lines.resize(size.rows - 1);
        lines.push_back("... " + std::to_string(left_out) + " more lines");
    }
    std::string out;
    for (const std::string& line : lines) out += line.substr(0, size.columns) + '\n';
    return out;
}

}  // namespace weir::edge
