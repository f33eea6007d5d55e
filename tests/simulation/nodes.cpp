#include "tests/simulation/nodes.hpp"

#include <algorithm>
#include <cerrno>

#include "core/journal/checkpoint.hpp"

namespace weir::sim {
namespace {
constexpr std::uint64_t make_ns_max = 20 * ns_per_ms;  // a segment file is made within
constexpr std::size_t ring_capacity = 256;
}  // namespace

void SimSegmentStore::prepare(const journal::SegmentHeader& header) {
    if (!asked_.insert(header.segment_index).second) return;
    wanted_.push_back(header);
    due_ns_ = std::max(due_ns_, clock_.now_ns + make_ns_max / 8);
}
const std::string* SimSegmentStore::ready(std::uint64_t segment_index) {
    return ready_.contains(segment_index) ? &(ready_path_ = path_of(segment_index)) : nullptr;
}
void SimSegmentStore::release(std::uint64_t segment_index) {
    released_.push_back(segment_index);
    if (given_up_before_ != nullptr) {
        *given_up_before_ = std::max(*given_up_before_, Position{(segment_index + 1) * segment_bytes_});
    }
    ready_.erase(segment_index);
    asked_.erase(segment_index);
    due_ns_ = std::max(due_ns_, clock_.now_ns + ns_per_us);
}
void SimSegmentStore::mark_damaged(std::uint64_t segment_index) {
    damaged_.push_back(segment_index);
    due_ns_ = std::max(due_ns_, clock_.now_ns + ns_per_us);
}
void SimSegmentStore::step() {
    if (next_event_ns() > clock_.now_ns) return;
    for (const std::uint64_t index : damaged_) files_.mark_damaged(index);
    damaged_.clear();
    for (const std::uint64_t index : released_) files_.let_go(index);
    released_.clear();
    while (files_.is_shrinking()) static_cast<void>(files_.shrink());
    if (wanted_.empty()) return;
    prepare_errno_ = files_.make(wanted_.front());
    due_ns_ = clock_.now_ns + (prepare_errno_ == 0 ? make_ns_max / 8 : ns_per_second);
    if (prepare_errno_ != 0) return;
    ready_.insert(wanted_.front().segment_index);
    wanted_.erase(wanted_.begin());
}

std::uint64_t SimRunner::next_ns(std::uint64_t now_ns) const {
    std::uint64_t next = std::min(io->next_event_ns(), stage->next_deadline().value);
    if (is_busy || stage->has_input()) next = now_ns;
    return std::max(next, not_before_ns);
}

std::uint64_t SimRunner::step(Clock& clock) {
    const auto completions = io->wait({clock.now_ns});
    std::uint64_t hash = completions.size();
    for (const io::Completion& one : completions) {
        hash = hash * 31 + static_cast<std::uint64_t>(one.op) * 7 + static_cast<std::uint32_t>(one.result);
        stage->on_completion(one, {clock.now_ns});
    }
    const std::size_t worked = stage->do_work({clock.now_ns});
    is_busy = worked > 0;
    return hash * 31 + worked;
}

void Node::end(End how) {
    machine.disk.go_down();
    destroy();
    const bool is_power = how != End::kill;
    if (is_power) {
        machine.disk.end_power_loss(how == End::power_none  ? Loss::none
                                    : how == End::power_all ? Loss::all
                                                            : Loss::random);
    } else {
        machine.disk.end_kill();
    }
    // After a power loss nobody tells the peers until the machine is back.
    network_.drop_all(machine.number, clock_.now_ns, is_power ? restart_at_ns : clock_.now_ns);
    ++lives;
}

struct EdgeNode::Process {
    explicit Process(const edge::EdgeConfig& config)
        : pool(config.spool.batches_max), to_spool(ring_capacity), to_intake(4 * ring_capacity) {}
    edge::BatchPool pool;
    edge::EdgeCounters counters;
    Ring<edge::ToSpool> to_spool;
    Ring<edge::ToIntake> to_intake;
    Doorbell intake_bell, spool_bell;
    std::optional<edge::Recovered> recovered;
    std::vector<edge::LaneState> streams;
    // Of each stream; `sim_segments` are the same.
    std::vector<std::unique_ptr<journal::SegmentStore>> segments;
    std::vector<SimSegmentStore*> sim_segments;
    SimRunner spool, intake;
};

EdgeNode::EdgeNode(Clock& clock, Network& network, Random random, int number, const Scale& scale)
    : Node(clock, network, random, number) {
    const std::string name = "edge-" + std::to_string(number);
    config.edge_id = name;
    config.data_dir = "/" + name;
    config.listen.producers = {name + ":1"};
    config.listen.connections_max = 8;
    config.listen.credit_events = scale.credit_events;
    config.uplink.centrals = {"central:1"};
    config.cache.ids_max = scale.ids_max;
    config.cache.producers_max = 8;
    config.cache.keys_max = 16;
    config.spool.segment_bytes = scale.segment_bytes;
    config.spool.bytes_max = scale.spool_bytes_max;
    config.spool.batches_max = scale.batches_max;
    config.spool.checkpoint_ms = scale.checkpoint_ms;
    config.spool.keep_delivered_ms = scale.keep_delivered_ms;
    config.spool.keep_delivered_bytes = scale.keep_delivered_bytes;
    config.runtime.receive_slots = scale.slots;
    config.runtime.receive_slot_bytes = scale.slot_bytes;
    config.lanes = scale.lanes;
    for (edge::LaneConfig& lane : config.lanes) {
        lane.batch_bytes = 16U << 10;
        lane.batch_events = scale.batch_events;
        lane.linger_us = scale.linger_us;
        if (lane.name == alarms_lane) add_route(alarms_lane, alarm_type);
        if (lane.name == bulk_lane) add_route(bulk_lane, bulk_type);
    }
    config.digest = 1;
    if (scale.has_lossy_lanes) watch = std::make_unique<LaneWatch>(config);
}

EdgeNode::~EdgeNode() {
    destroy();
}

void EdgeNode::add_route(std::string_view lane, std::string_view type) {
    edge::RouteConfig route;
    route.lane = lane;
    route.types = {std::string(type)};
    config.routes.push_back(route);
}

const edge::LaneConfig& EdgeNode::lane_of(std::string_view type) const {
    std::string_view name = "default";
    for (const edge::RouteConfig& route : config.routes) {
        if (route.types.front() == type) name = route.lane;
    }
    return *std::find_if(config.lanes.begin(), config.lanes.end(), [&](const auto& lane) { return lane.name == name; });
}

bool EdgeNode::start() {
    const io::UseFiles use(machine.disk);
    failure.clear();
    auto process = std::make_unique<Process>(config);
    auto found = edge::recover(config);
    if (!found) {
        failure = found.error().what;
        return false;
    }
    process->recovered.emplace(std::move(found.value()));
    Process& parts = *process;
    edge::Recovered& recovered = *parts.recovered;
    for (const auto& fault : recovered.faults) faults_.push_back(fault);
    for (const edge::SpoolLane& lane : recovered.spool.lanes) {
        const std::string directory = edge::stream_directory(config.data_dir, lane.state.name, lane.state.part);
        auto store = std::make_unique<SimSegmentStore>(clock_, directory, lane.journal.segment_bytes, 1,
                                                       &given_up_before[directory]);
        parts.sim_segments.push_back(store.get());
        parts.segments.push_back(std::move(store));
    }
    io::IoOptions options;
    options.slots = 4;
    options.slot_bytes = config.runtime.receive_slot_bytes;
    auto spool_io = std::make_unique<SimIo>(clock_, network_, machine, random_.fork(), options);
    if (watch) spool_io->show_to(*watch);
    parts.spool.io = std::move(spool_io);
    auto spool = std::make_unique<edge::SpoolStage>(
        *parts.spool.io, std::uint8_t{0},
        edge::SpoolParts{.config = config,
                         .start = recovered.spool,
                         .pool = parts.pool,
                         .segments = parts.segments,
                         .from_intake = parts.to_spool.take_reader(),
                         .to_intake = parts.to_intake.take_writer(),
                         .intake_doorbell = parts.intake_bell,
                         .counters = parts.counters.spool,
                         .jitter_seed = recovered.spool.identity.lineage ^ recovered.spool.identity.epoch,
                         .rung = &parts.counters.intake.rung});
    const Status opened = spool->open();
    parts.spool.stage = std::move(spool);
    process_ = std::move(process);
    if (!opened) {
        failure = opened.error().what;
        return false;
    }
    std::vector<edge::LaneState>& states = process_->streams;
    for (const auto& lane : recovered.spool.lanes) states.push_back(lane.state);
    options.slots = config.runtime.receive_slots;
    parts.intake.io = std::make_unique<SimIo>(clock_, network_, machine, random_.fork(), options);
    auto intake =
        std::make_unique<edge::Intake>(*parts.intake.io, std::uint8_t{0}, config, recovered.spool.identity, states,
                                       std::move(recovered.memory), parts.pool, parts.to_spool.take_writer(),
                                       parts.to_intake.take_reader(), parts.spool_bell, parts.counters.intake);
    const Status started = intake->start();
    parts.intake.stage = std::move(intake);
    if (!started) {
        failure = started.error().what;
        return false;
    }
    return true;
}

void EdgeNode::destroy() {
    if (!process_) return;
    const io::UseFiles use(machine.disk);
    for (SimRunner* runner : {&process_->intake, &process_->spool}) {
        if (runner->io) runner->io->abandon();
    }
    process_.reset();
    if (watch) watch->ends();
}

std::uint64_t EdgeNode::next_ns() const {
    const std::uint64_t now = clock_.now_ns;
    std::uint64_t next = std::min(process_->intake.next_ns(now), process_->spool.next_ns(now));
    for (const SimSegmentStore* store : process_->sim_segments) next = std::min(next, store->next_event_ns());
    return std::max(next, paused_until_ns);
}

std::uint64_t EdgeNode::step() {
    const io::UseFiles use(machine.disk);
    for (SimSegmentStore* store : process_->sim_segments) store->step();
    // Which of the two is scheduled is chance; both take their time.
    std::uint64_t hash = 0;
    SimRunner* first = random_.chance(500) ? &process_->intake : &process_->spool;
    SimRunner* second = first == &process_->intake ? &process_->spool : &process_->intake;
    for (SimRunner* runner : {first, second}) {
        if (machine.disk.is_down() || runner->next_ns(clock_.now_ns) > clock_.now_ns) continue;
        hash = hash * 31 + runner->step(clock_);
        runner->not_before_ns = clock_.now_ns + random_.within(1, 50) * ns_per_us;
        if (random_.chance(5)) runner->not_before_ns += random_.within(1, 20) * ns_per_ms;  // preempted
    }
    if (watch && complaint.empty()) look_at_lanes();
    return hash;
}

void EdgeNode::look_at_lanes() {
    const Disk& disk = machine.disk;
    const bool is_well = !disk.is_down() && !disk.is_full && machine.stalled_until_ns <= clock_.now_ns &&
                         !is_poisoned() && prepare_errno() == 0;
    complaint = watch->judge({.now_ns = clock_.now_ns,
                              .streams = process_->streams,
                              .counters = process_->counters.spool,
                              .is_well = is_well});
}

bool EdgeNode::is_poisoned() const {
    return process_ && process_->counters.spool.poisoned_errno.get() != 0;
}
int EdgeNode::prepare_errno() const {
    for (const SimSegmentStore* store : process_->sim_segments) {
        if (store->prepare_errno() != 0) return store->prepare_errno();
    }
    return 0;
}
std::string EdgeNode::state_text() const {
    if (!process_) return config.edge_id + ": down; " + failure;
    const edge::SpoolCounters& spool = process_->counters.spool;
    const edge::IntakeCounters& intake = process_->counters.intake;
    std::string text =
        config.edge_id + ": holds " + std::to_string(spool.journal_bytes_held.get()) + " of " +
        std::to_string(config.spool.bytes_max) + " bytes, segment " + std::to_string(config.spool.segment_bytes) +
        "; buffers free " + std::to_string(intake.buffers_free.get()) + " of " +
        std::to_string(config.spool.batches_max) + "; connected " + std::to_string(spool.is_connected.get()) +
        ", credit left " + std::to_string(spool.credit_bytes_left.get()) + ", unacked " +
        std::to_string(spool.unacked_batches.get()) + ", last refusal " + std::to_string(spool.last_refusal.get()) +
        ", poisoned " + std::to_string(spool.poisoned_errno.get()) + ", slots held " +
        std::to_string(intake.slots_held.get()) + ", checkpoint failures " +
        std::to_string(spool.checkpoint_failures.get()) + "/" + std::to_string(intake.checkpoint_failures.get()) +
        ", segment errno " + std::to_string(prepare_errno()) + ", damaged " +
        std::to_string(spool.damaged_records.get()) + ", read back " + std::to_string(spool.read_back_bytes.get()) +
        ", resent " + std::to_string(spool.resent_batches.get()) + ", sessions " + std::to_string(spool.sessions.get());
    for (std::size_t index = 0; index < process_->streams.size(); ++index) {
        const edge::LaneCounters& lane = spool.lanes[index];
        if (lane.spooled.get() == lane.delivered.get()) continue;
        text += "; " + process_->streams[index].name +
                (process_->streams[index].part == wire::Part::backlog ? " (backlog)" : "") + ": spooled " +
                std::to_string(lane.spooled.get()) + ", delivered " + std::to_string(lane.delivered.get()) + ", shed " +
                std::to_string(lane.shed.get()) + ", expired " + std::to_string(lane.expired.get()) + ", gap " +
                std::to_string(lane.gap.get()) + ", bytes " + std::to_string(lane.bytes.get());
    }
    return text;
}

const edge::EdgeCounters& EdgeNode::counters() const {
    return process_->counters;
}
const std::vector<edge::LaneState>& EdgeNode::streams() const {
    return process_->streams;
}

struct CentralNode::Process {
    explicit Process(const central::CentralConfig& config) : shared(config) {}
    central::IngestShared shared;
    central::Recovered recovered;
    std::unique_ptr<SimSegmentStore> journal, letters;
    SimRunner ingest;
};

CentralNode::CentralNode(Clock& clock, Network& network, Random random, int number, const Scale& scale)
    : Node(clock, network, random, number) {
    config.data_dir = "/central";
    config.listen.edges = {"central:1"};
    config.listen.connections_max = 8;
    config.listen.credit_bytes = scale.credit_bytes;
    config.journal.segment_bytes = 2 * scale.segment_bytes;
    config.journal.group_bytes = scale.group_bytes;
    config.journal.groups = scale.groups;
    config.journal.checkpoint_ms = scale.checkpoint_ms;
    if (scale.lane_credit_bytes > 0) {
        for (const auto& lane : scale.lanes) config.lanes.push_back({lane.name, scale.lane_credit_bytes});
    }
    config.limits.edges_max = 16;
    config.limits.positions_max = 64;
    config.runtime.receive_slots = 2 * scale.slots;
    config.runtime.receive_slot_bytes = scale.slot_bytes;
}

CentralNode::~CentralNode() {
    destroy();
}

bool CentralNode::start() {
    const io::UseFiles use(machine.disk);
    failure.clear();
    auto process = std::make_unique<Process>(config);
    const auto fails = [&](const Error& error) {
        failure = error.what;
        return false;
    };
    if (auto made = journal::make_directory(config.data_dir); !made) return fails(made.error());
    auto recovered = central::recover(config, process->shared.positions);
    if (!recovered) return fails(recovered.error());
    process->recovered = std::move(recovered.value());
    const std::uint64_t segment_bytes = config.journal.segment_bytes;
    process->journal = std::make_unique<SimSegmentStore>(clock_, central::journal_directory(config), segment_bytes, 0);
    process->letters =
        std::make_unique<SimSegmentStore>(clock_, central::dead_letters_directory(config), segment_bytes, 0);
    io::IoOptions options;
    options.slots = config.runtime.receive_slots;
    options.slot_bytes = config.runtime.receive_slot_bytes;
    process->ingest.io = std::make_unique<SimIo>(clock_, network_, machine, random_.fork(), options);
    auto stage = std::make_unique<central::IngestStage>(
        *process->ingest.io, config, process->recovered,
        central::IngestStage::Stores{*process->journal, *process->letters}, process->shared);
    const Status opened = stage->open(0);
    process->ingest.stage = std::move(stage);
    process_ = std::move(process);
    if (!opened) return fails(opened.error());
    return true;
}

void CentralNode::destroy() {
    if (!process_) return;
    const io::UseFiles use(machine.disk);
    process_->ingest.io->abandon();
    process_.reset();
}

std::uint64_t CentralNode::next_ns() const {
    const std::uint64_t next = std::min({process_->ingest.next_ns(clock_.now_ns), process_->journal->next_event_ns(),
                                         process_->letters->next_event_ns()});
    return std::max(next, paused_until_ns);
}

std::uint64_t CentralNode::step() {
    const io::UseFiles use(machine.disk);
    process_->journal->step();
    process_->letters->step();
    if (machine.disk.is_down() || process_->ingest.next_ns(clock_.now_ns) > clock_.now_ns) return 0;
    const std::uint64_t hash = process_->ingest.step(clock_);
    process_->ingest.not_before_ns = clock_.now_ns + random_.within(1, 30) * ns_per_us;
    return hash;
}

bool CentralNode::is_poisoned() const {
    if (!process_) return false;
    return process_->shared.poison_errno.get() != 0 || process_->shared.letters_errno.get() != 0;
}
central::IngestShared& CentralNode::shared() {
    return process_->shared;
}

}  // namespace weir::sim
