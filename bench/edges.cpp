// weir-bench edges: many edges come to a central at once, each with batches to hand over; how long until all are acked.
#include <cstdio>
#include <fstream>

#include "bench/commands.hpp"
#include "bench/edge_swarm.hpp"
#include "core/base/clock.hpp"

namespace weir::bench {
namespace {

constexpr int wait_ms = 1;

// The most that the process has had in memory; 0 if that cannot be read.
std::uint64_t rss_bytes_max(int pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; status >> word;) {
        std::uint64_t kib = 0;
        if (word == "VmHWM:" && status >> kib) return kib << 10U;
    }
    return 0;
}

void print(const EdgesOptions& options, const SwarmTotals& totals, double seconds, std::uint64_t rss_bytes) {
    const double rate = static_cast<double>(totals.acked_events) / seconds;
    const auto limit = totals.refusals[static_cast<std::size_t>(wire::RefusalReason::limit)];
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    const std::uint64_t retries = totals.connects - std::min<std::uint64_t>(totals.connects, options.count);
    std::printf(
        options.as_json
            ? "{\"edges\":%llu,\"done\":%llu,\"acked\":%llu,\"seconds\":%.3f,\"events_per_second\":%.0f,"
              "\"refused\":%llu,\"refused_limit\":%llu,\"lost\":%llu,\"retries\":%llu,\"resent_batches\":%llu,"
              "\"batch_bytes\":%llu,\"central_rss_bytes_max\":%llu}\n"
            : "edges              %llu\ndone               %llu\nevents acked       %llu\nseconds            %.3f\n"
              "events per second  %.0f\nrefused            %llu (limit: %llu)\nlost               %llu\n"
              "retries            %llu\nbatches resent     %llu\nbytes of batches   %llu\ncentral RSS max    %llu "
              "bytes\n",
        number(options.count), number(totals.done_edges), number(totals.acked_events), seconds, rate,
        number(totals.refused), number(limit), number(totals.lost), number(retries), number(totals.resent_batches),
        number(totals.batch_bytes), number(rss_bytes));
}

}  // namespace

int edges_command(const EdgesOptions& options) {
    EdgeSwarm swarm({.to = options.to,
                     .prefix = options.prefix,
                     .count = options.count,
                     .batches = options.batches,
                     .events = options.events,
                     .payload_bytes = options.payload_bytes,
                     .link_bytes_per_second = options.link_mbit * 125'000});
    if (const Status opened = swarm.open(); !opened) {
        std::fprintf(stderr, "edges: %s\n", opened.error().what.c_str());
        return 1;
    }
    const MonotonicNs began = monotonic_now();
    MonotonicNs moved = began;
    std::uint64_t acked = 0;
    while (!swarm.is_done()) {
        swarm.pump(wait_ms);
        const MonotonicNs now = monotonic_now();
        if (swarm.totals().acked_events != acked) {
            acked = swarm.totals().acked_events;
            moved = now;
        }
        if (now.since(moved) > options.timeout_s * ns_per_second) {
            std::fprintf(stderr, "edges: no ack for %llu s\n", static_cast<unsigned long long>(options.timeout_s));
            break;
        }
    }
    const double seconds = static_cast<double>(monotonic_now().since(began)) / 1e9;
    print(options, swarm.totals(), seconds, options.pid > 0 ? rss_bytes_max(options.pid) : 0);
    return swarm.is_done() ? 0 : 1;
}

}  // namespace weir::bench
