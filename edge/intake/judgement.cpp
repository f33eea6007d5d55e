#include "edge/intake/judgement.hpp"

#include <algorithm>
#include <utility>

#include "edge/stream_segments.hpp"

namespace weir::edge {
namespace {

Expressions compiled(const EdgeConfig& config, const rules::Tables* tables) {
    auto expressions = Expressions::compile(config, tables);
    WEIR_ASSERT(expressions.ok());  // load_config has compiled them before
    return std::move(expressions.value());
}

}  // namespace

// One look at each event answers for rules and routes: its payload is read once.
void Judgement::judge(std::span<EventRef> events, WallNs wall) noexcept {
    rules::Judge* judge = judge_ ? &*judge_ : nullptr;
    const bool edits = edit_.is_needed();
    if (passes_all_into_ && !edits) {
        for (EventRef& event : events) {
            if (event.verdict == Verdict::admitted) event.lane = *passes_all_into_;
        }
        return;
    }
    for (EventRef& event : events) {
        const PayloadForms::Form* const form = event.verdict == Verdict::admitted ? forms_.of(event.view) : nullptr;
        if (event.verdict == Verdict::admitted) {
            if (judge != nullptr) judge->begin({event.view});
            validate_.judge_one(event, wall, judge, form);
            if (event.verdict == Verdict::admitted) route_.judge_one(event, judge, form);
        }
        if (edits) edit_.apply(event, judge);
    }
}

Judgement::Judgement(const EdgeConfig& config, const std::vector<LaneState>& lanes, TableShare tables)
    : Judgement(config, lanes, tables, compiled(config, tables.get())) {}

Judgement::Judgement(const EdgeConfig& config, const std::vector<LaneState>& lanes, TableShare tables,
                     Expressions expressions)
    : tables_(std::move(tables)),
      expressions_(std::move(expressions)),
      forms_(config),
      validate_(config, expressions_, forms_),
      route_(config, expressions_, forms_, lanes),
      edit_(config, expressions_),
      ladder_(config.ladder),
      rate_quota_(config.listen.rate_events_max),
      dead_letters_(config.dead_letters),
      digest_(config.digest) {
    if (!expressions_.is_empty()) judge_.emplace(expressions_.set());
    if (validate_.passes_all() && forms_.is_empty()) passes_all_into_ = route_.only_lane();
    for (const LaneState& lane : lanes) {
        const auto named = std::find_if(config.lanes.begin(), config.lanes.end(),
                                        [&](const LaneConfig& one) { return one.name == lane.name; });
        const LaneConfig& limits = named == config.lanes.end() ? config.lane_defaults : *named;
        batch_limits_.push_back({.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane.name),
                                 .is_in_use = lane.is_configured || lane.id == dead_letter_lane,
                                 .batch_bytes = std::min({limits.batch_bytes, batch_body_capacity,
                                                          batch_bytes_within(stream_segment_bytes(config, lane.name))}),
                                 .batch_events = std::min(limits.batch_events, wire::batch_events_max),
                                 .linger_ns = limits.linger_us * ns_per_us});
        shed_rules_.push_back({.is_best_effort = limits.lane_class == LaneClass::best_effort, .policy = limits.shed});
    }
}

