#include "central/daemon/daemon.hpp"

#include <sched.h>

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "central/analysis/follower.hpp"
#include "central/api/stream_collector.hpp"
#include "central/daemon/api.hpp"
#include "central/daemon/metrics.hpp"
#include "central/ingest/ingest.hpp"
#include "central/letters/retention.hpp"
#include "central/readmodel/reader.hpp"
#include "central/recovery/recovery.hpp"
#include "central/tables/table_keeper.hpp"
#include "core/base/clock.hpp"
#include "core/base/secret.hpp"
#include "core/base/touch.hpp"
#include "core/control/admin.hpp"
#include "core/control/admin_guard.hpp"
#include "core/control/log.hpp"
#include "core/control/outsiders.hpp"
#include "core/control/service.hpp"
#include "core/control/signals.hpp"
#include "core/control/tls_watch.hpp"
#include "core/journal/scrubber.hpp"
#include "core/journal/segments.hpp"
#include "core/pipeline/low_latency_idle.hpp"
#include "core/pipeline/runner.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t look_ms = 200;
constexpr std::uint64_t tables_look_ns = ns_per_second;  // between two looks whether a table's file has changed
constexpr std::uint32_t still_looks_max = 50;            // of look_ms without a heartbeat: not alive
constexpr std::uint64_t operations_spare = 256;

void ring(void* runner) {
    static_cast<Runner*>(runner)->doorbell().ring();
}

// The first core that this process may use, when a runner is to be pinned; -1 otherwise.
int core_of(const CentralConfig& config) {
    if (config.runtime.thread_plan != "pinned") return -1;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    if (::sched_getaffinity(0, sizeof cores, &cores) != 0) return -1;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
        if (CPU_ISSET(core, &cores)) return core;
    }
    return -1;
}

RunnerOptions runner_options(const CentralConfig& config, io::IoChoice choice) {
    RunnerOptions options;
    options.name = "ingest";
    options.core = core_of(config);
    options.idle = config.runtime.idle;
    options.idle_spin_ns = config.runtime.idle_spin_us * ns_per_us;
    options.io = choice;
    options.io_options.restrict_ring = config.runtime.ring_restrictions;
    options.io_options.slots = config.runtime.receive_slots;
    options.io_options.slot_bytes = config.runtime.receive_slot_bytes;
    options.io_options.touch = true;
    options.io_options.sockets_max =
        config.listen.connections_max + static_cast<std::uint32_t>(config.listen.edges.size()) + 8;
    options.io_options.operations_max =
        std::max<std::uint32_t>(options.io_options.operations_max,
                                2 * config.listen.connections_max + static_cast<std::uint32_t>(operations_spare));
    return options;
}

int fail(std::string_view what, const Error& error) {
    control::log_error("start_failed", {{"what", what}, {"error", error.what}});
    return 1;
}

struct Logged {
    std::uint64_t connections = 0;
    std::uint64_t poison = 0;
    std::uint64_t full = 0;
    std::uint64_t expired = 0;
    std::uint64_t letters = 0;
    std::vector<std::string> held;
    std::map<std::string, std::uint64_t> over_quota;  // by edge: 1 journal, 2 dead letters
};

