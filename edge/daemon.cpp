#include "edge/daemon.hpp"

#include <sys/statvfs.h>

#include <chrono>
#include <cinttypes>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/clock.hpp"
#include "core/base/secret.hpp"
#include "core/control/admin.hpp"
#include "core/control/admin_guard.hpp"
#include "core/control/letters_act.hpp"
#include "core/control/log.hpp"
#include "core/control/metrics_text.hpp"
#include "core/control/outsiders.hpp"
#include "core/control/service.hpp"
#include "core/control/signals.hpp"
#include "core/control/tls_watch.hpp"
#include "core/journal/scrubber.hpp"
#include "core/journal/segments.hpp"
#include "core/pipeline/runner.hpp"
#include "core/pipeline/thread_plan.hpp"
#include "edge/account.hpp"
#include "edge/intake/intake.hpp"
#include "edge/lane_changes.hpp"
#include "edge/recovery.hpp"
#include "edge/reload_desk.hpp"
#include "edge/spool/spare_lanes.hpp"
#include "edge/spool/spool_stage.hpp"
#include "edge/tables/table_keeper.hpp"
#include "edge/tap_desk.hpp"

namespace weir::edge {
namespace {

constexpr std::size_t to_spool_capacity = 1024;
constexpr std::size_t to_intake_capacity = 16384;
constexpr std::uint32_t recycled_segments_max = 1;  // of each stream
constexpr std::uint32_t uplink_receive_slots = 4;   // acks and credit are small and taken at once
constexpr std::uint32_t uplink_sockets_max = 4;
constexpr std::uint64_t control_wait_ms = 200;
constexpr std::uint64_t table_wait_ms = 2;  // while a table is on its way, part by part
constexpr std::uint64_t drain_wait_ms = 10;
constexpr std::uint64_t in_force_ms_max =
    2000;  // a new judgement is taken within a duty cycle, or the second that a runner sleeps
// A drain that hangs on a dead disk is not waited for longer than an init system would.
constexpr std::uint64_t drain_ms_max = 60'000;

void ring_doorbell(void* doorbell) {
    static_cast<Doorbell*>(doorbell)->ring();
}

constexpr const char* fuse_reset_target = "/v1/fuse/reset";
constexpr const char* letters_target = "/v1/dead-letters/";
// What the admin port asks of whom. A tap shows events: reading counters is less.
const std::vector<control::AccessRule> access_rules{
    {.is_act = false, .path = "/healthz", .role = {}},
    {.path = "/v1/reload", .role = control::Role::operator_},
    {.path = "/v1/tap", .role = control::Role::operator_},
    {.path = fuse_reset_target, .role = control::Role::operator_},
    {.path = "/v1/dead-letters/*", .role = control::Role::replayer, .needs_reason = true},
};
constexpr std::array<const char*, fused_stages> stage_names{"decode", "validate"};

std::string hex(std::uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016" PRIx64, value);
    return text;
}

const char* rung_words(wire::Rung rung) {
    switch (rung) {
        case wire::Rung::healthy:
            return "all of its work";
        case wire::Rung::degraded:
            return "no enrichment, larger batches";
        case wire::Rung::critical:
            return "durable lanes only";
    }
    return "";
}

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const auto& one : texts) all += (all.empty() ? "" : ",") + one;
    return all;
}

ThreadPlan plan_of(const EdgeConfig& config) {
    return make_thread_plan(config.runtime.thread_plan, {"intake", "spool"}, config.runtime.idle, usable_cores());
}

RunnerOptions runner_options(const EdgeConfig& config, const ThreadPlan::Place& place, io::IoChoice io,
                             const io::IoOptions& io_options) {
    RunnerOptions options;
    options.name = place.runner;
    options.core = place.core;
    options.idle = place.idle;
    options.idle_spin_ns = config.runtime.idle_spin_us * ns_per_us;
    options.io = io;
    options.io_options = io_options;
    options.io_options.restrict_ring = config.runtime.ring_restrictions;
    return options;
}

io::IoOptions intake_io_options(const EdgeConfig& config) {
    io::IoOptions options;
    options.slots = config.runtime.receive_slots;
    options.slot_bytes = config.runtime.receive_slot_bytes;
    options.sockets_max = config.listen.connections_max + static_cast<std::uint32_t>(config.listen.producers.size());
    options.unix_mode = config.listen.socket_mode;
    return options;
}

io::IoOptions spool_io_options() {
    io::IoOptions options;
    options.slots = uplink_receive_slots;
    options.sockets_max = uplink_sockets_max;
    return options;
}

}  // namespace

std::string thread_plan_text(const EdgeConfig& config) {
    return "threads: " + plan_of(config).explanation;
}

