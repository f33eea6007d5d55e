#include <chrono>
#include <thread>

#include "core/control/config_reader.hpp"
#include "core/control/metrics_text.hpp"
#include "core/control/outsiders.hpp"
#include "edge/daemon/parts.hpp"
#include "edge/latency.hpp"

namespace weir::edge {
namespace {

// A new judgement is taken within a duty cycle, or the second that a runner sleeps.
constexpr std::uint64_t in_force_ms_max = 2000;
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

}  // namespace

Status EdgeDaemon::Parts::start_admin() {
    auto opened = control::TlsWatch::open_admin(config.admin.files, "edge_admin", config.admin.client_rule());
    if (!opened) return opened.error();
    admin_tls = std::move(opened.value());
    if (admin_tls) control::record_outsiders(*admin_tls, *guard);
    admin = std::make_unique<control::AdminServer>(
        control::AdminOptions{.address = config.listen.admin,
                              .handler = [this](std::string_view, std::string_view target) { return answer(target); },
                              .acts = [this](const control::AdminAct& asked) { return act(asked); },
                              .guard = guard.get(),
                              .tls = admin_tls ? admin_tls->endpoint(control::admin_label) : nullptr,
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

std::vector<RunnerFacts> EdgeDaemon::Parts::runner_facts() const {
    std::vector<RunnerFacts> facts{{plan.places[0].runner, intake_runner.load()}};
    if (own_spool_runner) facts.push_back({plan.places[1].runner, own_spool_runner->load()});
    return facts;
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
        if (flash.is_over()) {
            body += "note: today's writing to the disk is on course for " +
                    control::bytes_text(flash.counters().projected_bytes.get()) +
                    ", above flash.daily_write_limit_bytes\n";
        }
        if (tls) body += tls->health();
        if (admin_tls) body += admin_tls->health();
        body += guard->health();
        return {.status = reasons.empty() ? 200U : 503U, .body = body};
    }
    if (target == "/metrics") {
        return {.content_type = std::string(control::metrics_content_type),
                .body = metrics_text(counters, lanes(),
                                     {.edge_id = config.edge_id,
                                      .io_name = std::string(intake_runner.io_name()),
                                      .data_dir = config.data_dir,
                                      .scrub = scrubber->counters(),
                                      .centrals = config.uplink.centrals,
                                      .runners = runner_facts(),
                                      .limits = {.batch_buffers = config.spool.batches_max,
                                                 .receive_slots = config.runtime.receive_slots,
                                                 .spool_bytes = config.spool.bytes_max,
                                                 .to_spool = to_spool_capacity,
                                                 .to_intake = config.runtime.notes_max},
                                      .quarantined = quarantined(),
                                      .prepared_bytes = prepared_bytes(),
                                      .flash = flash.counters(),
                                      .flash_limit_bytes = config.flash.daily_write_limit_bytes,
                                      .poisons = poison_guard ? poison_guard->poisons() : 0,
                                      .reloads_refused = reloads_refused.load(std::memory_order_relaxed),
                                      .tables = tables ? &table_numbers : nullptr,
                                      .cached_tables = cached_tables ? &*cached_tables : nullptr,
                                      .row_asks = row_asks ? &*row_asks : nullptr,
                                      .is_kept_awake = awake.has_value()}) +
                        (tls ? tls->metrics() : std::string()) + (admin_tls ? admin_tls->metrics() : std::string()) +
                        guard->metrics()};
    }
    if (target == "/api/v1/ledger") {
        return {.content_type = "application/json", .body = ledger_json(counters, lanes(), config.edge_id)};
    }
    if (target == "/api/v1/latency") return {.content_type = "application/json", .body = latency_json(counters)};
    if (target == "/api/v1/access") return {.content_type = "application/json", .body = guard->json()};
    return {.status = 404,
            .body = "not found: /healthz /readyz /metrics /api/v1/ledger /api/v1/latency /api/v1/access\n"};
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

}  // namespace weir::edge
