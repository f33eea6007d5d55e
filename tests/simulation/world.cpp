#include "tests/simulation/world.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace weir::sim {
namespace {

constexpr std::uint64_t drain_ns_max = 240 * ns_per_second;
// What was only received may wait for a segment to be made, which is tried once a second on a full disk.
constexpr std::uint64_t quiet_ns = 3 * ns_per_second;
constexpr std::uint64_t steps_max = 3'000'000;
constexpr std::uint64_t lossy_per_mille = 400;  // of worlds by chance: their lanes may lose something
constexpr int starts_max = 30;                  // failed ones in a row, after healing

enum class Fault : std::uint8_t {
    edge_end,
    central_end,
    edge_crash_point,
    central_crash_point,
    pause,
    cut_both,
    cut_one_way,
    reset,
    replay,
    drop,
    hold_back,
    slow_network,
    disk_full,
    disk_stall,
    write_error,
    sync_error,
    wall_jump,
    central_restored,
    count
};
constexpr std::array<const char*, static_cast<std::size_t>(Fault::count)> fault_names = {"edge_end",
                                                                                         "central_end",
                                                                                         "edge_crash_point",
                                                                                         "central_crash_point",
                                                                                         "pause",
                                                                                         "cut_both",
                                                                                         "cut_one_way",
                                                                                         "reset",
                                                                                         "replay",
                                                                                         "drop",
                                                                                         "hold_back",
                                                                                         "slow_network",
                                                                                         "disk_full",
                                                                                         "disk_stall",
                                                                                         "write_error",
                                                                                         "sync_error",
                                                                                         "wall_jump",
                                                                                         "central_restored"};

class World {
  public:
    explicit World(const WorldOptions& options);
    Outcome run();

  private:
    void make_nodes();
    void choose_lanes(bool is_large);
    void load_lanes(ProducerOptions& producer) const;
    void trace(const char* form, ...) __attribute__((format(printf, 2, 3)));
    void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3ULL; }
    [[nodiscard]] std::uint64_t next_ns() const;
    void go_round();
    void look_after(Node& node);
    void bring_up(Node& node);
    void end(Node& node, End how);
    void after_start(Node& node);
    void inject();
    void heal();
    [[nodiscard]] bool is_drained() const;
    [[nodiscard]] End some_end();
    [[nodiscard]] Node& some_node() { return *nodes_[random_.below(nodes_.size())]; }
    [[nodiscard]] EdgeNode& some_edge() { return *edges_[random_.below(edges_.size())]; }
    void watch();
    void complain(const std::string& what) {
        if (wrong_.empty()) wrong_ = what;
    }

    WorldOptions options_;
    Random random_;
    Clock clock_;
    Network network_;
    Scale scale_;
    std::unique_ptr<CentralNode> central_;
    std::vector<std::unique_ptr<EdgeNode>> edges_;
    std::vector<Node*> nodes_;  // [0] central
    std::vector<std::unique_ptr<SimProducer>> producers_;
    std::unique_ptr<Oracle> oracle_;
    struct Care {
        End crash_end = End::kill;  // how the next crash point ends the life
        bool had_power_loss = false;
        int failed_starts = 0;
        std::uint64_t crash_again_after = 0;
    };
    std::vector<Care> care_;
    std::vector<Fault> menu_;            // of this seed
    std::optional<Disk::Image> backup_;  // of central's machine
    std::uint64_t next_fault_ns_ = UINT64_MAX;
    std::uint64_t fault_gap_ns_max_ = ns_per_second;
    std::uint64_t fault_end_ns_ = 0;
    bool is_healed_ = false;
    std::uint64_t hash_ = 0xcbf29ce484222325ULL;
    std::uint64_t steps_ = 0, faults_ = 0, crashes_ = 0;
    std::string wrong_;
};

World::World(const WorldOptions& options) : options_(options), random_(options.seed), network_(random_.fork()) {
    make_nodes();
}