// What the control loop said last: a line is written only when something changes.
struct Told {
    bool is_connected = false;
    std::array<std::uint64_t, centrals_max> breakers{};
    std::uint64_t switch_overs = 0;
    std::uint64_t returns = 0;
    bool was_connected = false;
    std::uint64_t refusals = 0;
    std::uint64_t last_refusal = 0;
    std::uint64_t checkpoint_failures = 0;
    std::uint64_t central_behind = 0;
    std::uint64_t damaged_records = 0;
    bool is_poisoned = false;
    wire::Rung rung = wire::Rung::healthy;
    std::array<std::uint64_t, fused_stages> fuse_blown{};
    std::array<bool, fused_stages> is_fuse_closed{true, true};
    bool is_full = false;
};

struct EdgeDaemon::Parts {
    Parts(EdgeConfig edge_config, io::IoChoice io_choice, std::string path)
        : config(std::move(edge_config)),
          config_path(std::move(path)),
          plan(plan_of(config)),
          io(io_choice),
          pool(config.spool.batches_max),
          to_spool(to_spool_capacity),
          to_intake(to_intake_capacity),
          taps(config, [this] { intake_runner.doorbell().ring(); }),
          intake_runner(runner_options(config, plan.places[0], io, intake_io_options(config))),
          spool_runner(runner_options(config, plan.places[1], io, spool_io_options())) {}

    [[nodiscard]] Status start();
    [[nodiscard]] Status start_admin();
    [[nodiscard]] Status open_guard();
    [[nodiscard]] Status start_tls();
    [[nodiscard]] Status start_spool();
    [[nodiscard]] Status start_intake();
    void open_poison_guard();
    [[nodiscard]] int run();
    [[nodiscard]] int drain(control::SignalWatch& signals);
    void tell_changes();
    void tell_fuses();
    void keep_watchdog();
    void measure_spool();
    void tell_centrals();
    [[nodiscard]] ReloadOutcome reload();
    void change_lanes(const EdgeConfig& next);
    void tell_lane_names();
    [[nodiscard]] std::vector<LaneName> lanes() const {
        const std::lock_guard lock(lanes_mutex);
        return lane_names;
    }
    [[nodiscard]] ReloadOutcome tell_reload(ReloadOutcome outcome);
    void look_at_tables();
    void tell_tables();
    [[nodiscard]] control::AdminResponse answer(std::string_view target) const;
    [[nodiscard]] control::AdminResponse act(const control::AdminAct& asked);
    [[nodiscard]] control::AdminResponse answer_reload();
    [[nodiscard]] control::LettersDesk letters_desk() const;
    [[nodiscard]] std::vector<std::string> unready_reasons() const;
    [[nodiscard]] wire::Rung rung() const { return static_cast<wire::Rung>(counters.intake.rung.get()); }
    [[nodiscard]] std::string_view rung_text() const { return wire::text(rung()); }
    [[nodiscard]] bool is_full() const {
        const std::uint64_t needed = counters.spool.journal_bytes_needed.get();
        const std::uint64_t reserve = std::uint64_t{config.spool.batches_max} * batch_buffer_bytes;
        // As intake is stopped: the rest is for batches on their way.
        return needed + std::min(reserve, config.spool.bytes_max / 4) >= config.spool.bytes_max;
    }

    // Why a stream has no next file, 0 if all have.
    [[nodiscard]] int prepare_errno() const {
        for (const auto& one : segments) {
            if (const int code = one->prepare_errno(); code != 0) return code;
        }
        return 0;
    }
    [[nodiscard]] std::uint64_t quarantined() const {
        std::uint64_t count = 0;
        for (const auto& one : segments) count += one->quarantined();
        return count;
    }

    EdgeConfig config;
    std::string config_path;
    // Before any thread is made: it changes the environment.
    control::ServiceManager service = control::ServiceManager::from_environment();
    control::Watchdog watchdog{service.watchdog_ns(), 2};
    ThreadPlan plan;
    io::IoChoice io;
    EdgeCounters counters;
    BatchPool pool;
    Ring<ToSpool> to_spool;
    Ring<ToIntake> to_intake;
    std::optional<Recovered> recovered;
    mutable std::mutex lanes_mutex;
    std::vector<LaneName> lane_names;  // under lanes_mutex: the admin port reads them
    std::optional<LaneChanges> lane_changes;
    LaneOrdersSlot lane_orders;
    TableLink table_link;
    std::optional<TableKeeper> tables;  // only where tables are used; its counts, as the admin port reads them:
    TableCounters table_numbers;
    JudgementSlot reloads;
    IntakeControls controls;
    std::optional<PoisonGuard> poison_guard;
    std::atomic<std::uint64_t> reloads_refused{0};
    ReloadDesk reload_desk;
    TapDesk taps;
    std::unique_ptr<journal::SegmentWorker> segment_worker;
    std::vector<std::unique_ptr<journal::SegmentStore>> segments;  // index by index the streams
    std::vector<NamedStore*> spare_segments;                       // of them, those of spare streams; else null
    std::unique_ptr<journal::Scrubber> scrubber;                   // ends before the segments
    std::unique_ptr<control::TlsWatch> tls;                        // null: everything is plain
    // The runners end before what their stages use.
    Runner intake_runner;
    Runner spool_runner;
    std::unique_ptr<control::AuditTrail> trail;
    std::unique_ptr<control::AdminGuard> guard;
    std::unique_ptr<control::AdminServer> admin;
    std::atomic<bool> is_draining{false};
    // Why the spool has no next file, 0 if it has one: as the control thread last looked.
    std::atomic<int> next_file_errno{0};
    Told told;
};