void log_changes(const IngestShared& shared, Logged& logged) {
    if (const auto now = shared.connections.get(); now != logged.connections) {
        control::log_info("connections", {{"count", now}});
        logged.connections = now;
    }
    if (const auto now = shared.poison_errno.get(); now != logged.poison) {
        control::log_error("journal_poisoned", {{"error", std::strerror(static_cast<int>(now))}});
        logged.poison = now;
    }
    if (const auto now = shared.letters_errno.get(); now != logged.letters) {
        control::log_error("dead_letters_poisoned", {{"error", std::strerror(static_cast<int>(now))}});
        logged.letters = now;
    }
    if (auto now = shared.holds.held(); now != logged.held) {
        std::string names;
        for (const auto& name : now) names += (names.empty() ? "" : ",") + name;
        control::log_warn("lanes_held", {{"lanes", names}});
        logged.held = std::move(now);
    }
    for (std::uint32_t i = 0; i < shared.quota.row_count(); ++i) {
        const EdgeQuota::Row& row = shared.quota.row(i);
        const std::uint64_t now = row.is_over_journal.get() + 2 * row.is_over_letters.get();
        std::uint64_t& before = logged.over_quota[std::string(wire::name_of(row.edge))];
        if (std::exchange(before, now) == now) continue;
        control::log_warn(now == 0 ? "edge_within_quota" : "edge_over_quota",
                          {{"edge", wire::name_of(row.edge)},
                           {"of", now == 0   ? ""
                                  : now == 1 ? "journal"
                                  : now == 2 ? "dead_letters"
                                             : "journal,dead_letters"}});
    }
    if (const auto now = shared.full_errno.get(); now != logged.full) {
        if (now == 0) control::log_warn("journal_has_room");
        if (now != 0) control::log_error("journal_full", {{"error", std::strerror(static_cast<int>(now))}});
        logged.full = now;
    }
}

void keep_letters(LetterRetention& retention, IngestShared& shared, Runner& runner, Logged& logged) {
    const auto looked = retention.look(monotonic_now());
    if (!looked) {
        shared.letters_failures.add(1);
        return control::log_error("dead_letters_retention", {{"error", looked.error().what}});
    }
    if (looked.value()) runner.doorbell().ring();
    if (const auto now = shared.letters_expired.get(); now != logged.expired) {
        control::log_info("dead_letters_expired", {{"letters", now}});
        logged.expired = now;
    }
}

void look_at_tables(TableKeeper& tables, IngestShared& shared, Runner& runner, bool is_forced) {
    shared.tables.take_back();
    if (auto book = tables.look(is_forced)) {
        shared.tables.offer(std::move(book));
        runner.doorbell().ring();
    }
    for (const auto& line : tables.take_errors()) control::log_error("table_refused", {{"what", line}});
    for (const auto& line : tables.take_notes()) control::log_info("table_read", {{"what", line}});
}

// Another key for the segments that are begun from now on.
void reload_keys(control::AtRestConfig& now, const control::AtRestConfig& next) {
    if (now == next) return;
    const auto renewed = control::is_at_rest_fixed(now, next)
                             ? Status(Error{0, "needs a restart: at_rest.key_dir, or at_rest.key from or to 0"})
                             : control::renew_keys(next);
    if (!renewed) return control::log_error("config_refused", {{"what", renewed.error().what}});
    now = next;
    control::log_info("at_rest_key", {{"key", std::to_string(next.key)}});
}

// What was read at the start is followed from the start; what SIGHUP brings, from then on. A file with a mistake changes nothing.
void reload(const CentralConfig& config, control::AtRestConfig& at_rest, Follower& follower, StreamCollector* stream,
            bool& is_following) {
    auto loaded = load_config(config.path);
    for (const auto& line : loaded.errors) control::log_error("config_refused", {{"what", line}});
    if (!loaded.config) return;
    reload_keys(at_rest, loaded.config->at_rest);
    const bool is_used = loaded.config->analytics.is_used();
    if (stream != nullptr) stream->redefine(loaded.config->analytics);
    follower.redefine(std::move(loaded.config->analytics));
    if (is_used && !is_following) follower.start();
    is_following = is_following || is_used;
    control::log_info("analytics_read");
}

}  // namespace

std::string thread_plan_text(const CentralConfig& config) {
    const int core = core_of(config);
    return "thread      ingest  " + (core < 0 ? std::string("floating") : "core " + std::to_string(core)) +
           "\nthread      reader  floating, niceness 5" +
           (config.analytics.is_used()
                ? "\nthread      analytics  floating\nthread      analytics-rows, analytics-state  floating, niceness 5"
                : "") +
           "\nthread      segments, one for each journal"
           "\nthread      admin, acts, control"
           "\nthread      stream  floating, niceness 1\n";
}

