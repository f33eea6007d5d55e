#include "edge/daemon.hpp"

#include <cinttypes>
#include <cstring>
#include <utility>

#include "core/base/clock.hpp"
#include "core/control/admin.hpp"
#include "core/control/log.hpp"
#include "core/control/metrics_text.hpp"
#include "core/control/signals.hpp"
#include "core/control/tls_watch.hpp"
#include "core/journal/scrubber.hpp"
#include "core/journal/segments.hpp"
#include "core/pipeline/runner.hpp"
#include "core/pipeline/thread_plan.hpp"
#include "edge/account.hpp"
#include "edge/intake/intake.hpp"
#include "edge/recovery.hpp"
#include "edge/spool/spool_stage.hpp"

namespace weir::edge {
namespace {

constexpr std::size_t to_spool_capacity = 1024;
constexpr std::size_t to_intake_capacity = 16384;
constexpr std::uint32_t recycled_segments_max = 2;
constexpr std::uint32_t uplink_receive_slots = 4;  // acks and credit are small and taken at once
constexpr std::uint32_t uplink_sockets_max = 4;
constexpr std::uint64_t control_wait_ms = 200;
constexpr std::uint64_t drain_wait_ms = 10;
// A drain that hangs on a dead disk is not waited for longer than an init system would.
constexpr std::uint64_t drain_ms_max = 60'000;

void ring_doorbell(void* doorbell) {
    static_cast<Doorbell*>(doorbell)->ring();
}

std::string hex(std::uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016" PRIx64, value);
    return text;
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
    return options;
}

io::IoOptions intake_io_options(const EdgeConfig& config) {
    io::IoOptions options;
    options.slots = config.runtime.receive_slots;
    options.slot_bytes = config.runtime.receive_slot_bytes;
    options.sockets_max = config.listen.connections_max + static_cast<std::uint32_t>(config.listen.producers.size());
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
          intake_runner(runner_options(config, plan.places[0], io, intake_io_options(config))),
          spool_runner(runner_options(config, plan.places[1], io, spool_io_options())) {}

    [[nodiscard]] Status start();
    [[nodiscard]] Status start_tls();
    [[nodiscard]] Status start_spool();
    [[nodiscard]] Status start_intake();
    [[nodiscard]] int run();
    [[nodiscard]] int drain(control::SignalWatch& signals);
    void tell_changes();
    void tell_centrals();
    void reload();
    [[nodiscard]] control::AdminResponse answer(std::string_view target) const;
    [[nodiscard]] std::vector<std::string> unready_reasons() const;
    [[nodiscard]] bool is_full() const {
        return counters.spool.journal_bytes_needed.get() + batch_buffer_bytes > config.spool.bytes_max;
    }

    EdgeConfig config;
    std::string config_path;
    ThreadPlan plan;
    io::IoChoice io;
    EdgeCounters counters;
    BatchPool pool;
    Ring<ToSpool> to_spool;
    Ring<ToIntake> to_intake;
    std::optional<Recovered> recovered;
    std::vector<LaneName> lanes;
    std::vector<LaneState> lane_states;
    JudgementSlot reloads;
    std::atomic<std::uint64_t> reloads_refused{0};
    std::unique_ptr<journal::SegmentStore> segments;
    std::unique_ptr<journal::Scrubber> scrubber;  // ends before the segments
    std::unique_ptr<control::TlsWatch> tls;       // null: everything is plain
    // The runners end before what their stages use.
    Runner intake_runner;
    Runner spool_runner;
    std::unique_ptr<control::AdminServer> admin;
    std::atomic<bool> is_draining{false};
    // Why the spool has no next file, 0 if it has one: as the control thread last looked.
    std::atomic<int> next_file_errno{0};
    Told told;
};

Status EdgeDaemon::Parts::start() {
    auto found = recover(config);
    if (!found) return found.error();
    recovered.emplace(std::move(found.value()));
    for (const auto& fault : recovered->faults) control::log_warn("spool_fault", {{"what", fault}});
    for (const SpoolLane& lane : recovered->spool.lanes) lanes.push_back({lane.state.id, lane.state.name});
    if (auto status = start_tls(); !status) return status;
    if (auto status = start_spool(); !status) return status;
    if (auto status = start_intake(); !status) return status;
    scrubber = std::make_unique<journal::Scrubber>(journal::Scrubber::Options{
        .directories = {spool_directory(config.data_dir)},
        .period_s = config.spool.scrub_period_s,
        .bytes_per_second = config.spool.scrub_bytes_per_second,
        .on_damage = [this](std::size_t, std::uint64_t segment_index) { segments->mark_damaged(segment_index); }});
    scrubber->start();
    admin = std::make_unique<control::AdminServer>(
        config.listen.admin, [this](std::string_view, std::string_view target) { return answer(target); });
    if (auto status = admin->start(); !status) return status;
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

Status EdgeDaemon::Parts::start_tls() {
    auto opened = control::TlsWatch::open(config.tls.files, "edge", config.edge_id);
    if (!opened) return opened.error();
    tls = std::move(opened.value());
    if (!tls) return Done{};
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
    segments = journal::make_segment_store(spool_directory(config.data_dir), recovered->spool.segment_bytes,
                                           recycled_segments_max, &ring_doorbell, &spool_runner.doorbell());
    return spool_runner.start([this](io::Io& runner_io) -> Result<std::vector<std::unique_ptr<Stage>>> {
        auto stage = std::make_unique<SpoolStage>(
            runner_io, std::uint8_t{0},
            SpoolParts{.config = config,
                       .start = recovered->spool,
                       .pool = pool,
                       .segments = *segments,
                       .from_intake = to_spool.take_reader(),
                       .to_intake = to_intake.take_writer(),
                       .intake_doorbell = intake_runner.doorbell(),
                       .counters = counters.spool,
                       // Edges differ by lineage: they do not come back in step.
                       .jitter_seed = recovered->spool.identity.lineage ^ recovered->spool.identity.epoch});
        if (auto opened = stage->open(); !opened) return opened.error();
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::move(stage));
        return stages;
    });
}

Status EdgeDaemon::Parts::start_intake() {
    for (const SpoolLane& lane : recovered->spool.lanes) lane_states.push_back(lane.state);
    return intake_runner.start([this](io::Io& runner_io) -> Result<std::vector<std::unique_ptr<Stage>>> {
        auto stage = std::make_unique<Intake>(runner_io, std::uint8_t{0}, config, recovered->spool.identity,
                                              lane_states, std::move(recovered->memory), pool, to_spool.take_writer(),
                                              to_intake.take_reader(), spool_runner.doorbell(), counters.intake);
        stage->take_reloads_from(reloads);
        if (auto started = stage->start(); !started) return started.error();
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::move(stage));
        return stages;
    });
}

int EdgeDaemon::Parts::run() {
    control::SignalWatch signals;
    for (;;) {
        const control::Wish wish = signals.wait(control_wait_ms);
        if (tls) tls->look(wish == control::Wish::reload);
        tell_changes();
        control::log_flush();
        switch (wish) {
            case control::Wish::none:
                break;
            case control::Wish::reload:
                reload();
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

// The new configuration is checked whole before anything of it counts; what cannot be changed while running refuses all of it.
void EdgeDaemon::Parts::reload() {
    reloads.take_back();
    if (config_path.empty()) return;
    auto loaded = load_config(config_path);
    const auto refuse = [&](const std::string& why) {
        reloads_refused.fetch_add(1, std::memory_order_relaxed);
        control::log_error("reload_refused", {{"edge", config.edge_id}, {"why", why}});
    };
    if (!loaded.config) {
        for (const auto& line : loaded.errors) refuse(line);
        return;
    }
    const auto fixed = keys_that_need_a_restart(config, *loaded.config);
    if (!fixed.empty()) return refuse("needs a restart: " + joined(fixed));
    for (const auto& line : loaded.warnings) control::log_warn("config", {{"what", line}});
    reloads.offer(std::make_unique<Judgement>(*loaded.config, lane_states));
    intake_runner.doorbell().ring();
    config.validate = loaded.config->validate;
    config.rules = loaded.config->rules;
    config.routes = loaded.config->routes;
    config.lanes = loaded.config->lanes;
    config.digest = loaded.config->digest;
    control::log_info("reloaded", {{"edge", config.edge_id}, {"digest", hex(config.digest)}});
}

int EdgeDaemon::Parts::drain(control::SignalWatch& signals) {
    is_draining.store(true, std::memory_order_relaxed);
    control::log_info("draining");
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
    control::log_info("drained", {{"held_events", ledger_of(counters, lanes).held}});
    return 0;
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
            control::log_warn("uplink_lost",
                              {{"edge", edge}, {"central", central}, {"held_events", ledger_of(counters, lanes).held}});
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
    if (const int now = segments->prepare_errno(); now != next_file_errno.load(std::memory_order_relaxed)) {
        next_file_errno.store(now, std::memory_order_relaxed);
        if (now == 0) control::log_warn("spool_has_next_file", {{"edge", edge}});
        if (now != 0) control::log_error("spool_without_next_file", {{"edge", edge}, {"error", std::strerror(now)}});
    }
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

control::AdminResponse EdgeDaemon::Parts::answer(std::string_view target) const {
    target = target.substr(0, target.find('?'));
    if (target == "/healthz") {
        const bool is_alive = !intake_runner.is_finished() && !spool_runner.is_finished();
        return is_alive || is_draining.load(std::memory_order_relaxed)
                   ? control::AdminResponse{.body = "ok\n"}
                   : control::AdminResponse{.status = 503, .body = "a runner has ended\n"};
    }
    if (target == "/readyz") {
        const auto reasons = unready_reasons();
        std::string body = reasons.empty() ? "ready\n" : "";
        for (const auto& reason : reasons) body += "not ready: " + reason + "\n";
        // An edge takes events whether a central is there or not.
        if (counters.spool.is_connected.get() == 0) body += "note: no central is connected; events are kept\n";
        if (tls) body += tls->health();
        return {.status = reasons.empty() ? 200U : 503U, .body = body};
    }
    if (target == "/metrics") {
        return {.content_type = std::string(control::metrics_content_type),
                .body = metrics_text(counters, lanes,
                                     {.edge_id = config.edge_id,
                                      .io_name = std::string(intake_runner.io_name()),
                                      .scrub = scrubber->counters(),
                                      .centrals = config.uplink.centrals,
                                      .quarantined = segments->quarantined(),
                                      .reloads_refused = reloads_refused.load(std::memory_order_relaxed)}) +
                        (tls ? tls->metrics() : std::string())};
    }
    if (target == "/api/v1/ledger") {
        return {.content_type = "application/json", .body = ledger_json(counters, lanes, config.edge_id)};
    }
    return {.status = 404, .body = "not found: /healthz /readyz /metrics /api/v1/ledger\n"};
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
    parts_->segments.reset();
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
