#include "bench/hop_report.hpp"

#include <array>
#include <cstdio>
#include <utility>

#include "core/control/admin_client.hpp"

namespace weir::bench {
namespace {

std::optional<control::Metrics> read_metrics(const std::string& admin) {
    const auto answer = control::ask_admin({.address = admin, .target = "/metrics"});
    if (answer.ok() && answer.value().status == 200) return control::Metrics::read(answer.value().body);
    std::fprintf(stderr, "load: %s: no metrics: %s\n", admin.c_str(),
                 answer.ok() ? std::to_string(answer.value().status).c_str() : answer.error().what.c_str());
    return std::nullopt;
}

double mean_us(const control::HopTimes& times) {
    return times.count > 0 ? times.sum_s * 1e6 / times.count : 0;
}

template <class... Values>
void append(std::string& out, const char* format, Values... values) {
    std::array<char, 256> text;
    const int bytes = std::snprintf(text.data(), text.size(), format, values...);
    out.append(text.data(), static_cast<std::size_t>(bytes));
}

double sum_of_parts(const std::vector<HopRow>& rows) {
    double sum = 0;
    for (const HopRow& row : rows) sum += row.is_part ? mean_us(row.times) : 0;
    return sum;
}

}  // namespace

std::vector<HopRow> hop_rows(const control::Metrics& now, const control::Metrics* before, wire::AckLevel level) {
    const bool is_spooled = level == wire::AckLevel::spooled;
    const bool is_delivered = level == wire::AckLevel::delivered;
    const std::pair<const char*, bool> hops[] = {{"judged", true},
                                                 {"batched", is_spooled || is_delivered},
                                                 {"written", is_spooled || is_delivered},
                                                 {"spooled", is_spooled || is_delivered},
                                                 {"spooled_said", is_spooled},
                                                 {"sent", is_delivered},
                                                 {"delivered", is_delivered},
                                                 {"delivered_said", is_delivered}};
    std::vector<HopRow> rows;
    for (const auto& [name, is_part] : hops) {
        rows.push_back({name, control::hop_times(now, before, "weir_edge_hop_seconds", name), is_part});
    }
    return rows;
}

HopReport::HopReport(std::string admin, wire::AckLevel level) : admin_(std::move(admin)), level_(level) {}

void HopReport::begin() {
    if (admin_.empty()) return;
    first_ = std::async(std::launch::async, [admin = admin_] { return read_metrics(admin); });
}

void HopReport::end() {
    if (!first_.valid()) return;
    const auto before = first_.get();
    const auto now = before ? read_metrics(admin_) : std::nullopt;
    if (!now) return;
    rows_ = hop_rows(*now, &*before, level_);
    if (level_ != wire::AckLevel::received) {
        whole_ = control::hop_times(
            *now, &*before,
            level_ == wire::AckLevel::spooled ? "weir_edge_spooled_ack_seconds" : "weir_edge_delivered_ack_seconds");
    }
}

std::string HopReport::text(double producer_mean_us) const {
    if (rows_.empty()) return {};
    std::string out = "hop us            events       mean   p50 <=    p99 <=  max since start\n";
    for (const HopRow& row : rows_) {
        append(out, "%-14s%10.0f %10.1f %9.1f %9.1f %9.1f%s\n", row.name.c_str(), row.times.count, mean_us(row.times),
               row.times.p50_s * 1e6, row.times.p99_s * 1e6, row.times.max_s * 1e6,
               row.is_part ? "" : "   (beside the ack)");
    }
    append(out, "sum of means  %10s %10.1f\n", "", sum_of_parts(rows_));
    if (whole_.count > 0) {
        append(out, "edge, whole   %10.0f %10.1f %9.1f %9.1f %9.1f\n", whole_.count, mean_us(whole_),
               whole_.p50_s * 1e6, whole_.p99_s * 1e6, whole_.max_s * 1e6);
        append(out, "outside       %10s %10.1f   (the producer's mean less the edge's)\n", "",
               producer_mean_us - mean_us(whole_));
    }
    return out;
}

std::string HopReport::json(double producer_mean_us) const {
    if (rows_.empty()) return {};
    std::string out = ",\"hops\":[";
    for (const HopRow& row : rows_) {
        append(out, "%s{\"hop\":\"%s\",\"part\":%s,\"count\":%.0f,\"mean_us\":%.3f,\"p50_us\":%.3f,\"p99_us\":%.3f}",
               out.back() == '[' ? "" : ",", row.name.c_str(), row.is_part ? "true" : "false", row.times.count,
               mean_us(row.times), row.times.p50_s * 1e6, row.times.p99_s * 1e6);
    }
    append(out, "],\"hops_sum_us\":%.3f,\"hops_whole_us\":%.3f,\"hops_outside_us\":%.3f", sum_of_parts(rows_),
           mean_us(whole_), producer_mean_us - mean_us(whole_));
    return out;
}

}  // namespace weir::bench
