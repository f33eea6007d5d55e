#include "central/analysis/state_keeper.hpp"

#include <pthread.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir::central {
namespace {

constexpr int keeper_niceness = 5;  // behind the operators: a state may be late

}  // namespace

StateKeeper::~StateKeeper() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void StateKeeper::offer(StoredState state, analytics::StateCopy engine) {
    WEIR_ASSERT(is_idle());
    {
        const std::lock_guard lock(mutex_);
        is_idle_.store(false, std::memory_order_relaxed);
        offered_.emplace(std::move(state), std::move(engine));
    }
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    changed_.notify_all();
}

analytics::StateCopy StateKeeper::take_room() {
    const std::lock_guard lock(mutex_);
    return std::exchange(room_, {});
}

Status StateKeeper::finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_idle(); });
    if (!failure_) return Done{};
    return *std::exchange(failure_, std::nullopt);
}

void StateKeeper::work() {
    pthread_setname_np(pthread_self(), "analytics-state");
    // Of this thread alone, on Linux.
    static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), keeper_niceness));
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return offered_.has_value() || is_stopping_; });
        if (!offered_) return;
        std::optional<Offered> offered = std::exchange(offered_, std::nullopt);
        lock.unlock();
        Status kept = keep(*offered);
        lock.lock();
        room_ = std::move(offered->engine);
        failure_ = kept ? std::nullopt : std::optional(kept.error());
        is_idle_.store(true, std::memory_order_release);  // pairs with is_idle()
        changed_.notify_all();
    }
}

Status StateKeeper::keep(const Offered& offered) {
    if (auto waited = wait_for_rows_(offered.state.position); !waited) return waited;
    if (!database_) {
        auto opened = Database::open(results_path_, Database::Use::own);
        if (!opened) return opened.error();
        database_.emplace(std::move(opened.value()));
    }
    if (auto synced = sync_rows(*database_); !synced) return synced;
    return write_state(state_path_, offered.state, offered.engine);
}

}  // namespace weir::central