Status EdgeDaemon::Parts::start() {
    if (!config.runtime.core_dumps && !forbid_core_dumps())
        control::log_warn("core_dumps_possible", {{"edge", config.edge_id}});
    if (auto opened = control::open_keys(config.at_rest); !opened) return opened;
    auto found = recover(config);
    if (!found) return found.error();
    recovered.emplace(std::move(found.value()));
    for (const auto& fault : recovered->faults) control::log_warn("spool_fault", {{"what", fault}});
    add_spare_lanes(config, recovered->spool.lanes);
    std::vector<LaneState> streams;
    for (const SpoolLane& lane : recovered->spool.lanes) streams.push_back(lane.state);
    lane_changes.emplace(config.data_dir, std::move(streams));
    tell_lane_names();
    if (!config.tables.use.empty()) {
        tables.emplace(config, table_link, [this] { spool_runner.doorbell().ring(); });
        tables->load();
        tell_tables();
    }
    if (auto status = open_guard(); !status) return status;
    if (auto status = start_tls(); !status) return status;
    if (auto status = start_spool(); !status) return status;
    open_poison_guard();
    if (auto status = start_intake(); !status) return status;
    // What a lane that is added later holds is read again from the next start on.
    std::vector<std::string> directories;
    std::vector<journal::SegmentStore*> scrubbed;
    for (std::size_t index = 0; index < segments.size(); ++index) {
        if (lane_changes->streams()[index].name.empty()) continue;
        directories.push_back(lane_changes->directory_of(index));
        scrubbed.push_back(segments[index].get());
    }
    scrubber = std::make_unique<journal::Scrubber>(journal::Scrubber::Options{
        .directories = std::move(directories),
        .period_s = config.spool.scrub_period_s,
        .bytes_per_second = config.spool.scrub_bytes_per_second,
        .on_damage = [scrubbed = std::move(scrubbed)](std::size_t stream, std::uint64_t segment_index) {
            scrubbed[stream]->mark_damaged(segment_index);
        }});
    scrubber->start();
    if (auto status = start_admin(); !status) return status;
    const SpoolIdentity& identity = recovered->spool.identity;
    control::log_info("ready", {{"edge", identity.edge_id},
                                {"producers", joined(config.listen.producers)},
                                {"admin", admin->bound_address()},
                                {"io", intake_runner.io_name()},
                                {"threads", plan.explanation},
                                {"lineage", hex(identity.lineage)},
                                {"epoch", identity.epoch},
                                {"records_read_back", recovered->records}});
    return Done{};
}

Status EdgeDaemon::Parts::start_admin() {
    admin = std::make_unique<control::AdminServer>(control::AdminOptions{
        .address = config.listen.admin,
        .handler = [this](std::string_view, std::string_view target) { return answer(target); },
        .acts = [this](const control::AdminAct& asked) { return act(asked); },
        .guard = guard.get(),
        .connections_max = config.admin.connections_max});
    return admin->start();
}

// Before anything of the outside is let in.
Status EdgeDaemon::Parts::open_guard() {
    trail = std::make_unique<control::AuditTrail>(control::AuditTrail::Options{
        .directory = config.data_dir, .owner = "edge " + config.edge_id, .bytes_max = config.admin.audit_bytes_max});
    auto guarded = control::AdminGuard::open(
        {.owner = "edge", .tokens = config.admin.tokens, .limits = config.admin.limits, .rules = access_rules}, *trail);
    if (!guarded) return guarded.error();
    guard = std::move(guarded.value());
    guard->begin();
    return Done{};
}

Status EdgeDaemon::Parts::start_tls() {
    auto opened = control::TlsWatch::open(config.tls.files, "edge", config.edge_id);
    if (!opened) return opened.error();
    tls = std::move(opened.value());
    if (!tls) return Done{};
    control::record_outsiders(*tls, *guard);
    const std::string& domain = config.tls.files.trust_domain;
    if (config.tls.is_for_uplink()) {
        auto added = tls->add("uplink", weir::tls::Side::client, {domain, "central", config.tls.central_names});
        if (!added) return added;
        spool_runner.set_make_io(tls->io_maker("uplink"));
    }
    if (config.tls.is_for_producers()) {
        auto added = tls->add("producers", weir::tls::Side::server, {domain, "producer", {}, true});
        if (!added) return added;
        intake_runner.set_make_io(tls->io_maker("producers"));
    }
    return Done{};
}