namespace {

// Whether this differs between any table of `now` and the one in its place in `next`.
template <class Member>
bool differs_of_tables(const EdgeConfig& now, const EdgeConfig& next, Member TableUseConfig::*member) {
    return !std::equal(now.tables.use.begin(), now.tables.use.end(), next.tables.use.begin(), next.tables.use.end(),
                       [&](const auto& one, const auto& other) { return one.*member == other.*member; });
}

using Differences = std::vector<std::pair<std::string, bool>>;

// Every key that is fixed while the edge runs, and whether it differs.
Differences compare(const EdgeConfig& now, const EdgeConfig& next) {
    return {
        {"profile", now.profile != next.profile},
        {"log_level", now.log_level != next.log_level},
        {"edge_id", now.edge_id != next.edge_id},
        {"data_dir", now.data_dir != next.data_dir},
        {"listen.producers", now.listen.producers != next.listen.producers},
        {"listen.admin", now.listen.admin != next.listen.admin},
        {"listen.allow_plaintext", now.listen.allow_plaintext != next.listen.allow_plaintext},
        {"listen.connections_max", now.listen.connections_max != next.listen.connections_max},
        {"listen.hello_ms_max", now.listen.hello_ms_max != next.listen.hello_ms_max},
        {"listen.credit_events", now.listen.credit_events != next.listen.credit_events},
        {"listen.socket_mode", now.listen.socket_mode != next.listen.socket_mode},
        {"listen.allowed_uids", now.listen.allowed_uids != next.listen.allowed_uids},
        {"listen.allowed_gids", now.listen.allowed_gids != next.listen.allowed_gids},
        {"listen.waiting_bytes_max", now.listen.waiting_bytes_max != next.listen.waiting_bytes_max},
        {"listen.ack_runs_max", now.listen.ack_runs_max != next.listen.ack_runs_max},
        {"listen.cut_frames_max", now.listen.cut_frames_max != next.listen.cut_frames_max},
        {"tls.certificate", now.tls.files.certificate != next.tls.files.certificate},
        {"tls.key", now.tls.files.key != next.tls.files.key},
        {"tls.ca", now.tls.files.ca != next.tls.files.ca},
        {"tls.trust_domain", now.tls.files.trust_domain != next.tls.files.trust_domain},
        {"tls.deny_list", now.tls.files.deny_list != next.tls.files.deny_list},
        {"tls.uplink", now.tls.uplink != next.tls.uplink},
        {"tls.producers", now.tls.producers != next.tls.producers},
        {"tls.central_names", now.tls.central_names != next.tls.central_names},
        {"at_rest.key_dir", now.at_rest.key_dir != next.at_rest.key_dir},
        {"at_rest.key", (now.at_rest.key == 0) != (next.at_rest.key == 0)},  // from one key to another is no restart
        {"admin.tokens", now.admin.tokens != next.admin.tokens},
        {"admin.certificate", now.admin.files.certificate != next.admin.files.certificate},
        {"admin.key", now.admin.files.key != next.admin.files.key},
        {"admin.client_ca", now.admin.files.ca != next.admin.files.ca},
        {"admin.client_certificate", now.admin.client_certificate != next.admin.client_certificate},
        {"admin.trust_domain", now.admin.files.trust_domain != next.admin.files.trust_domain},
        {"admin.deny_list", now.admin.files.deny_list != next.admin.files.deny_list},
        {"admin.requests_per_second", now.admin.limits.requests_per_second != next.admin.limits.requests_per_second},
        {"admin.connections_max", now.admin.connections_max != next.admin.connections_max},
        {"admin.failures_max", now.admin.limits.failures_max != next.admin.limits.failures_max},
        {"admin.backoff_ms", now.admin.limits.backoff_ms != next.admin.limits.backoff_ms},
        {"admin.backoff_ms_max", now.admin.limits.backoff_ms_max != next.admin.limits.backoff_ms_max},
        {"admin.audit_bytes_max", now.admin.audit_bytes_max != next.admin.audit_bytes_max},
        {"uplink.centrals", now.uplink.centrals != next.uplink.centrals},
        {"uplink.choice", now.uplink.choice != next.uplink.choice},
        {"uplink.weights", now.uplink.weights != next.uplink.weights},
        {"uplink.allow_plaintext", now.uplink.allow_plaintext != next.uplink.allow_plaintext},
        {"uplink.reconnect_ms_min", now.uplink.reconnect_ms_min != next.uplink.reconnect_ms_min},
        {"uplink.reconnect_ms_max", now.uplink.reconnect_ms_max != next.uplink.reconnect_ms_max},
        {"uplink.ping_ms", now.uplink.ping_ms != next.uplink.ping_ms},
        {"uplink.silent_ms_max", now.uplink.silent_ms_max != next.uplink.silent_ms_max},
        {"uplink.breaker_failures", now.uplink.breaker_failures != next.uplink.breaker_failures},
        {"uplink.breaker_ms", now.uplink.breaker_ms != next.uplink.breaker_ms},
        {"uplink.return_ms", now.uplink.return_ms != next.uplink.return_ms},
        {"uplink.catch_up_queue_us", now.uplink.catch_up_queue_us != next.uplink.catch_up_queue_us},
        {"uplink.readers_max", now.uplink.readers_max != next.uplink.readers_max},
        {"uplink.reader_bytes", now.uplink.reader_bytes != next.uplink.reader_bytes},
        {"uplink.return_stable_ms", now.uplink.return_stable_ms != next.uplink.return_stable_ms},
        {"cache.ids_max", now.cache.ids_max != next.cache.ids_max},
        {"cache.lifetime_s", now.cache.lifetime_s != next.cache.lifetime_s},
        {"cache.producers_max", now.cache.producers_max != next.cache.producers_max},
        {"cache.keys_max", now.cache.keys_max != next.cache.keys_max},
        {"spool.segment_bytes", now.spool.segment_bytes != next.spool.segment_bytes},
        {"spool.bytes_max", now.spool.bytes_max != next.spool.bytes_max},
        {"spool.batches_max", now.spool.batches_max != next.spool.batches_max},
        {"spool.disk_queue_us", now.spool.disk_queue_us != next.spool.disk_queue_us},
        {"spool.checkpoint_ms", now.spool.checkpoint_ms != next.spool.checkpoint_ms},
        {"spool.keep_delivered_ms", now.spool.keep_delivered_ms != next.spool.keep_delivered_ms},
        {"spool.keep_delivered_bytes", now.spool.keep_delivered_bytes != next.spool.keep_delivered_bytes},
        {"spool.scrub_period_s", now.spool.scrub_period_s != next.spool.scrub_period_s},
        {"spool.scrub_bytes_per_second", now.spool.scrub_bytes_per_second != next.spool.scrub_bytes_per_second},
        {"tables.bytes_max", now.tables.bytes_max != next.tables.bytes_max},
        {"tables.asked_keys_per_second_max",
         now.tables.asked_keys_per_second_max != next.tables.asked_keys_per_second_max},
        {"tables.use", now.tables.use.size() != next.tables.use.size()},
        {"tables.use[].name", differs_of_tables(now, next, &TableUseConfig::name)},
        {"tables.use[].columns", differs_of_tables(now, next, &TableUseConfig::columns)},
        {"tables.use[].keep", differs_of_tables(now, next, &TableUseConfig::keep)},
        {"tables.use[].bytes_max", differs_of_tables(now, next, &TableUseConfig::bytes_max)},
        {"tables.use[].entry_bytes_max", differs_of_tables(now, next, &TableUseConfig::entry_bytes_max)},
        {"tables.use[].lifetimes_s", differs_of_tables(now, next, &TableUseConfig::lifetimes_s)},
        {"tables.use[].lifetime_column", differs_of_tables(now, next, &TableUseConfig::lifetime_column)},
        {"tables.use[].absent_s", differs_of_tables(now, next, &TableUseConfig::absent_s)},
        {"tables.use[].tag_columns", differs_of_tables(now, next, &TableUseConfig::tag_columns)},
        {"runtime.idle", now.runtime.idle != next.runtime.idle},
        {"runtime.idle_spin_us", now.runtime.idle_spin_us != next.runtime.idle_spin_us},
        {"runtime.rest_us", now.runtime.rest_us != next.runtime.rest_us},
        {"runtime.notes_max", now.runtime.notes_max != next.runtime.notes_max},
        {"flash.daily_write_limit_bytes", now.flash.daily_write_limit_bytes != next.flash.daily_write_limit_bytes},
        {"runtime.ring_restrictions", now.runtime.ring_restrictions != next.runtime.ring_restrictions},
        {"runtime.core_dumps", now.runtime.core_dumps != next.runtime.core_dumps},
        {"runtime.low_latency_idle", now.runtime.low_latency_idle != next.runtime.low_latency_idle},
        {"runtime.thread_plan", now.runtime.thread_plan != next.runtime.thread_plan},
        {"runtime.receive_slots", now.runtime.receive_slots != next.runtime.receive_slots},
        {"runtime.receive_slot_bytes", now.runtime.receive_slot_bytes != next.runtime.receive_slot_bytes},
    };
}

}  // namespace

std::vector<std::string> keys_that_need_a_restart(const EdgeConfig& now, const EdgeConfig& next) {
    std::vector<std::string> keys;
    for (auto& [key, differs] : compare(now, next)) {
        if (differs) keys.push_back(key);
    }
    for (const LaneConfig& lane : now.lanes) {
        const auto same = std::find_if(next.lanes.begin(), next.lanes.end(),
                                       [&](const LaneConfig& one) { return one.name == lane.name; });
        // The streams of a lane are made at the start.
        if (same == next.lanes.end()) continue;
        if (same->drain != lane.drain) keys.push_back("lanes[" + lane.name + "].drain");
        if (same->spool != lane.spool) keys.push_back("lanes[" + lane.name + "].spool");
        // So is the memory of one that lives there.
        const bool is_resized =
            lane.is_in_memory() && same->is_in_memory() && same->memory_bytes() != lane.memory_bytes();
        if (is_resized) keys.push_back("lanes[" + lane.name + "].bytes_max");
    }
    return keys;
}

std::vector<std::string> fixed_config_keys() {
    std::vector<std::string> keys;
    for (auto& [key, differs] : compare(EdgeConfig{}, EdgeConfig{})) keys.push_back(key);
    return keys;
}

}  // namespace weir::edge