void World::make_nodes() {
    // Scale: each limit small or large by chance.
    const auto pick = [&](std::uint64_t small, std::uint64_t large) { return random_.chance(500) ? small : large; };
    // A batch may hold all that a duty cycle finds: the events on the way of two producers. It must fit segment and credit.
    const bool is_large = random_.chance(300);
    scale_.segment_bytes = is_large ? 256U << 10 : 32U << 10;
    scale_.spool_bytes_max = scale_.segment_bytes * random_.within(5, 24);
    scale_.batches_max = static_cast<std::uint32_t>(pick(3, 8));
    scale_.batch_events = static_cast<std::uint32_t>(random_.within(1, 24));
    scale_.linger_us = pick(0, 2000);
    scale_.checkpoint_ms = pick(50, 2000);
    scale_.keep_delivered_ms = pick(0, 600'000);
    scale_.keep_delivered_bytes = pick(scale_.segment_bytes, 64ULL << 20);
    scale_.credit_events = static_cast<std::uint32_t>(random_.within(1, 64));
    scale_.credit_bytes = scale_.segment_bytes * random_.within(1, 4);
    scale_.slots = static_cast<std::uint32_t>(pick(4, 16));
    scale_.slot_bytes = static_cast<std::uint32_t>(pick(1024, 8192));
    choose_lanes(is_large);
    central_ = std::make_unique<CentralNode>(clock_, network_, random_.fork(), 0, scale_);
    nodes_.push_back(central_.get());
    const std::uint64_t edges = options_.edges != 0 ? options_.edges : random_.within(1, 3);
    for (std::uint64_t index = 1; index <= edges; ++index) {
        edges_.push_back(std::make_unique<EdgeNode>(clock_, network_, random_.fork(), static_cast<int>(index), scale_));
        nodes_.push_back(edges_.back().get());
        const std::uint64_t count = random_.within(1, 2);
        for (std::uint64_t i = 0; i < count; ++i) {
            ProducerOptions producer;
            producer.machine = 100 + static_cast<int>(index);
            producer.name = "p" + std::to_string(index) + "-" + std::string(1, static_cast<char>('a' + index * 3 + i));
            producer.is_numbered = random_.chance(600);
            const std::uint64_t level = random_.below(10);
            producer.level = level < 1   ? wire::AckLevel::received
                             : level < 6 ? wire::AckLevel::spooled
                                         : wire::AckLevel::delivered;
            producer.to = edges_.back()->address();
            producer.events =
                options_.events != 0 ? options_.events : static_cast<std::uint32_t>(random_.within(20, 160));
            producer.payload_bytes_max = is_large ? 2500 : static_cast<std::uint32_t>(pick(20, 200));
            producer.gap_ns_max = pick(5 * ns_per_ms, 800 * ns_per_ms);
            if (scale_.has_lossy_lanes) load_lanes(producer);
            producers_.push_back(std::make_unique<SimProducer>(clock_, network_, random_.fork(), producer));
        }
    }
    for (const edge::LaneConfig& lane : scale_.lanes) trace("%s", text_of(lane).c_str());
    oracle_ = std::make_unique<Oracle>(producers_, edges_, *central_);
    care_.resize(nodes_.size());
    for (Node* node : nodes_) node->restart_at_ns = clock_.now_ns + random_.within(0, 50) * ns_per_ms;
    for (const auto& crash : options_.crashes) {
        const auto machine = static_cast<std::size_t>(crash.machine);
        nodes_[machine]->machine.disk.crash_at = crash.at_operation;
        care_[machine].crash_end = crash.how;
        care_[machine].crash_again_after = crash.again_after;
    }
    for (const auto& failure : options_.failures) {
        Disk& disk = nodes_[static_cast<std::size_t>(failure.machine)]->machine.disk;
        disk.fail_from = failure.from_operation;
        disk.fail_count = failure.count;
    }
    fault_end_ns_ = clock_.now_ns + random_.within(10, 120) * ns_per_second;
    if (!options_.has_faults) {
        fault_end_ns_ = clock_.now_ns + (options_.failures.empty() ? 1 : 6) * ns_per_second;
        return;
    }
    for (std::size_t fault = 0; fault < static_cast<std::size_t>(Fault::count); ++fault) {
        const bool is_drawn = random_.chance(450);
        const bool is_named =
            std::find(options_.only.begin(), options_.only.end(), fault_names[fault]) != options_.only.end();
        // What such a central lost and the edge gave up is not told apart.
        if (scale_.has_lossy_lanes && static_cast<Fault>(fault) == Fault::central_restored) continue;
        if (options_.only.empty() ? is_drawn : is_named) menu_.push_back(static_cast<Fault>(fault));
    }
    fault_gap_ns_max_ = pick(300 * ns_per_ms, 8 * ns_per_second);
    if (!menu_.empty()) next_fault_ns_ = clock_.now_ns + random_.within(1, fault_gap_ns_max_);
}

// From a stream of its own: a world with durable lanes is what it was before there were others.
void World::choose_lanes(bool is_large) {
    Random random(options_.seed ^ 0x6c616e6573ULL);
    const bool is_drawn = random.chance(lossy_per_mille);
    const bool is_lossy =
        options_.lanes == WorldOptions::Lanes::by_seed ? is_drawn : options_.lanes == WorldOptions::Lanes::lossy;
    if (!is_lossy) return;
    scale_.has_lossy_lanes = true;
    scale_.lanes = draw_lanes(random, is_large ? 32U << 10 : 8U << 10);
    // The largest batch holds what is on the way of two producers.
    if (random.chance(700)) scale_.lane_credit_bytes = (is_large ? 96U << 10 : 12U << 10) * random.within(1, 3);
}

// Lanes fill while central is away, with events that fill batches.
void World::load_lanes(ProducerOptions& producer) const {
    producer.window = 16;
    producer.bulk_per_mille = 500;
    producer.events *= 2;
    producer.payload_bytes_max = std::max(producer.payload_bytes_max, 200U);
    const auto note = [&](std::string_view lane, std::string_view type) {
        const auto is_its = [&](const edge::LaneConfig& one) { return one.name == lane; };
        const auto found = std::find_if(scale_.lanes.begin(), scale_.lanes.end(), is_its);
        if (losses_of(*found).at_intake) producer.shed_types.push_back(type);
    };
    note("default", reading_type);
    note(alarms_lane, alarm_type);
    note(bulk_lane, bulk_type);
}

void World::trace(const char* form, ...) {
    if (!options_.is_traced) return;
    std::printf("%12.6f  ", static_cast<double>(clock_.now_ns) / 1e9);
    va_list arguments;
    va_start(arguments, form);
    std::vprintf(form, arguments);
    va_end(arguments);
    std::printf("\n");
}

void World::watch() {
    const auto mark = options_.watched.find('#');
    if (!options_.is_traced || mark == std::string::npos) return;
    trace("%s",
          oracle_->find(options_.watched.substr(0, mark), std::stoull(options_.watched.substr(mark + 1))).c_str());
}

End World::some_end() {
    return static_cast<End>(random_.below(4));
}

void World::end(Node& node, End how) {
    Care& care = care_[static_cast<std::size_t>(node.machine.number)];
    node.restart_at_ns =
        clock_.now_ns + (random_.chance(500) ? random_.within(1, 50) * ns_per_ms : random_.within(1, 3000) * ns_per_ms);
    trace("machine %d ends (%d), back at %.6f", node.machine.number, static_cast<int>(how),
          static_cast<double>(node.restart_at_ns) / 1e9);
    watch();
    node.end(how);
    watch();
    node.paused_until_ns = 0;
    care.had_power_loss = true;
    ++crashes_;
    if (care.crash_again_after != 0) {
        node.machine.disk.crash_at = node.machine.disk.operations + care.crash_again_after;
        care.crash_again_after = 0;
    }
}

void World::bring_up(Node& node) {
    Care& care = care_[static_cast<std::size_t>(node.machine.number)];
    const bool is_started = node.start();
    trace("machine %d starts: %s", node.machine.number, is_started ? "up" : node.failure.c_str());
    mix(is_started ? 1 : 2);
    if (options_.is_traced && node.machine.number > 0) {
        auto& edge = *edges_[static_cast<std::size_t>(node.machine.number - 1)];
        for (const auto& fault : edge.faults()) trace("  %s", fault.c_str());
        if (is_started) trace("  %s", edge.state_text().c_str());
    }
    if (is_started && !node.machine.disk.is_down()) {
        care.failed_starts = 0;
        watch();
        after_start(node);
        return;
    }
    if (!node.machine.disk.is_down() && is_healed_ && ++care.failed_starts > starts_max) {
        complain("P5: machine " + std::to_string(node.machine.number) + " does not start any more: " + node.failure);
    }
    const bool is_crash = node.machine.disk.is_down();
    end(node, is_crash ? care.crash_end : End::kill);
}

void World::after_start(Node& node) {
    Care& care = care_[static_cast<std::size_t>(node.machine.number)];
    if (!care.had_power_loss) return;
    care.had_power_loss = false;
    if (&node == central_.get()) {
        if (auto wrong = oracle_->check_delivered(); !wrong.empty()) complain(wrong);
    } else {
        const auto& edge = *edges_[static_cast<std::size_t>(node.machine.number - 1)];
        if (auto wrong = oracle_->check_spooled(edge); !wrong.empty()) complain(wrong);
    }
}

void World::look_after(Node& node) {
    if (!node.is_up()) {
        if (node.restart_at_ns <= clock_.now_ns) bring_up(node);
        return;
    }
    if (node.machine.disk.is_down()) {
        end(node, care_[static_cast<std::size_t>(node.machine.number)].crash_end);
        return;
    }
    if (is_healed_ && node.is_poisoned()) {  // what an operator does once the disk is well again
        end(node, End::kill);
        return;
    }
    if (node.next_ns() > clock_.now_ns) return;
    mix(node.step() * 31 + static_cast<std::uint64_t>(node.machine.number));
    if (node.machine.disk.is_down()) end(node, care_[static_cast<std::size_t>(node.machine.number)].crash_end);
}

void World::inject() {
    ++faults_;
    const Fault fault = menu_[random_.below(menu_.size())];
    mix(static_cast<std::uint64_t>(fault));
    const std::uint64_t now = clock_.now_ns;
    const std::uint64_t some_time =
        random_.chance(700) ? random_.within(1, 2000) * ns_per_ms : random_.within(1, 15) * ns_per_second;
    Node& node = some_node();
    EdgeNode& edge = some_edge();
    trace("fault %s: machine %d, %.3f s", fault_names[static_cast<std::size_t>(fault)], node.machine.number,
          static_cast<double>(some_time) / 1e9);
    switch (fault) {
        case Fault::edge_end:
            if (edge.is_up()) end(edge, some_end());
            break;
        case Fault::central_end:
            if (central_->is_up()) end(*central_, some_end());
            break;
        case Fault::edge_crash_point:
            edge.machine.disk.crash_at = edge.machine.disk.operations + random_.within(1, 120);
            care_[static_cast<std::size_t>(edge.machine.number)].crash_end = some_end();
            break;
        case Fault::central_crash_point:
            central_->machine.disk.crash_at = central_->machine.disk.operations + random_.within(1, 120);
            care_[0].crash_end = some_end();
            break;
        case Fault::pause:
            node.paused_until_ns = now + some_time;
            break;
        case Fault::cut_both:
            network_.cut(edge.machine.number, 0, now + some_time);
            network_.cut(0, edge.machine.number, now + some_time);
            break;
        case Fault::cut_one_way:
            if (random_.chance(500)) {
                network_.cut(edge.machine.number, 0, now + some_time);
            } else {
                network_.cut(0, edge.machine.number, now + some_time);
            }
            break;
        case Fault::reset:
            static_cast<void>(network_.reset_one(node.machine.number, now));
            break;
        case Fault::replay:
            static_cast<void>(network_.replay_one(0, now));
            break;
        case Fault::drop:
            static_cast<void>(network_.steal_one(0, Link::Theft::drop));
            break;
        case Fault::hold_back:
            static_cast<void>(network_.steal_one(0, Link::Theft::hold));
            break;
        case Fault::slow_network:
            network_.latency_ns_max = random_.within(1, 300) * ns_per_ms;
            break;
        case Fault::disk_full:
            node.machine.disk.is_full = !node.machine.disk.is_full;
            break;
        case Fault::disk_stall:
            node.machine.stalled_until_ns = now + some_time;
            break;
        case Fault::write_error:
            node.machine.disk.write_errors = 1;
            break;
        case Fault::sync_error:
            node.machine.disk.sync_errors = 1;
            break;
        case Fault::wall_jump:
            node.machine.wall_skew_ns += static_cast<std::int64_t>(random_.within(0, 6 * 86'400) * ns_per_second) -
                                         static_cast<std::int64_t>(3 * 86'400 * ns_per_second);
            break;
        case Fault::central_restored:
            // Its machine comes back with what a backup of some time ago held, and a new backup is made.
            if (central_->is_up() && backup_) {
                oracle_->central_is_restored();
                end(*central_, End::power_none);
                central_->machine.disk.restore(*backup_);
                backup_.reset();
                break;
            }
            if (!central_->machine.disk.is_down()) backup_ = central_->machine.disk.backup();
            break;
        case Fault::count:
            break;
    }
    next_fault_ns_ = now + random_.within(1, fault_gap_ns_max_);
}

void World::heal() {
    trace("healed");
    is_healed_ = true;
    next_fault_ns_ = UINT64_MAX;
    network_.heal();
    network_.reset_tampered(clock_.now_ns);
    network_.latency_ns_max = 200 * ns_per_us;
    for (Node* node : nodes_) {
        Disk& disk = node->machine.disk;
        disk.is_full = false;
        disk.write_errors = disk.sync_errors = 0;
        if (options_.has_faults) disk.crash_at = UINT64_MAX;
        disk.fail_count = 0;
        node->machine.stalled_until_ns = 0;
        node->paused_until_ns = 0;
    }
}

bool World::is_drained() const {
    if (!is_healed_ || !central_->is_up() || central_->is_poisoned()) return false;
    for (const auto& producer : producers_) {
        if (!producer->is_done()) return false;
    }
    for (const auto& edge : edges_) {
        if (!edge->is_up() || edge->is_poisoned()) return false;
        for (const auto& lane : edge->counters().spool.lanes) {
            const std::uint64_t given_up = lane.shed.get() + lane.expired.get();
            if (lane.delivered.get() + lane.gap.get() + given_up < lane.spooled.get()) return false;
        }
        if (edge->counters().spool.is_connected.get() == 0) return false;
        if (edge->watch && !oracle_->is_all_named(*edge)) return false;
    }
    return true;
}

std::uint64_t World::next_ns() const {
    std::uint64_t next = std::min(next_fault_ns_, is_healed_ ? UINT64_MAX : fault_end_ns_);
    for (const Node* node : nodes_) next = std::min(next, node->is_up() ? node->next_ns() : node->restart_at_ns);
    for (const auto& producer : producers_) next = std::min(next, producer->next_ns());
    return next;
}

void World::go_round() {
    const std::uint64_t next = next_ns();
    // Whoever spins still takes time.
    clock_.now_ns = std::max(clock_.now_ns + ns_per_us, next);
    mix(clock_.now_ns);
    if (!is_healed_ && clock_.now_ns >= fault_end_ns_) heal();
    if (clock_.now_ns >= next_fault_ns_) inject();
    for (Node* node : nodes_) look_after(*node);
    for (const auto& edge : edges_) complain(edge->complaint);
    for (const auto& producer : producers_) {
        if (producer->next_ns() > clock_.now_ns) continue;
        mix(producer->step());
        if (!producer->complaint.empty()) complain(producer->complaint);
    }
}

Outcome World::run() {
    std::uint64_t quiet_since = 0;
    while (wrong_.empty()) {
        go_round();
        if (++steps_ > steps_max) complain("the world spins: " + std::to_string(steps_max) + " steps");
        if (clock_.now_ns > fault_end_ns_ + drain_ns_max) {
            std::string who;
            for (const auto& producer : producers_) {
                who += "\n  " + producer->state_text();
            }
            for (const auto& edge : edges_) who += "\n  " + edge->state_text();
            complain("not drained " + std::to_string(drain_ns_max / ns_per_second) + " s after healing:" + who);
        }
        if (!is_drained()) {
            quiet_since = 0;
        } else if (quiet_since == 0) {
            quiet_since = clock_.now_ns;
        } else if (clock_.now_ns - quiet_since > quiet_ns) {
            break;
        }
    }
    watch();
    for (const auto& edge : edges_) trace("%s", edge->state_text().c_str());
    for (const auto& producer : producers_) trace("%s", producer->state_text().c_str());
    if (wrong_.empty()) complain(oracle_->check_all());
    Outcome outcome;
    outcome.wrong = wrong_;
    outcome.trace_hash = hash_;
    outcome.simulated_ns = clock_.now_ns - ns_per_second;
    outcome.steps = steps_;
    outcome.events = oracle_->judged_events;
    outcome.faults = faults_;
    outcome.crashes = crashes_;
    for (const auto& edge : edges_) {
        if (!edge->watch || !edge->is_up()) continue;
        for (const auto& lane : edge->counters().spool.lanes) {
            outcome.shed += lane.shed.get();
            outcome.expired += lane.expired.get();
            outcome.lost += lane.gap.get();
        }
        for (const auto& lane : edge->counters().intake.shed) outcome.shed += lane.unsequenced.get();
    }
    for (const Node* node : nodes_) outcome.operations.push_back(node->machine.disk.operations);
    return outcome;
}

}  // namespace

Outcome run_world(const WorldOptions& options) {
    World world(options);
    return world.run();
}

}  // namespace weir::sim