int run_daemon(const CentralConfig& config, io::IoChoice io_choice) {
    control::log_open(control::parse_log_level(config.log_level).value_or(control::LogLevel::warn));
    const auto service =
        control::ServiceManager::from_environment();  // before any thread is made: it changes the environment
    if (!config.runtime.core_dumps && !forbid_core_dumps()) control::log_warn("core_dumps_possible", {});
    std::optional<LowLatencyIdle> awake;
    if (config.runtime.low_latency_idle) {
        auto held = LowLatencyIdle::hold();
        if (!held) control::log_warn("low_latency_idle_refused", {{"error", held.error().what}});
        if (held) awake.emplace(std::move(held.value()));
    }
    if (auto made = journal::make_directory(config.data_dir); !made) return fail("data_dir", made.error());
    auto lock = journal::lock_directory(config.data_dir);
    if (!lock) return fail("data_dir", lock.error());

    if (auto opened = control::open_keys(config.at_rest); !opened) return fail("at_rest", opened.error());
    IngestShared shared(config);
    auto recovered = recover(config, shared.positions);
    if (!recovered) return fail("recovery", recovered.error());
    for (const auto& note : recovered.value().notes) control::log_warn("recovery_damage", {{"what", note}});

    control::AuditTrail trail(
        {.directory = config.data_dir, .owner = "central", .bytes_max = config.admin.audit_bytes_max});
    auto guarded = control::AdminGuard::open(
        {.owner = "central", .tokens = config.admin.tokens, .limits = config.admin.limits, .rules = access_rules()},
        trail);
    if (!guarded) return fail("admin", guarded.error());
    control::AdminGuard& guard = *guarded.value();
    guard.begin();

    auto watched = control::TlsWatch::open(config.tls.files, "central", "");
    if (!watched) return fail("tls", watched.error());
    control::TlsWatch* const watch = watched.value().get();  // null: everything is plain
    auto admin_watched = control::TlsWatch::open_admin(config.admin.files, "central_admin", config.admin.client_rule());
    if (!admin_watched) return fail("admin", admin_watched.error());
    control::TlsWatch* const admin_watch = admin_watched.value().get();  // null: the admin port is plain HTTP
    if (admin_watch != nullptr) control::record_outsiders(*admin_watch, guard);
    // Stores outlive the runner, whose doorbell they ring until they are gone.
    touch_program();
    Runner runner(runner_options(config, io_choice));
    if (watch != nullptr) {
        control::record_outsiders(*watch, guard);
        if (auto added = watch->add("edges", tls::Side::server, {config.tls.files.trust_domain, "edge", {}}); !added) {
            return fail("tls", added.error());
        }
        runner.set_make_io(watch->io_maker({"edges"}));
    }
    // One for both: a journal without room gets what the other one keeps.
    journal::SegmentWorker segment_worker(ring, &runner);
    const auto store = [&](const std::string& directory) {
        return journal::make_segment_store(segment_worker, directory, config.journal.segment_bytes, 0);
    };
    const auto journal_store = store(journal_directory(config));
    journal::RecentBytes recent(config.journal.recent_bytes);
    const auto letters_store = store(dead_letters_directory(config));
    TableKeeper tables(config);
    look_at_tables(tables, shared, runner, true);
    auto started = runner.start([&](io::Io& io) -> Result<std::vector<std::unique_ptr<Stage>>> {
        auto stage = std::make_unique<IngestStage>(
            io, config, recovered.value(), IngestStage::Stores{*journal_store, *letters_store, &recent}, shared);
        stage->touch();
        if (auto opened = stage->open(0); !opened) return opened.error();
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::move(stage));
        return stages;
    });
    const auto halt = [&] {
        runner.request_halt();
        runner.join();
    };
    if (!started) {
        halt();
        return fail("ingest", started.error());
    }

    LetterRetention retention(config, recovered.value().dead_letters.id, recovered.value().expired, shared,
                              monotonic_now());
    ReadModel model(config.limits.types_max, config.limits.minutes_max);
    Freshness freshness;
    EdgeDelays delays(config.limits.edges_max);
    Milestones milestones;
    Vitals vitals(wall_now());
    LiveEvents live({.clients_max = config.stream.events_clients_max,
                     .queue_bytes = config.stream.events_queue_bytes,
                     .beat_ms = config.stream.beat_ms});
    std::atomic<control::AdminServer*> listening{nullptr};  // once it is there
    live.set_wake([&] {
        if (auto* const server = listening.load(std::memory_order_acquire)) server->wake(LiveEvents::wake_group);
    });
    Reader reader(journal_directory(config), shared.durable_position, model);
    reader.read_recent_from(recent);
    reader.set_watch({.on_record =
                          [&](const journal::RecordView& record) {
                              milestones.note(record.position.value);
                              live.take(record);
                              if (record.batch_header.kind == wire::BatchKind::events) {
                                  delays.note(record.batch_header, {record.header.arrival_wall_ns});
                              }
                          },
                      .on_look =
                          [&](std::uint64_t durable) {
                              const MonotonicNs now = monotonic_now();
                              freshness.note(durable, now);
                              live.look(now);
                          }});
    reader.start();
    Follower follower(journal_directory(config), config.data_dir, shared.durable_position, config.analytics);
    follower.read_recent_from(recent);
    std::vector<std::string> silence_faults;
    SilenceBook silences(config.data_dir, silence_faults);
    for (const auto& fault : silence_faults) control::log_warn("silences_damaged", {{"what", fault}});
    std::vector<std::unique_ptr<AlertTeller>> tellers;
    for (const SinkConfig& sink : config.analytics.sinks) {
        tellers.push_back(std::make_unique<AlertTeller>(
            sink, config.data_dir, shared.durable_position.load(std::memory_order_acquire), &silences));
        tellers.back()->start();
    }
    follower.on_news([&tellers] {
        for (const auto& teller : tellers) teller->wake();
    });
    bool is_following = config.analytics.is_used();
    if (is_following) follower.start();
    ResultQuestions questions(results_path(config.data_dir), config.analytics.query_ms_max);
    std::atomic<bool> is_draining{false};
    std::atomic<bool> is_alive{true};
    journal::Scrubber scrubber({.directories = {journal_directory(config), dead_letters_directory(config)},
                                .period_s = config.journal.scrub_period_s,
                                .bytes_per_second = config.journal.scrub_bytes_per_second,
                                .on_damage = [&](std::size_t number, std::uint64_t segment_index) {
                                    (number == 0 ? journal_store : letters_store)->mark_damaged(segment_index);
                                }});
    scrubber.start();
    StreamHub hub(config.stream.pushes_per_second);
    ApiSources sources{.config = config,
                       .shared = shared,
                       .model = model,
                       .reader = reader,
                       .is_draining = is_draining,
                       .is_alive = is_alive,
                       .scrub = scrubber.counters(),
                       .io_name = runner.io_name(),
                       .tls = watch,
                       .admin_tls = admin_watch,
                       .guard = &guard,
                       .analytics = &follower.counters(),
                       .results = &questions,
                       .tellers = &tellers,
                       .freshness = &freshness,
                       .delays = &delays,
                       .vitals = &vitals,
                       .milestones = &milestones,
                       .silences = &silences,
                       .stream = &hub,
                       .live = &live,
                       .runner = &runner};
    sources.hops = [&shared] { return hop_times(shared.hops); };
    Acts acts(sources, [&] { runner.doorbell().ring(); });
    std::unique_ptr<control::AdminServer> admin;
    std::unique_ptr<StreamCollector> stream;
    if (!config.listen.admin.empty()) {
        admin = std::make_unique<control::AdminServer>(control::AdminOptions{
            .address = config.listen.admin,
            .handler = [&sources](std::string_view, std::string_view target) { return answer(sources, target); },
            .acts = [&acts](const control::AdminAct& asked) { return acts.act(asked); },
            .guard = &guard,
            .tls = admin_watch != nullptr ? admin_watch->endpoint(control::admin_label) : nullptr,
            .connections_max = config.admin.connections_max,
            .streams_max = config.stream.clients_max,
            .stalled_ms_max = config.stream.stalled_ms_max,
            .has_acts_apart = true});
        stream = std::make_unique<StreamCollector>(sources, hub, [&admin] { admin->wake(); });
        sources.letter_milestones = &stream->letter_milestones();
        sources.admin = admin.get();
        if (auto served = admin->start(); !served) {
            halt();
            return fail("admin", served.error());
        }
        stream->start();
        listening.store(admin.get(), std::memory_order_release);  // pairs with live's look
    }
    for (const auto& address : shared.addresses) {
        control::log_info("listening", {{"edges", address}, {"io", runner.io_name()}});
    }
    if (admin) control::log_info("listening", {{"admin", admin->bound_address()}});
    control::log_info("started", {{"journal_records_read", recovered.value().journal.records},
                                  {"positions", shared.positions.row_count()}});

    control::SignalWatch signals;
    control::Watchdog watchdog(service.watchdog_ns(), 1);
    service.ready();
    std::uint64_t beat = 0;
    Logged logged;
    std::uint32_t still_looks = 0;
    bool was_halted = false;
    control::AtRestConfig at_rest = config.at_rest;
    MonotonicNs next_retention{}, next_tables{};
    while (!runner.is_finished()) {
        const auto wish = signals.wait(look_ms);
        if (wish == control::Wish::drain) {
            control::log_info("draining");
            service.stopping();
            is_draining.store(true, std::memory_order_relaxed);
            runner.request_drain();
        } else if (wish == control::Wish::halt) {
            was_halted = true;
            runner.request_halt();
        }
        if (const MonotonicNs now = monotonic_now(); wish == control::Wish::reload || now >= next_tables) {
            next_tables = now.plus_ns(tables_look_ns);
            look_at_tables(tables, shared, runner, wish == control::Wish::reload);
        }
        if (wish == control::Wish::reload) reload(config, at_rest, follower, stream.get(), is_following);
        for (const auto& what : follower.take_notes()) control::log_warn("analytics", {{"what", what}});
        if (watch != nullptr) watch->look(wish == control::Wish::reload);
        if (admin_watch != nullptr) admin_watch->look(wish == control::Wish::reload);
        vitals.look(monotonic_now(), shared.durable_position.load(std::memory_order_relaxed));
        guard.look(monotonic_now(), wish == control::Wish::reload);
        log_changes(shared, logged);
        for (const auto& fault : scrubber.take_faults()) control::log_error("journal_rots", {{"what", fault}});
        if (const MonotonicNs now = monotonic_now(); now >= next_retention) {
            next_retention = now.plus_ns(LetterRetention::look_ns);
            keep_letters(retention, shared, runner, logged);
        }
        // A parked runner's heart stands still too: only its deadlines, the checkpoint's at the latest, move it.
        const std::uint64_t now_beat = runner.heartbeat();
        const auto wanted = watchdog.look(monotonic_now(), {&now_beat, 1});
        if (wanted == control::Watchdog::Wish::feed) service.alive();
        if (wanted == control::Watchdog::Wish::ring) runner.doorbell().ring();
        still_looks = now_beat == beat ? still_looks + 1 : 0;
        beat = now_beat;
        is_alive.store(still_looks * look_ms < config.journal.checkpoint_ms + still_looks_max * look_ms,
                       std::memory_order_relaxed);
        control::log_flush();
    }
    runner.join();
    if (stream) stream->stop();
    reader.stop();
    if (admin) admin->stop();
    follower.stop();
    tellers.clear();
    for (const auto& what : follower.take_notes()) control::log_warn("analytics", {{"what", what}});
    control::log_info(was_halted ? "halted" : "drained");
    control::log_flush(true);
    return was_halted ? 1 : 0;
}

}  // namespace weir::central
