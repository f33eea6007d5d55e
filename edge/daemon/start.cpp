#include "core/base/secret.hpp"
#include "core/control/log.hpp"
#include "core/control/outsiders.hpp"
#include "edge/daemon/parts.hpp"
#include "edge/profile.hpp"

namespace weir::edge {
namespace {

void ring_doorbell(void* doorbell) {
    static_cast<Doorbell*>(doorbell)->ring();
}

}  // namespace

Status EdgeDaemon::Parts::start() {
    if (!config.runtime.core_dumps && !forbid_core_dumps())
        control::log_warn("core_dumps_possible", {{"edge", config.edge_id}});
    if (config.runtime.low_latency_idle) {
        auto held = LowLatencyIdle::hold();
        if (!held) control::log_warn("low_latency_idle_refused", {{"error", held.error().what}});
        if (held) awake.emplace(std::move(held.value()));
    }
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
    if (!config.tables.use.empty()) make_tables();
    if (auto status = open_guard(); !status) return status;
    if (auto status = start_tls(); !status) return status;
    if (auto status = start_runners(); !status) return status;
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
    }
    if (config.tls.is_for_producers()) {
        auto added = tls->add("producers", weir::tls::Side::server, {domain, "producer", {}, true});
        if (!added) return added;
    }
    if (own_spool_runner) {
        own_spool_runner->set_make_io(tls->io_maker({"uplink"}));
        intake_runner.set_make_io(tls->io_maker({"producers"}));
    } else {
        intake_runner.set_make_io(tls->io_maker({"producers", "uplink"}));
    }
    return Done{};
}

void EdgeDaemon::Parts::make_tables() {
    const auto wake_spool = [this] { spool_runner.doorbell().ring(); };
    if (auto cached = cached_table_names(config); !cached.empty()) {
        row_link.emplace(cached.size(), wake_spool, [this] { intake_runner.doorbell().ring(); });
        const SpoolIdentity& identity = recovered->spool.identity;
        cached_tables.emplace(config, *row_link, identity.lineage ^ identity.epoch);
        row_asks.emplace(std::move(cached), *row_link);
    }
    tables.emplace(config, table_link, wake_spool, cached_tables ? &*cached_tables : nullptr);
    tables->load();
    tell_tables();
}

void EdgeDaemon::Parts::make_segments() {
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
}

Result<std::unique_ptr<Stage>> EdgeDaemon::Parts::make_spool(io::Io& runner_io, std::uint8_t owner) {
    auto stage = std::make_unique<SpoolStage>(
        runner_io, owner,
        SpoolParts{.config = config,
                   .start = recovered->spool,
                   .pool = pool,
                   .segments = segments,
                   .from_intake = to_spool.take_reader(),
                   .to_intake = to_intake.take_writer(),
                   .intake_doorbell = intake_runner.doorbell(),
                   .counters = counters.spool,
                   // Edges differ by lineage: they do not come back in step.
                   .jitter_seed = recovered->spool.identity.lineage ^ recovered->spool.identity.epoch,
                   .rung = &counters.intake.rung});
    if (tables) stage->take_tables_for(table_link);
    if (row_asks) stage->ask_rows_for(*row_asks);
    stage->take_orders_from(lane_orders);
    if (is_touched(config)) stage->touch();
    if (auto opened = stage->open(); !opened) return opened.error();
    return std::unique_ptr<Stage>(std::move(stage));
}

Result<std::unique_ptr<Stage>> EdgeDaemon::Parts::make_intake(io::Io& runner_io, std::uint8_t owner) {
    auto stage = std::make_unique<Intake>(runner_io, owner, config, recovered->spool.identity, lane_changes->streams(),
                                          std::move(recovered->memory), pool, to_spool.take_writer(),
                                          to_intake.take_reader(), spool_runner.doorbell(), counters.intake);
    if (is_touched(config)) stage->touch();
    stage->take_reloads_from(reloads);
    stage->take_taps_from(taps.slot());
    if (cached_tables) stage->look_up_in(*cached_tables);
    stage->obey(controls);
    if (!own_spool_runner) stage->leave_slots(uplink_receive_slots);
    if (poison_guard) stage->note_in(*poison_guard);
    if (auto started = stage->start(); !started) return started.error();
    return std::unique_ptr<Stage>(std::move(stage));
}

// Intake takes its first event when the spool is open.
Status EdgeDaemon::Parts::start_runners() {
    make_segments();
    open_poison_guard();
    // With what the disk has: intake takes it before its first event.
    if (tables && tables->share())
        reloads.offer(std::make_unique<Judgement>(config, lane_changes->streams(), tables->share()));
    using Stages = std::vector<std::unique_ptr<Stage>>;
    if (own_spool_runner) {
        const auto status = own_spool_runner->start([this](io::Io& runner_io) -> Result<Stages> {
            auto spool = make_spool(runner_io, 0);
            if (!spool) return spool.error();
            Stages stages;
            stages.push_back(std::move(spool.value()));
            return stages;
        });
        if (!status) return status;
    }
    return intake_runner.start([this](io::Io& runner_io) -> Result<Stages> {
        Stages stages(1);
        if (!own_spool_runner) {
            auto spool = make_spool(runner_io, 1);
            if (!spool) return spool.error();
            stages.push_back(std::move(spool.value()));
        }
        auto intake = make_intake(runner_io, 0);
        if (!intake) return intake.error();
        stages.front() = std::move(intake.value());
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

}  // namespace weir::edge
