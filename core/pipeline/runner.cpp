#include "core/pipeline/runner.hpp"

#include <pthread.h>
#include <sched.h>

#include <future>

#include "core/base/touch.hpp"

namespace weir {
namespace {

void name_and_pin(const RunnerOptions& options) {
    ::pthread_setname_np(::pthread_self(), options.name.substr(0, 15).c_str());
    if (options.core < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(options.core), &set);
    static_cast<void>(
        ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set));  // a core that was taken away: float
}

}  // namespace

Runner::Runner(RunnerOptions options)
    : options_(std::move(options)), loop_(options_.idle, options_.idle_spin_ns, options_.rest_ns) {}

Runner::~Runner() {
    request_halt();
    join();
}

Status Runner::start(Build build) {
    // Shared: this side may return while the other is still inside set_value().
    auto ready = std::make_shared<std::promise<Status>>();
    auto outcome = ready->get_future();
    thread_ = std::thread([this, build = std::move(build), ready] {
        name_and_pin(options_);
        if (options_.io_options.touch) touch_stack();
        auto io = options_.make_io(options_.io, options_.io_options);
        if (!io) {
            finished_.store(true, std::memory_order_release);
            ready->set_value(io.error());
            return;
        }
        io_ = std::move(io.value());
        io_name_ = io_->name();
        auto stages = build(*io_);
        if (!stages) {
            io_.reset();
            finished_.store(true, std::memory_order_release);
            ready->set_value(stages.error());
            return;
        }
        loop_.start(*io_, std::move(stages.value()));
        ready->set_value(Done{});
        loop_.run();
        finished_.store(true, std::memory_order_release);  // pairs with the acquire in is_finished()
    });
    Status status = outcome.get();
    if (!status) thread_.join();
    return status;
}

void Runner::join() {
    if (thread_.joinable()) thread_.join();
}

}  // namespace weir