Status EdgeDaemon::Parts::start_spool() {
    segment_worker = std::make_unique<journal::SegmentWorker>(&ring_doorbell, &spool_runner.doorbell());
    for (std::size_t index = 0; index < recovered->spool.lanes.size(); ++index) {
        spare_segments.push_back(nullptr);
        const SpoolLane& stream = recovered->spool.lanes[index];
        if (stream.state.name.empty()) {
            auto spare = std::make_unique<NamedStore>();
            spare_segments.back() = spare.get();
            segments.push_back(std::move(spare));
        } else {
            segments.push_back(journal::make_segment_store(*segment_worker, lane_changes->directory_of(index),
                                                           stream.journal.segment_bytes, recycled_segments_max));
        }
    }
    return spool_runner.start([this](io::Io& runner_io) -> Result<std::vector<std::unique_ptr<Stage>>> {
        auto stage = std::make_unique<SpoolStage>(
            runner_io, std::uint8_t{0},
            SpoolParts{.config = config,
                       .start = recovered->spool,
                       .pool = pool,
                       .segments = segments,
                       .from_intake = to_spool.take_reader(),
                       .to_intake = to_intake.take_writer(),
                       .intake_doorbell = intake_runner.doorbell(),
                       .counters = counters.spool,
                       // Edges differ by lineage: they do not come back in step.
                       .jitter_seed = recovered->spool.identity.lineage ^ recovered->spool.identity.epoch});
        if (tables) stage->take_tables_for(table_link);
        stage->take_orders_from(lane_orders);
        if (auto opened = stage->open(); !opened) return opened.error();
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::move(stage));
        return stages;
    });
}

Status EdgeDaemon::Parts::start_intake() {
    // With what the disk has: intake takes it before its first event.
    if (tables && tables->share())
        reloads.offer(std::make_unique<Judgement>(config, lane_changes->streams(), tables->share()));
    return intake_runner.start([this](io::Io& runner_io) -> Result<std::vector<std::unique_ptr<Stage>>> {
        auto stage = std::make_unique<Intake>(runner_io, std::uint8_t{0}, config, recovered->spool.identity,
                                              lane_changes->streams(), std::move(recovered->memory), pool,
                                              to_spool.take_writer(), to_intake.take_reader(), spool_runner.doorbell(),
                                              counters.intake);
        stage->take_reloads_from(reloads);
        stage->take_taps_from(taps.slot());
        stage->obey(controls);
        if (poison_guard) stage->note_in(*poison_guard);
        if (auto started = stage->start(); !started) return started.error();
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::move(stage));
        return stages;
    });
}

// A disk that takes no note of what is being judged is no reason not to start.
void EdgeDaemon::Parts::open_poison_guard() {
    auto opened = PoisonGuard::open(config.data_dir);
    if (!opened)
        return control::log_warn("poison_guard_missing", {{"edge", config.edge_id}, {"what", opened.error().what}});
    poison_guard.emplace(std::move(opened.value()));
    if (poison_guard->last_deaths() > 0) {
        control::log_error("died_judging",
                           {{"edge", config.edge_id}, {"what", "each event is named while it is judged"}});
    }
    if (poison_guard->poisons() > 0) {
        control::log_error("poison",
                           {{"edge", config.edge_id},
                            {"events", poison_guard->poisons()},
                            {"what", "set aside unread until " + poison_path(config.data_dir) + " is removed"}});
    }
}

void EdgeDaemon::Parts::keep_watchdog() {
    const std::array<std::uint64_t, 2> heartbeats{intake_runner.heartbeat(), spool_runner.heartbeat()};
    switch (watchdog.look(monotonic_now(), heartbeats)) {
        case control::Watchdog::Wish::nothing:
            return;
        case control::Watchdog::Wish::ring:
            intake_runner.doorbell().ring();
            spool_runner.doorbell().ring();
            return;
        case control::Watchdog::Wish::feed:
            service.alive();
            return;
    }
}

int EdgeDaemon::Parts::run() {
    control::SignalWatch signals;
    service.ready();
    for (;;) {
        const control::Wish wish = signals.wait(tables && tables->is_busy() ? table_wait_ms : control_wait_ms);
        measure_spool();
        look_at_tables();
        if (tls) tls->look(wish == control::Wish::reload);
        guard->look(monotonic_now(), wish == control::Wish::reload);
        tell_changes();
        keep_watchdog();
        control::log_flush();
        switch (wish) {
            case control::Wish::none:
                break;
            case control::Wish::reload:
                reload_desk.begin();
                reload_desk.end(tell_reload(reload()));
                break;
            case control::Wish::drain:
                return drain(signals);
            case control::Wish::halt:
                return 1;
        }
        if (intake_runner.is_finished() || spool_runner.is_finished()) {
            control::log_error("runner_ended", {{"runner", intake_runner.is_finished() ? "intake" : "spool"}});
            return 1;
        }
    }
}

