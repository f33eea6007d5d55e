#include "bench/load_report.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "core/base/json_scan.hpp"

namespace weir::bench {
namespace {

__attribute__((format(printf, 2, 3))) void append(std::string& out, const char* format, ...) {
    char text[256];
    va_list rest;
    va_start(rest, format);
    std::vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    out += text;
}

double in_us(std::uint64_t ns) {
    return static_cast<double>(ns) / 1000.0;
}

unsigned long long number(std::uint64_t value) {
    return value;
}

LatencyLog::All all_groups(const Fleet& fleet) {
    LatencyLog::All all;
    for (const auto& group : fleet.groups()) all.merge(group->latency.all());
    return all;
}

void append_latency(std::string& out, const LatencyLog::All& log) {
    out += "{";
    for (const NamedShare& one : reported_shares)
        append(out, "\"%s\":%.1f,", one.key, in_us(log.percentile(one.share)));
    append(out, "\"max\":%.1f,\"mean\":%.1f,\"count\":%llu}", in_us(log.greatest()), log.mean() / 1000.0,
           number(log.count()));
}

void append_share(std::string& out, const Share& share, const char* before) {
    out += before;
    json_quote(share.name, out);
    append(out, ":%.4f", share.share);
}

void append_evidence(std::string& out, const Evidence& evidence) {
    out += ",\"limited_by\":";
    json_quote(verdict(evidence), out);
    append(out, ",\"machine_share\":%.4f,\"waited_share\":%.4f,\"busy\":{", evidence.machine_share,
           evidence.waited_share);
    append_share(out, evidence.self, "");
    for (const Share& one : evidence.runners) append_share(out, one, ",");
    for (const Share& one : evidence.disks) append_share(out, one, ",");
    out += "}";
}

void print_latency(const std::string& name, const LatencyLog::All& log) {
    std::printf("%-20s %10llu", name.c_str(), number(log.count()));
    for (const NamedShare& one : reported_shares) std::printf(" %9.1f", in_us(log.percentile(one.share)));
    std::printf(" %9.1f\n", in_us(log.greatest()));
}

Status write_file(const std::string& path, const std::string& text) {
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (file == nullptr) return error_from_errno(errno, "open " + path);
    const bool is_written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !is_written) return error_from_errno(errno, "write " + path);
    return Done{};
}

}  // namespace

std::string what_was_run(const LoadResult& result) {
    const LoadOptions& options = result.options;
    std::string text = options.rate == "max" ? "as fast as it goes" : options.rate + " events/s, open loop";
    for (const auto& group : result.fleet.groups()) text += ", " + group->name;
    append(text, ", %u connection%s, events of %.0f bytes", options.connections, options.connections == 1 ? "" : "s",
           result.event_bytes);
    if (options.keys > 0) append(text, ", %llu keys (%s)", number(options.keys), options.key_distribution.c_str());
    return text;
}

std::string load_json(const LoadResult& result) {
    const client::ClientTotals totals = result.fleet.totals();
    std::string out;
    append(out,
           "{\"offered\":%llu,\"accepted\":%llu,\"duplicates\":%llu,\"rejected\":%llu,\"shed\":%llu,\"acked\":%llu,"
           "\"reconnects\":%llu,",
           number(totals.offered), number(totals.accepted), number(totals.duplicates), number(totals.rejected),
           number(totals.shed), number(totals.acked), number(totals.reconnects));
    append(out,
           "\"measured\":%llu,\"answered\":%llu,\"seconds\":%.6f,\"events_per_second\":%.1f,\"event_bytes\":%.1f,"
           "\"latency_us\":",
           number(result.measured), number(result.answered), result.seconds, result.rate(), result.event_bytes);
    append_latency(out, all_groups(result.fleet));
    out += ",\"groups\":{";
    const char* before = "";
    for (const auto& group : result.fleet.groups()) {
        out += before;
        json_quote(group->name, out);
        out += ":";
        append_latency(out, group->latency.all());
        before = ",";
    }
    const auto& late = result.fleet.lateness();
    append(out, "},\"sent_late_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}", in_us(late.percentile(0.5)),
           in_us(late.percentile(0.99)), in_us(late.greatest()));
    out += ",\"slice_max_us\":[";
    LatencyLog all;
    for (const auto& group : result.fleet.groups()) all.merge(group->latency);
    before = "";
    for (const auto& slice : all.slices()) {
        if (slice.count() == 0) continue;
        append(out, "%s%.1f", before, in_us(slice.greatest()));
        before = ",";
    }
    out += "]";
    append_evidence(out, result.evidence);
    if (result.hops != nullptr) out += result.hops->json(all_groups(result.fleet).mean() / 1000.0);
    return out + "}";
}

void print_load(const LoadResult& result) {
    if (result.options.as_json) {
        std::printf("%s\n", load_json(result).c_str());
        return;
    }
    const client::ClientTotals totals = result.fleet.totals();
    std::printf("%s\n", what_was_run(result).c_str());
    std::printf("offered %llu  accepted %llu  duplicates %llu  rejected %llu  shed %llu  acked %llu  reconnects %llu\n",
                number(totals.offered), number(totals.accepted), number(totals.duplicates), number(totals.rejected),
                number(totals.shed), number(totals.acked), number(totals.reconnects));
    for (const auto& [reason, count] : totals.reasons)
        std::printf("  rejected for %s: %llu\n", reason.c_str(), number(count));
    for (const auto& [reason, count] : totals.shed_reasons)
        std::printf("  shed for %s: %llu\n", reason.c_str(), number(count));
    std::printf("steady part: %llu events in %.3f s, %.0f events/s, %.1f MB/s\n\n", number(result.answered),
                result.seconds, result.rate(), result.rate() * result.event_bytes / 1e6);
    std::printf("%-20s %10s", "latency, us", "events");
    for (const NamedShare& one : reported_shares) std::printf(" %9s", one.text);
    std::printf(" %9s\n", "max");
    for (const auto& group : result.fleet.groups()) print_latency(group->name, group->latency.all());
    const auto& late = result.fleet.lateness();
    std::printf("\nsent late by (counted above): p50 %.1f  p99 %.1f  max %.1f us\n", in_us(late.percentile(0.5)),
                in_us(late.percentile(0.99)), in_us(late.greatest()));
    const Evidence& evidence = result.evidence;
    std::printf("busy: %s %.0f %%", evidence.self.name.c_str(), evidence.self.share * 100);
    for (const Share& one : evidence.runners) std::printf(", %s %.0f %%", one.name.c_str(), one.share * 100);
    for (const Share& one : evidence.disks) std::printf(", %s %.0f %%", one.name.c_str(), one.share * 100);
    std::printf("; all cores %.0f %%; waited for credit %.0f %%\n", evidence.machine_share * 100,
                evidence.waited_share * 100);
    if (!evidence.fault.empty()) std::printf("%s\n", evidence.fault.c_str());
    std::printf("limited by %s\n", verdict(evidence).c_str());
    if (result.hops != nullptr) std::printf("%s", result.hops->text(all_groups(result.fleet).mean() / 1000.0).c_str());
}

Status write_files(const LoadResult& result) {
    if (!result.options.hgrm_file.empty()) {
        if (const Status status = write_file(result.options.hgrm_file, hgrm_text(all_groups(result.fleet))); !status)
            return status;
    }
    if (result.options.svg_file.empty()) return Done{};
    return write_file(result.options.svg_file, load_picture(result));
}

}  // namespace weir::bench
