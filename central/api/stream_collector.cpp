#include "central/api/stream_collector.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "central/api/json_text.hpp"
#include "central/recovery/recovery.hpp"
#include "core/base/clock.hpp"

namespace weir::central {
namespace {

constexpr int collector_niceness = 1;
constexpr std::size_t edges_max = 1024;
constexpr std::size_t lanes_max = 256;

double per_second(std::uint64_t before, std::uint64_t after, std::uint64_t ns) {
    if (ns == 0 || after <= before) return 0;
    return static_cast<double>(after - before) * static_cast<double>(ns_per_second) / static_cast<double>(ns);
}

std::uint64_t whole(double value) {
    return static_cast<std::uint64_t>(value + 0.5);
}

}  // namespace

StreamCollector::StreamCollector(const ApiSources& sources, StreamHub& hub, std::function<void()> wake)
    : sources_(sources),
      hub_(hub),
      wake_(std::move(wake)),
      letters_(sources.config.data_dir, dead_letters_directory(sources.config), sources.shared.letters_durable),
      results_(results_path(sources.config.data_dir)) {
    results_.redefine(sources.config.analytics);
}

void StreamCollector::start() {
    thread_ = std::thread([this] { run(); });
}

void StreamCollector::stop() {
    stopping_.store(true, std::memory_order_relaxed);
    hub_.stop();
    if (thread_.joinable()) thread_.join();
}

void StreamCollector::run() {
    pthread_setname_np(pthread_self(), "stream");
    // Of this thread alone, on Linux.
    static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), collector_niceness));
    const std::uint64_t push_ns = ns_per_second / sources_.config.stream.pushes_per_second;
    while (!stopping_.load(std::memory_order_relaxed)) {
        const MonotonicNs begun = monotonic_now();
        const bool has_more_letters = letters_.look();
        if (hub_.client_count() == 0) {
            hub_.clear();
            samples_.clear();
            if (!has_more_letters) hub_.wait(idle_ms);
            continue;
        }
        push(begun);
        const std::uint64_t taken_ns = monotonic_now().since(begun);
        hub_.wait((push_ns - std::min(push_ns, taken_ns)) / ns_per_ms + 1);
    }
}

void StreamCollector::push(MonotonicNs now) {
    if (hub_.publish(gather(now), wall_now())) {
        told_ = now;
        wake_();
    } else if (now.since(told_) >= sources_.config.stream.beat_ms * ns_per_ms) {
        told_ = now;
        hub_.beat(wall_now());
        wake_();
    }
}

StreamState StreamCollector::gather(MonotonicNs now) {
    const IngestShared& shared = sources_.shared;
    const WallNs wall = wall_now();
    const auto edges = edge_facts(sources_, wall);
    const auto lanes = lane_facts(shared);
    samples_.push_back(sample(now, edges, lanes));
    while (samples_.size() > 2 && now.since(samples_[1].at) >= rates_ns) samples_.pop_front();
    const bool is_lively = edges.size() <= lively_edges_max;
    if (is_lively || now.since(edges_listed_) >= ns_per_second) {
        edges_listed_ = now;
        list_edges(edges);
    }
    list_lanes(lanes);
    const auto silences = sources_.silences == nullptr ? std::vector<Silence>() : sources_.silences->holding(wall);
    auto silence_list = std::make_shared<StreamState::List>();
    for (const Silence& one : silences) silence_list->emplace(std::to_string(one.id), json_of(one));
    silences_ = std::move(silence_list);
    results_.look(sources_.analytics == nullptr ? 0 : sources_.analytics->rows.commits.get(), silences);

    StreamState state;
    const std::uint64_t journal_rate = sources_.vitals == nullptr ? 0 : sources_.vitals->journal_bytes_per_s();
    state.objects["health"] = health_text(sources_, journal_rate);
    state.objects["rates"] = rates_text();
    state.objects["ledger"] = totals_text(shared, samples_.back().totals, edges_held(shared.positions));
    state.objects["positions"] = positions_text();
    state.objects["hops"] = hops_text();
    state.objects["dead_letters"] = letters_.text(shared.letters_expired.get(), shared.letters_bytes.get());
    state.lists["edges"] = edges_;
    state.lists["lanes"] = lanes_;
    state.lists["windows"] = results_.windows();
    state.lists["anomalies"] = results_.anomalies();
    state.lists["alerts"] = results_.alerts();
    state.lists["letters"] = letters_.newest();
    state.lists["silences"] = silences_;
    return state;
}

StreamCollector::Sample StreamCollector::sample(MonotonicNs now, const std::vector<EdgeFacts>& edges,
                                                const std::vector<LaneFacts>& lanes) const {
    Sample made{.at = now,
                .totals = totals_of(sources_.shared),
                .batches = sources_.shared.batches.get(),
                .bytes = sources_.shared.batch_bytes.get(),
                .results = results_.rows(),
                .edges = {},
                .lanes = {}};
    for (const EdgeFacts& edge : edges) made.edges[edge.edge] = edge.events;
    for (const LaneFacts& lane : lanes) made.lanes[lane.lane] = lane.appended;
    return made;
}