// A table that has come is looked up from the next vector on.
void EdgeDaemon::Parts::look_at_tables() {
    if (!tables) return;
    reloads.take_back();
    if (tables->look(monotonic_now())) {
        reloads.offer(std::make_unique<Judgement>(config, lane_changes->streams(), tables->share()));
        intake_runner.doorbell().ring();
    }
    tell_tables();
}

void EdgeDaemon::Parts::tell_tables() {
    for (const auto& what : tables->take_faults()) {
        control::log_error("table_fault", {{"edge", config.edge_id}, {"what", what}});
    }
    for (const auto& what : tables->take_notes()) {
        control::log_info("table_taken", {{"edge", config.edge_id}, {"what", what}});
    }
    const TableCounts& now = tables->counts();
    table_numbers.tables.set(now.tables);
    table_numbers.rows.set(now.rows);
    table_numbers.memory_bytes.set(now.memory_bytes);
    table_numbers.images.set(now.images);
    table_numbers.changes.set(now.changes);
    table_numbers.received_bytes.set(now.received_bytes);
    table_numbers.faults.set(now.faults);
    table_numbers.dropped.set(table_link.dropped());
}

// The new configuration is checked whole before anything of it counts; what cannot be changed while running refuses all of it.
ReloadOutcome EdgeDaemon::Parts::reload() {
    reloads.take_back();
    ReloadOutcome outcome;
    outcome.digest = config.digest;
    const auto refuse = [&](const std::string& why) {
        reloads_refused.fetch_add(1, std::memory_order_relaxed);
        control::log_error("reload_refused", {{"edge", config.edge_id}, {"why", why}});
        outcome.errors.push_back(why);
    };
    if (config_path.empty()) return outcome;
    auto loaded = load_config(config_path);
    if (!loaded.config) {
        for (const auto& line : loaded.errors) refuse(line);
        return outcome;
    }
    auto fixed = keys_that_need_a_restart(config, *loaded.config);
    if (fixed.empty()) fixed = lane_changes->why_not(*loaded.config);
    if (!fixed.empty()) {
        refuse("needs a restart: " + joined(fixed));
        return outcome;
    }
    for (const auto& line : loaded.warnings) control::log_warn("config", {{"what", line}});
    const TableShare share = tables ? tables->share() : TableShare{};
    change_lanes(*loaded.config);
    reloads.offer(std::make_unique<Judgement>(*loaded.config, lane_changes->streams(), share));
    intake_runner.doorbell().ring();
    config.validate = loaded.config->validate;
    config.rules = loaded.config->rules;
    config.routes = loaded.config->routes;
    config.payloads = loaded.config->payloads;
    config.pii = loaded.config->pii;
    config.enrichments = loaded.config->enrichments;
    config.lanes = loaded.config->lanes;
    config.ladder = loaded.config->ladder;
    config.dead_letters = loaded.config->dead_letters;
    config.digest = loaded.config->digest;
    taps.use_schemas(config);
    control::log_info("reloaded", {{"edge", config.edge_id}, {"digest", hex(config.digest)}});
    outcome.is_taken = true;
    outcome.digest = config.digest;
    outcome.warnings = loaded.warnings;
    outcome.rules = config.rules.size();
    outcome.routes = config.routes.size();
    outcome.lanes = config.lanes.size();
    outcome.payloads = config.payloads.size();
    return outcome;
}

// The spool is told before intake can send it anything of a new lane.
void EdgeDaemon::Parts::change_lanes(const EdgeConfig& next) {
    for (const std::size_t stream : lane_changes->take(next)) {
        spare_segments[stream]->become(journal::make_segment_store(*segment_worker, lane_changes->directory_of(stream),
                                                                   recovered->spool.lanes[stream].journal.segment_bytes,
                                                                   recycled_segments_max));
        control::log_info("lane_added", {{"edge", config.edge_id}, {"lane", lane_changes->streams()[stream].name}});
    }
    lane_orders.take_back();
    lane_orders.offer(lane_changes->orders(next));
    spool_runner.doorbell().ring();
    tell_lane_names();
}

// To who shows them.
void EdgeDaemon::Parts::tell_lane_names() {
    std::vector<std::string> names;
    std::vector<LaneName> all;
    for (const LaneState& stream : lane_changes->streams()) {
        names.push_back(stream.name);
        all.push_back({.id = stream.id, .part = stream.part, .name = stream.name});
    }
    taps.use_lanes(std::move(names));
    const std::lock_guard lock(lanes_mutex);
    lane_names = std::move(all);
}

