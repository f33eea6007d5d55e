// weir-bench load: an open-loop generator: events that are due go out together; a late event's latency counts from when it was due.
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <vector>

#include "bench/commands.hpp"
#include "bench/event_template.hpp"
#include "bench/pace.hpp"
#include "bench/report.hpp"
#include "core/base/clock.hpp"
#include "core/client/producer_client.hpp"

namespace weir::bench {
namespace {

constexpr int offers_per_pump = 1024;
constexpr std::uint64_t wait_ns_max = 200 * ns_per_us;
constexpr std::array types = {"violation.submitted",
                              "violation.validated",
                              "violation.rejected",
                              "violation.stored",
                              "violation.approved",
                              "violation.status-changed",
                              "violation.payment-processed",
                              "violation.reward-requested",
                              "violation.camera-reading",
                              "violation.citation",
                              "ride.started",
                              "sensor.reading"};

class Load {
  public:
    explicit Load(const LoadOptions& options);
    int run();

  private:
    void offer_due(MonotonicNs now);

    const LoadOptions& options_;
    client::ProducerClient client_;
    std::vector<EventTemplate> templates_;
    std::optional<Pace> pace_;
    std::uint64_t index_ = 0;
    MonotonicNs steady_since_{};
    std::uint64_t all_events_;
};

Load::Load(const LoadOptions& options)
    : options_(options),
      client_({.to = options.to, .level = options.level, .producer = "", .ca_file = options.ca_file}),
      all_events_(options.events + options.warmup_events) {
    std::uint32_t run = 0;
    WEIR_ASSERT(::getrandom(&run, sizeof run, 0) == sizeof run);
    for (const char* type : types)
        templates_.emplace_back(type, options.source, run, options.payload_bytes, options.keys);
}

void Load::offer_due(MonotonicNs now) {
    const WallNs wall = wall_now();
    for (int i = 0; i < offers_per_pump && index_ < all_events_ && pace_->is_due(index_, now); ++i) {
        const bool is_counted = index_ >= options_.warmup_events;
        if (!client_.offer(templates_[index_ % templates_.size()].stamp(index_, wall), 0,
                           pace_->counted_from(index_, now), is_counted))
            return;
        if (index_ == options_.warmup_events) steady_since_ = now;
        ++index_;
    }
}

int Load::run() {
    // The schedule begins when the edge has answered: connecting is no part of the latency.
    while (!client_.is_connected()) {
        if (const Status status = client_.pump(ns_per_ms); !status) {
            std::fprintf(stderr, "load: %s\n", status.error().what.c_str());
            return 1;
        }
    }
    pace_.emplace(options_.rate, monotonic_now());
    Progress progress(all_events_);
    std::uint64_t moved_acked = 0;
    MonotonicNs moved = monotonic_now();
    while (index_ < all_events_ || client_.unacked_count() > 0) {
        const MonotonicNs now = monotonic_now();
        offer_due(now);
        std::uint64_t wait_ns = wait_ns_max;
        if (index_ < all_events_ && options_.rate > 0)
            wait_ns = std::min(wait_ns, pace_->intended(index_).since(monotonic_now()));
        // Flat out: only look, unless nothing more may be sent now.
        if (index_ < all_events_ && options_.rate == 0 && client_.has_room()) wait_ns = 0;
        if (const Status status = client_.pump(wait_ns); !status) {
            std::fprintf(stderr, "load: %s\n", status.error().what.c_str());
            return 1;
        }
        progress.show(client_, now);
        if (client_.totals().acked != moved_acked) {
            moved_acked = client_.totals().acked;
            moved = now;
        }
        if (options_.timeout_s > 0 && now.since(moved) > options_.timeout_s * ns_per_second) {
            std::fprintf(stderr, "load: no ack for %llu s\n", static_cast<unsigned long long>(options_.timeout_s));
            return 1;
        }
    }
    progress.finish();
    Report report{client_.totals(), 0, static_cast<double>(client_.last_ack().since(steady_since_)) / 1e9};
    // The rate is that of the steady part.
    report.totals.acked -= std::min(report.totals.acked, options_.warmup_events);
    report.totals.offered -= options_.warmup_events;
    report.totals.accepted -= std::min(report.totals.accepted, options_.warmup_events);
    print_report(report, client_.latency(), options_.as_json);
    return report.totals.rejected > 0 ? 1 : 0;
}

}  // namespace

int load_command(const LoadOptions& options) {
    return Load(options).run();
}

}  // namespace weir::bench
