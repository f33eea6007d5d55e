#include <cstring>
#include <utility>

#include "core/control/log.hpp"
#include "edge/daemon/parts.hpp"

namespace weir::edge {

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

}  // namespace weir::edge