// Who asked, by signal or HTTP, is known by the record of that, if at all: this one says what judges now.
ReloadOutcome EdgeDaemon::Parts::tell_reload(ReloadOutcome outcome) {
    guard->record({.act = "reload",
                   .who = "edge " + config.edge_id,
                   .target = config_path,
                   .outcome = outcome.is_taken ? "taken: digest " + hex(outcome.digest) : "refused"});
    return outcome;
}

int EdgeDaemon::Parts::drain(control::SignalWatch& signals) {
    is_draining.store(true, std::memory_order_relaxed);
    control::log_info("draining");
    service.stopping();
    intake_runner.request_drain();
    bool spool_asked = false;
    const MonotonicNs until = monotonic_now().plus_ns(drain_ms_max * ns_per_ms);
    while (!spool_runner.is_finished()) {
        if (!spool_asked && intake_runner.is_finished()) {
            spool_runner.request_drain();
            spool_asked = true;
        }
        const bool is_late = monotonic_now() >= until;
        if (is_late || signals.wait(drain_wait_ms) == control::Wish::halt) {
            control::log_warn("halted", {{"why", is_late ? "the drain took too long" : "second signal"}});
            intake_runner.request_halt();
            spool_runner.request_halt();
            return 1;
        }
    }
    tell_changes();
    control::log_info("drained", {{"held_events", ledger_of(counters, lanes()).held}});
    return 0;
}

void EdgeDaemon::Parts::tell_fuses() {
    const IntakeCounters& intake = counters.intake;
    for (std::size_t stage = 0; stage < fused_stages; ++stage) {
        const std::uint64_t blown = intake.fuse_blown[stage].get();
        const bool is_closed = intake.fuse_state[stage].get() == static_cast<std::uint64_t>(FuseState::closed);
        if (std::exchange(told.fuse_blown[stage], blown) != blown) {
            control::log_error("fuse_blown", {{"edge", config.edge_id},
                                              {"stage", stage_names[stage]},
                                              {"times", blown},
                                              {"connections_held", intake.connections_held.get()}});
        }
        if (std::exchange(told.is_fuse_closed[stage], is_closed) != is_closed && is_closed) {
            control::log_warn("fuse_closed", {{"edge", config.edge_id}, {"stage", stage_names[stage]}});
        }
    }
}

// For intake's ladder. A disk that cannot be asked counts as one with room.
void EdgeDaemon::Parts::measure_spool() {
    struct statvfs disk {};
    std::uint64_t free_bytes = UINT64_MAX;
    if (::statvfs(config.data_dir.c_str(), &disk) == 0) free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    const SpoolCounters& spool = counters.spool;
    const std::uint64_t percent = spool_fill_percent(spool.journal_bytes_needed.get(), spool.journal_bytes_held.get(),
                                                     config.spool.bytes_max, free_bytes);
    controls.spool_percent.store(static_cast<std::uint32_t>(percent), std::memory_order_relaxed);
}

// Which centrals are left alone, and which one is in use instead of which.
void EdgeDaemon::Parts::tell_centrals() {
    const SpoolCounters& spool = counters.spool;
    for (std::size_t index = 0; index < config.uplink.centrals.size(); ++index) {
        const std::uint64_t state = spool.breakers[index].get();
        if (state == std::exchange(told.breakers[index], state)) continue;
        if (state == static_cast<std::uint64_t>(BreakerState::half_open)) continue;  // the way back tells at its end
        const bool is_open = state == static_cast<std::uint64_t>(BreakerState::open);
        control::log(is_open ? control::LogLevel::warn : control::LogLevel::info,
                     is_open ? "breaker_open" : "breaker_closed",
                     {{"edge", config.edge_id}, {"central", config.uplink.centrals[index]}});
    }
    const std::uint64_t switch_overs = spool.switch_overs.get(), returns = spool.returns.get();
    if (switch_overs == told.switch_overs) return;
    control::log_warn("uplink_switched", {{"edge", config.edge_id},
                                          {"central", config.uplink.centrals[spool.endpoint.get()]},
                                          {"times", switch_overs - told.switch_overs},
                                          {"returns", returns - told.returns}});
    told.switch_overs = switch_overs;
    told.returns = returns;
}