std::string StreamCollector::rates_text() const {
    const Sample& a = samples_.front();
    const Sample& b = samples_.back();
    const std::uint64_t ns = b.at.since(a.at);
    const auto rate = [&](std::uint64_t before, std::uint64_t after) { return whole(per_second(before, after, ns)); };
    return ObjectText()
        .number("over_ms", std::min(ns, rates_ns) / (100 * ns_per_ms) * 100)  // it stands still once it is full
        .number("events_per_s", rate(a.totals.received, b.totals.received))
        .number("appended_per_s", rate(a.totals.appended, b.totals.appended))
        .number("duplicates_per_s", rate(a.totals.duplicates, b.totals.duplicates))
        .number("rejected_per_s", rate(a.totals.rejected, b.totals.rejected))
        .number("dead_letters_per_s", rate(a.totals.dead_lettered, b.totals.dead_lettered))
        .number("batches_per_s", rate(a.batches, b.batches))
        .number("bytes_per_s", rate(a.bytes, b.bytes))
        .number("results_per_s", rate(a.results, b.results))
        .end();
}

double StreamCollector::rate_of(const std::string& name, std::map<std::string, std::uint64_t> Sample::*of) const {
    const auto& before = samples_.front().*of;
    const auto& after = samples_.back().*of;
    const auto old = before.find(name), now = after.find(name);
    if (old == before.end() || now == after.end()) return 0;
    return per_second(old->second, now->second, samples_.back().at.since(samples_.front().at));
}

std::string StreamCollector::positions_text() {
    const std::uint64_t read = sources_.reader.position();
    const bool follows = sources_.analytics != nullptr && sources_.analytics->position.get() != 0;
    const std::uint64_t analytics = follows ? sources_.analytics->position.get() : 0;
    const std::uint64_t durable = sources_.shared.durable_position.load(std::memory_order_acquire);
    if (durable != durable_) {
        durable_ = durable;
        durable_ms_ = wall_now().value / ns_per_ms;
    }
    const auto lag = [&](std::uint64_t position) { return durable - std::min(durable, position); };
    using Number = std::optional<std::uint64_t>;
    return ObjectText()
        .number("durable", durable)
        .number("read", read)
        .number_or_null("analytics", follows ? Number(analytics) : std::nullopt)
        .number("read_lag_bytes", lag(read))
        .number_or_null("analytics_lag_bytes", follows ? Number(lag(analytics)) : std::nullopt)
        .number("read_staleness_ms", read_staleness_ms(sources_))
        .number_or_null("analytics_staleness_ms",
                        follows ? Number(analytics_staleness_ms(sources_, analytics)) : std::nullopt)
        .number_or_null("watermark_ms",
                        follows ? Number(sources_.analytics->watermark.get() / ns_per_ms) : std::nullopt)
        .number_or_null("durable_ms", durable_ms_ == 0 ? std::nullopt : Number(durable_ms_))
        .end();
}

std::string StreamCollector::hops_text() const {
    ListText list;
    if (sources_.hops) {
        for (const HopTimes& hop : sources_.hops()) {
            ObjectText one;
            one.text("hop", hop.hop).number("p50_us", hop.p50_us).number("p99_us", hop.p99_us);
            list.add(one.number("max_us", hop.max_us).number("count", hop.count).end());
        }
    }
    return ObjectText().raw("hops", list.end()).end();
}

void StreamCollector::list_edges(const std::vector<EdgeFacts>& edges) {
    auto list = std::make_shared<StreamState::List>();
    for (const EdgeFacts& edge : edges) {
        if (list->size() == edges_max) break;
        ObjectText row;
        row.text("id", edge.edge)
            .text_or_null("region", edge.region.empty() ? std::nullopt : std::optional(edge.region));
        row.truth("connected", edge.is_connected).number("connections", edge.connections);
        row.number("lineages", edge.lineages).number("epoch", edge.epoch).number("last_seen_ms", edge.last_seen_ms);
        row.number("events", edge.events).number("events_per_s", whole(rate_of(edge.edge, &Sample::edges)));
        row.real_or_null("lag_ms", edge.delay.lag_ms).real_or_null("backlog_lag_ms", edge.delay.backlog_lag_ms);
        put_held(edge.held, row);
        row.real_or_null("clock_offset_ms", edge.delay.clock_offset_ms)
            .number_or_null("last_ack_ms", edge.delay.last_arrival_ms);
        row.truth("is_over_quota", edge.is_over_quota).number("stored_bytes", edge.stored_bytes);
        list->emplace(edge.edge, row.truth("can_replay", edge.can_replay).end());
    }
    edges_ = std::move(list);
}

void StreamCollector::list_lanes(const std::vector<LaneFacts>& lanes) {
    auto list = std::make_shared<StreamState::List>();
    for (const LaneFacts& lane : lanes) {
        if (list->size() == lanes_max) break;
        ObjectText row;
        row.text("id", lane.lane).text_or_null("class", class_of(lane));
        row.number("appended", lane.appended).number("events_per_s", whole(rate_of(lane.lane, &Sample::lanes)));
        row.number("credit_bytes", lane.credit_bytes).truth("is_held", lane.is_held).number("edges", lane.edges);
        list->emplace(lane.lane, row.number("gap", lane.gap).end());
    }
    lanes_ = std::move(list);
}

}  // namespace weir::central
