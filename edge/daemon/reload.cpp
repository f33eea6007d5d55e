#include "core/control/log.hpp"
#include "edge/daemon/parts.hpp"

namespace weir::edge {

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
    if (const auto renewed = control::renew_keys(loaded.config->at_rest); !renewed) {
        refuse("at_rest: " + renewed.error().what);
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
    config.at_rest = loaded.config->at_rest;
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
        all.push_back({.id = stream.id, .part = stream.part, .name = stream.name, .in_memory = stream.in_memory});
        for (const LaneConfig& lane : config.lanes) {
            if (stream.in_memory && lane.name == stream.name) all.back().memory_bytes_max = lane.memory_bytes();
        }
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

}  // namespace weir::edge