void EdgeDaemon::Parts::tell_changes() {
    const SpoolCounters& spool = counters.spool;
    const std::string& edge = config.edge_id;
    const std::string& central = config.uplink.centrals[spool.endpoint.get()];
    tell_centrals();
    const bool is_connected = spool.is_connected.get() != 0;
    if (is_connected != told.is_connected) {
        told.is_connected = is_connected;
        if (is_connected) {
            control::log_info("uplink_up", {{"edge", edge}, {"central", central}});
            told.last_refusal = 0;
        } else {
            control::log_warn(
                "uplink_lost",
                {{"edge", edge}, {"central", central}, {"held_events", ledger_of(counters, lanes()).held}});
        }
    }
    const auto refusal = static_cast<wire::RefusalReason>(spool.last_refusal.get());
    if (spool.last_refusal.get() != told.last_refusal) {
        told.last_refusal = spool.last_refusal.get();
        const bool is_alarm = refusal == wire::RefusalReason::fenced || refusal == wire::RefusalReason::diverged;
        if (told.last_refusal != 0) {
            control::log(is_alarm ? control::LogLevel::error : control::LogLevel::warn,
                         is_alarm ? "uplink_fenced" : "uplink_refused",
                         {{"edge", edge}, {"central", central}, {"reason", wire::text(refusal)}});
        }
    }
    if (spool.central_behind.get() != told.central_behind) {
        told.central_behind = spool.central_behind.get();
        control::log_warn("central_behind",
                          {{"edge", edge}, {"what", "it lost what it had acked; sent again as kept"}});
    }
    if (spool.damaged_records.get() != told.damaged_records) {
        told.damaged_records = spool.damaged_records.get();
        control::log_error("spool_damaged", {{"edge", edge}, {"records", told.damaged_records}});
    }
    reloads.take_back();
    for (const auto& fault : scrubber->take_faults())
        control::log_error("spool_rots", {{"edge", edge}, {"what", fault}});
    const std::uint64_t failures = spool.checkpoint_failures.get() + counters.intake.checkpoint_failures.get();
    if (failures != told.checkpoint_failures) {
        told.checkpoint_failures = failures;
        control::log_warn("checkpoint_failed", {{"edge", edge}, {"failures", failures}});
    }
    if (spool.poisoned_errno.get() != 0 && !told.is_poisoned) {
        told.is_poisoned = true;
        control::log_error("spool_poisoned", {{"edge", edge}, {"errno", spool.poisoned_errno.get()}});
    }
    if (const int now = prepare_errno(); now != next_file_errno.load(std::memory_order_relaxed)) {
        next_file_errno.store(now, std::memory_order_relaxed);
        if (now == 0) control::log_warn("spool_has_next_file", {{"edge", edge}});
        if (now != 0) control::log_error("spool_without_next_file", {{"edge", edge}, {"error", std::strerror(now)}});
    }
    if (rung() != told.rung) {
        const bool is_worse = rung() > told.rung;
        told.rung = rung();
        control::log(is_worse ? control::LogLevel::warn : control::LogLevel::info, "rung",
                     {{"edge", edge}, {"rung", rung_text()}, {"what", rung_words(told.rung)}});
    }
    tell_fuses();
    if (is_full() != told.is_full) {
        told.is_full = !told.is_full;
        control::log_warn(told.is_full ? "spool_full" : "spool_has_room",
                          {{"edge", edge}, {"held_bytes", spool.journal_bytes_held.get()}});
    }
}

std::vector<std::string> EdgeDaemon::Parts::unready_reasons() const {
    std::vector<std::string> reasons;
    if (is_draining.load(std::memory_order_relaxed)) reasons.emplace_back("draining");
    if (counters.spool.poisoned_errno.get() != 0) reasons.emplace_back("the spool's disk failed");
    if (is_full()) reasons.emplace_back("the spool is full");
    if (const int code = next_file_errno.load(std::memory_order_relaxed); code != 0)
        reasons.emplace_back("the spool has no next file, errno " + std::to_string(code));
    if (intake_runner.is_finished() || spool_runner.is_finished()) reasons.emplace_back("a runner has ended");
    return reasons;
}

