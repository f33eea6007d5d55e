// weir-bench load: warm-up, steady part, and what it says of it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <future>

#include "bench/commands.hpp"
#include "bench/evidence.hpp"
#include "bench/fleet.hpp"
#include "bench/hop_report.hpp"
#include "bench/load_report.hpp"
#include "bench/report.hpp"
#include "core/base/clock.hpp"

namespace weir::bench {
namespace {

constexpr std::uint64_t look_ns = 50 * ns_per_ms;  // between two looks at whether all is acked, and how far it is

std::uint64_t thread_cpu_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * ns_per_second + static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t in_ns(double seconds) {
    return static_cast<std::uint64_t>(std::llround(seconds * 1e9));
}

int fail(const Error& error, int code) {
    std::fprintf(stderr, "load: %s\n", error.what.c_str());
    return code;
}

class Load {
  public:
    Load(const LoadOptions& options, Schedule schedule, EventMix mix)
        : options_(options),
          wanted_rate_(schedule.mean_rate()),
          event_bytes_(mix.mean_bytes()),
          fleet_(options, std::move(schedule), std::move(mix)),
          // Acks of one level only have one whole.
          hops_(options.levels.size() == 1 ? options.edge_admin : std::string(), options.levels.front()) {}
    int run();

  private:
    [[nodiscard]] Status send_all();
    void note_steady_start();
    [[nodiscard]] LoadResult result();

    const LoadOptions& options_;
    double wanted_rate_;
    double event_bytes_;
    Fleet fleet_;
    HopReport hops_;
    std::uint64_t events_max_ = UINT64_MAX;
    std::uint64_t end_ns_ = UINT64_MAX;
    // What was busy is read beside the load: the answers of the daemons are not waited for.
    std::future<MachineReading> before_;
    std::uint64_t cpu_before_ns_ = 0;
    MonotonicNs cpu_since_{};
};

void Load::note_steady_start() {
    if (cpu_since_ != MonotonicNs{} || !fleet_.is_steady()) return;
    cpu_since_ = monotonic_now();
    cpu_before_ns_ = thread_cpu_ns();
    const EvidenceSources sources{options_.edge_admin, options_.central_admin, options_.token_file};
    hops_.begin();
    before_ = std::async(std::launch::async, [sources] { return read_machine(sources); });
}

Status Load::send_all() {
    Progress progress(options_.events + options_.warmup_events);
    std::uint64_t moved_acked = 0;
    MonotonicNs moved = monotonic_now();
    MonotonicNs looked{};
    for (;;) {
        if (const Status status = fleet_.round(events_max_, end_ns_); !status) return status;
        note_steady_start();
        const bool is_sent = fleet_.is_all_sent(events_max_, end_ns_);
        if (is_sent && fleet_.unacked_count() == 0) break;
        const MonotonicNs now = monotonic_now();
        if (now.since(looked) < look_ns) continue;
        looked = now;
        const client::ClientTotals totals = fleet_.totals();
        progress.show(totals, fleet_.rung(), now);
        if (totals.acked != moved_acked || (!is_sent && fleet_.unacked_count() == 0)) {
            moved_acked = totals.acked;
            moved = now;
        }
        if (options_.timeout_s > 0 && now.since(moved) > options_.timeout_s * ns_per_second)
            return Error{ETIMEDOUT, "no ack for " + std::to_string(options_.timeout_s) + " s"};
    }
    progress.finish();
    return Done{};
}

LoadResult Load::result() {
    LoadResult result{options_, fleet_};
    hops_.end();
    result.hops = &hops_;
    result.event_bytes = event_bytes_;
    for (const auto& group : fleet_.groups()) result.measured += group->latency.all().count();
    result.answered = fleet_.answered_count();
    result.seconds = static_cast<double>(fleet_.last_ack().since(fleet_.answered_since())) / 1e9;
    if (before_.valid()) {
        const double wall_ns = std::max(1.0, static_cast<double>(monotonic_now().since(cpu_since_)));
        const double own_ns = static_cast<double>(thread_cpu_ns() - cpu_before_ns_);
        const EvidenceSources sources{options_.edge_admin, options_.central_admin, options_.token_file};
        const MachineReading after = read_machine(sources);
        result.evidence = compare(before_.get(), after);
        result.evidence.self.share = std::min(1.0, own_ns / wall_ns);
        result.evidence.waited_share = std::min(1.0, static_cast<double>(fleet_.waited_ns()) / wall_ns);
    }
    // The last answers come after the schedule's end: a rate is held where sending kept to it.
    const double scheduled_s = options_.seconds > 0 ? options_.seconds : 0;
    result.evidence.wanted_rate = wanted_rate_;
    result.evidence.got_rate = result.rate();
    if (wanted_rate_ > 0 && scheduled_s > 0 && result.seconds > scheduled_s) {
        const auto late_ns = fleet_.lateness().percentile(0.99);
        if (late_ns < in_ns(scheduled_s) / 100) result.evidence.got_rate = wanted_rate_;
    }
    return result;
}

int Load::run() {
    if (const Status status = fleet_.connect(); !status) return fail(status.error(), 1);
    const std::uint64_t warmup_ns = in_ns(options_.warmup_s);
    if (options_.events > 0) events_max_ = options_.events + options_.warmup_events;
    if (options_.seconds > 0) end_ns_ = warmup_ns + in_ns(options_.seconds);
    wake_when_due();
    fleet_.begin(monotonic_now(), warmup_ns, options_.warmup_events);
    if (const Status status = send_all(); !status) return fail(status.error(), 1);
    const LoadResult done = result();
    if (const Status status = write_files(done); !status) return fail(status.error(), 1);
    print_load(done);
    return fleet_.totals().rejected > 0 ? 1 : 0;
}

}  // namespace

int load_command(const LoadOptions& options) {
    if (options.events == 0 && options.seconds <= 0) return fail(Error{EINVAL, "how many? --events or --seconds"}, 2);
    if (options.stalling > options.connections || options.levels.size() > options.connections)
        return fail(Error{EINVAL, "more --stalling, or more levels, than --connections"}, 2);
    auto schedule = Schedule::parse(options.rate, in_ns(options.warmup_s), in_ns(options.seconds));
    if (!schedule) return fail(schedule.error(), 2);
    auto mix = EventMix::make({options.payload_bytes, options.source, options.keys, options.key_distribution});
    if (!mix) return fail(mix.error(), 2);
    return Load(options, std::move(schedule.value()), std::move(mix.value())).run();
}

}  // namespace weir::bench
