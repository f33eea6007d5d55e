#include "core/base/touch.hpp"
#include "core/control/log.hpp"
#include "edge/daemon/parts.hpp"
#include "edge/profile.hpp"

namespace weir::edge {
namespace {

constexpr std::uint32_t uplink_sockets_max = 4;

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
    options.rest_ns = config.runtime.rest_us * ns_per_us;
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
    options.touch = is_touched(config);
    return options;
}

io::IoOptions spool_io_options(const EdgeConfig& config) {
    io::IoOptions options;
    options.touch = is_touched(config);
    options.slots = uplink_receive_slots;
    options.sockets_max = uplink_sockets_max;
    return options;
}

// Of a runner that has both stages.
io::IoOptions shared_io_options(const EdgeConfig& config) {
    io::IoOptions options = intake_io_options(config);
    options.sockets_max += uplink_sockets_max;
    return options;
}

}  // namespace

std::string thread_plan_text(const EdgeConfig& config) {
    return "threads: " + plan_of(config).explanation;
}

EdgeDaemon::Parts::Parts(EdgeConfig edge_config, io::IoChoice io_choice, std::string path)
    : config(std::move(edge_config)),
      config_path(std::move(path)),
      plan(plan_of(config)),
      io(io_choice),
      pool(config.spool.batches_max),
      to_spool(to_spool_capacity),
      to_intake(config.runtime.notes_max),
      taps(config, [this] { intake_runner.doorbell().ring(); }),
      intake_runner(runner_options(config, plan.places[0], io,
                                   plan.places.size() > 1 ? intake_io_options(config) : shared_io_options(config))),
      own_spool_runner(plan.places.size() > 1 ? std::make_unique<Runner>(runner_options(config, plan.places[1], io,
                                                                                        spool_io_options(config)))
                                              : nullptr),
      spool_runner(own_spool_runner ? *own_spool_runner : intake_runner) {
    if (!is_touched(config)) return;
    touch_program();
    pool.touch();
    to_spool.touch();
    to_intake.touch();
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
