#include <sys/statvfs.h>

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/control/log.hpp"
#include "edge/daemon/parts.hpp"

namespace weir::edge {
namespace {

constexpr std::uint64_t control_wait_ms = 200;
constexpr std::uint64_t table_wait_ms = 2;  // while a table is on its way, part by part
constexpr std::uint64_t drain_wait_ms = 10;
constexpr std::uint64_t flash_look_ns = 2 * ns_per_second;
// A drain that hangs on a dead disk is not waited for longer than an init system would.
constexpr std::uint64_t drain_ms_max = 60'000;

}  // namespace

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
        look_at_flash();
        look_at_tables();
        if (tls) tls->look(wish == control::Wish::reload);
        if (admin_tls) admin_tls->look(wish == control::Wish::reload);
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
            control::log_error("runner_ended", {{"runner", plan.places[intake_runner.is_finished() ? 0 : 1].runner}});
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

// The kernel counts all that goes to disks; where it does not say so to us, what we know of counts.
void EdgeDaemon::Parts::look_at_flash() {
    const MonotonicNs now = monotonic_now();
    if (now < flash_at) return;
    flash_at = now.plus_ns(flash_look_ns);
    const std::uint64_t known =
        counters.spool.journal_bytes_written.get() + prepared_bytes() + counters.spool.checkpoint_bytes_written.get() +
        counters.intake.checkpoint_bytes_written.get() + counters.intake.filter_bytes_written.get();
    flash_written_bytes = std::max({flash_written_bytes, process_written_bytes(), known});
    const bool has_changed = flash.look({.now = now,
                                         .wall = wall_now(),
                                         .written_bytes = flash_written_bytes,
                                         .events = counters.intake.accepted.get()});
    if (!has_changed) return;
    control::log_warn(flash.is_over() ? "flash_over_limit" : "flash_within_limit",
                      {{"edge", config.edge_id},
                       {"today_bytes", flash.counters().today_bytes.get()},
                       {"projected_bytes", flash.counters().projected_bytes.get()},
                       {"limit_bytes", flash.limit_bytes()}});
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

}  // namespace weir::edge