// What an operator asks for by POST: one of the targets that the admin server was given.
control::AdminResponse EdgeDaemon::Parts::answer(std::string_view target) const {
    target = target.substr(0, target.find('?'));
    if (target == "/healthz") {
        const bool is_alive = !intake_runner.is_finished() && !spool_runner.is_finished();
        return is_alive || is_draining.load(std::memory_order_relaxed)
                   ? control::AdminResponse{.body = "ok\nrung: " + std::string(rung_text()) + '\n'}
                   : control::AdminResponse{.status = 503, .body = "a runner has ended\n"};
    }
    if (target == "/readyz") {
        const auto reasons = unready_reasons();
        std::string body = reasons.empty() ? "ready\n" : "";
        for (const auto& reason : reasons) body += "not ready: " + reason + "\n";
        // An edge takes events whether a central is there or not.
        if (rung() != wire::Rung::healthy)
            body += "note: " + std::string(rung_text()) + ": " + rung_words(rung()) + '\n';
        for (std::size_t stage = 0; stage < fused_stages; ++stage) {
            if (counters.intake.fuse_state[stage].get() == 0) continue;
            body += std::string("note: the fuse of ") + stage_names[stage] + " has blown; " +
                    std::to_string(counters.intake.connections_held.get()) + " connections are held\n";
        }
        if (counters.spool.is_connected.get() == 0) body += "note: no central is connected; events are kept\n";
        if (tls) body += tls->health();
        body += guard->health();
        return {.status = reasons.empty() ? 200U : 503U, .body = body};
    }
    if (target == "/metrics") {
        return {.content_type = std::string(control::metrics_content_type),
                .body = metrics_text(counters, lanes(),
                                     {.edge_id = config.edge_id,
                                      .io_name = std::string(intake_runner.io_name()),
                                      .scrub = scrubber->counters(),
                                      .centrals = config.uplink.centrals,
                                      .runners = {{"intake", intake_runner.load()}, {"spool", spool_runner.load()}},
                                      .limits = {.batch_buffers = config.spool.batches_max,
                                                 .receive_slots = config.runtime.receive_slots,
                                                 .spool_bytes = config.spool.bytes_max,
                                                 .to_spool = to_spool_capacity,
                                                 .to_intake = to_intake_capacity},
                                      .quarantined = quarantined(),
                                      .poisons = poison_guard ? poison_guard->poisons() : 0,
                                      .reloads_refused = reloads_refused.load(std::memory_order_relaxed),
                                      .tables = tables ? &table_numbers : nullptr}) +
                        (tls ? tls->metrics() : std::string()) + guard->metrics()};
    }
    if (target == "/api/v1/ledger") {
        return {.content_type = "application/json", .body = ledger_json(counters, lanes(), config.edge_id)};
    }
    if (target == "/api/v1/access") return {.content_type = "application/json", .body = guard->json()};
    return {.status = 404, .body = "not found: /healthz /readyz /metrics /api/v1/ledger /api/v1/access\n"};
}

control::AdminResponse EdgeDaemon::Parts::act(const control::AdminAct& asked) {
    const std::string_view path = asked.target.substr(0, asked.target.find('?'));
    if (path == "/v1/reload") return answer_reload();
    if (path == "/v1/tap") return taps.open(asked.target.substr(path.size()), asked.body);
    if (path == fuse_reset_target) {
        controls.fuse_resets.fetch_add(1, std::memory_order_relaxed);
        intake_runner.doorbell().ring();
        return {.body = "the fuses are closed\n"};
    }
    if (path.starts_with(letters_target)) return control::act_on_letters(letters_desk(), letters_target, asked);
    return {.status = 404,
            .body = "not found: /v1/reload /v1/tap " + std::string(fuse_reset_target) + " " + letters_target +
                    "replay|purge\n"};
}

// Replayed letters come in as any producer's events do.
control::LettersDesk EdgeDaemon::Parts::letters_desk() const {
    if (config.tls.is_for_producers()) {
        return {config.data_dir, "", "producers speak TLS here, which a replay does not yet"};
    }
    return {config.data_dir, config.listen.producers.front(), ""};
}

// The control thread reads it, as at SIGHUP; the answer waits until intake judges by it.
control::AdminResponse EdgeDaemon::Parts::answer_reload() {
    if (is_draining.load(std::memory_order_relaxed)) return {.status = 503, .body = "draining\n"};
    const auto outcome = reload_desk.ask(&control::wish_reload);
    if (!outcome) return {.status = 503, .body = "the control thread did not answer in time\n"};
    for (std::uint64_t ms = 0; outcome->is_taken && !reloads.is_taken() && ms < in_force_ms_max; ++ms) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return {.status = outcome->is_taken ? 200U : 422U,
            .content_type = "application/json",
            .body = reload_json(*outcome, reloads.is_taken())};
}

EdgeDaemon::EdgeDaemon(EdgeConfig config, io::IoChoice io, std::string config_path)
    : parts_(std::make_unique<Parts>(std::move(config), io, std::move(config_path))) {}
EdgeDaemon::~EdgeDaemon() {
    if (parts_->admin) parts_->admin->stop();
    for (Runner* runner : {&parts_->intake_runner, &parts_->spool_runner}) {
        runner->request_halt();
        runner->join();
    }
    // No stage is left that uses them, and they ring a runner's doorbell until they are gone.
    parts_->scrubber.reset();
    parts_->segments.clear();
    parts_->segment_worker.reset();
}
Status EdgeDaemon::start() {
    return parts_->start();
}
int EdgeDaemon::run() {
    const int code = parts_->run();
    control::log_flush(true);
    return code;
}
const EdgeCounters& EdgeDaemon::counters() const {
    return parts_->counters;
}
std::string EdgeDaemon::admin_address() const {
    return parts_->admin ? parts_->admin->bound_address() : "";
}

}  // namespace weir::edge
