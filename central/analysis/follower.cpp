#include "central/analysis/follower.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/base/clock.hpp"

namespace weir::central {
namespace {

// Between looks while nothing comes: a part of the time since something came, so that an alert is soon and an idle night is cheap.
constexpr std::uint64_t nap_ms_min = 1;
constexpr std::uint64_t nap_ms_max = 16;
constexpr std::uint64_t nap_part = 32;
constexpr std::uint64_t retry_ms = 500;
// Of the time that records took since the last step, so much goes to a state's copy; at least a little, and a step each nap.
constexpr std::uint64_t copy_part = 4;
constexpr std::uint64_t copy_ns_min = 100 * ns_per_us;
constexpr std::uint64_t copy_ns_max = ns_per_ms;
constexpr std::size_t copy_entries = 64;  // between two looks at the clock
constexpr std::size_t notes_max = 64;

}  // namespace

void Follower::start() {
    thread_ = std::thread([this] { work(); });
}

void Follower::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_.store(true, std::memory_order_relaxed);
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Follower::redefine(AnalyticsConfig config) {
    const std::lock_guard lock(mutex_);
    config_ = std::move(config);
    is_redefined_.store(true, std::memory_order_relaxed);  // read again under the mutex
}

std::vector<std::string> Follower::take_notes() {
    const std::lock_guard lock(mutex_);
    return std::move(notes_);
}

void Follower::note(std::string what) {
    const std::lock_guard lock(mutex_);
    if (notes_.size() < notes_max) notes_.push_back(std::move(what));
}

void Follower::note_all(AnalysisRun& run) {
    for (std::string& what : run.take_notes()) note(std::move(what));
}

bool Follower::nap(std::uint64_t ms) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return is_stopping(); });
}

void Follower::work() {
    pthread_setname_np(pthread_self(), "analytics");
    counters_.is_running.set(1);
    while (!is_stopping()) {
        const Status followed = follow();
        if (followed) return;
        counters_.failures.add(1);
        note(followed.error().what);
        if (!nap(retry_ms)) return;
    }
}

Result<std::uint64_t> Follower::journal_id() {
    auto listed = journal::list_segments(journal_);
    if (!listed) return listed.error();
    return listed.value().segments.empty() ? std::uint64_t{0} : listed.value().segments.front().header.journal_id;
}

Status Follower::follow() {
    std::uint64_t id = 0;
    while (id == 0) {
        auto found = journal_id();
        if (!found) return found.error();
        id = found.value();
        if (id == 0 && !nap(nap_ms_max)) return Done{};
    }
    auto store = ResultStore::open(results_);
    if (!store) return store.error();
    AnalyticsConfig config;
    {
        const std::lock_guard lock(mutex_);
        config = config_;
        is_redefined_.store(false, std::memory_order_relaxed);
    }
    checkpoint_ns_ = config.checkpoint_ms * ns_per_ms;
    // Pairs with ingest's release.
    auto opened = AnalysisRun::open(*store.value(), config, {id, durable_.load(std::memory_order_acquire)},
                                    {state_, results_, &counters_.rows, on_news_});
    if (!opened) return opened.error();
    AnalysisRun& run = *opened.value();
    note_all(run);
    auto scanner = run.position() == 0 ? journal::Scanner::open(journal_, {})
                                       : journal::Scanner::open(journal_, {run.position()}, run.previous_crc());
    if (!scanner) return scanner.error();
    if (recent_ != nullptr) scanner.value().read_recent_from(*recent_);
    checkpointed_ = copied_ = monotonic_now();
    counters_.position.set(run.position());
    counted_ = run.serials();
    MonotonicNs came = checkpointed_;
    while (!is_stopping()) {
        if (is_redefined_.load(std::memory_order_relaxed)) {
            {
                const std::lock_guard lock(mutex_);
                config = config_;
                is_redefined_.store(false, std::memory_order_relaxed);
            }
            checkpoint_ns_ = config.checkpoint_ms * ns_per_ms;
            if (auto done = run.redefine(config); !done) return done;
            note_all(run);
        }
        const std::uint64_t durable = durable_.load(std::memory_order_acquire);
        const bool has_more = round_up(run.position(), journal::block_bytes) < durable;
        if (has_more) scanner.value().expect({durable});
        const auto record = has_more ? scanner.value().next() : std::nullopt;
        if (record) {
            // Written is not yet durable: what is ahead waits.
            while (durable_.load(std::memory_order_acquire) < record->end.value) {
                if (!nap(nap_ms_min)) break;
            }
            if (is_stopping()) break;
            if (auto done = run.apply(*record); !done) return done;
            counters_.position.set(run.position());
            counters_.watermark.set(run.engine().watermark());
            counters_.unreadable.set(run.engine().unreadable());
            count(run);
            came = monotonic_now();
        }
        if (auto done = checkpoint_if_due(run); !done) return done;
        if (!record && !run.is_copying()) {
            if (!nap(std::clamp(monotonic_now().since(came) / nap_part / ns_per_ms, nap_ms_min, nap_ms_max))) break;
        }
    }
    if (auto done = run.checkpoint(); !done) return done;
    return run.finish();
}

void Follower::count(const AnalysisRun& run) {
    const std::array<Counter*, result_kinds> counters = {&counters_.windows, &counters_.patterns, &counters_.anomalies,
                                                         &counters_.notices};
    for (std::size_t kind = 0; kind < result_kinds; ++kind) {
        counters[kind]->add(run.serials().last[kind] - counted_.last[kind]);
    }
    counted_ = run.serials();
    counters_.firing.set(run.engine().alerts().firing_count());
}

Status Follower::checkpoint_if_due(AnalysisRun& run) {
    if (run.is_copying()) return copy_some(run);
    const MonotonicNs now = monotonic_now();
    if (now < checkpointed_.plus_ns(checkpoint_ns_) || !run.can_checkpoint()) return Done{};
    checkpointed_ = now;
    run.begin_checkpoint();
    copied_ = monotonic_now();
    copy_ns_ = copied_.since(now);
    return Done{};
}

Status Follower::copy_some(AnalysisRun& run) {
    const MonotonicNs begun = monotonic_now();
    const std::uint64_t ns = std::clamp(begun.since(copied_) / copy_part, copy_ns_min, copy_ns_max);
    do {
        if (auto done = run.copy_some(copy_entries); !done) return done;
        copied_ = monotonic_now();
    } while (run.is_copying() && copied_ < begun.plus_ns(ns));
    copy_ns_ += copied_.since(begun);
    if (run.is_copying()) return Done{};
    counters_.checkpoints.add(1);
    counters_.checkpoint_us.set(copy_ns_ / ns_per_us);
    counters_.state_bytes.set(run.state_bytes());
    return Done{};
}

}  // namespace weir::central
