#include "central/api/stream_hub.hpp"

#include <chrono>
#include <utility>

namespace weir::central {

class StreamHub::Client final : public control::AdminStream {
  public:
    explicit Client(StreamHub& hub) : hub_(hub) {
        {
            // Under the lock: the collector has either seen it or is waiting.
            const std::lock_guard lock(hub_.mutex_);
            hub_.clients_.fetch_add(1, std::memory_order_relaxed);
        }
        hub_.changed_.notify_all();
    }
    ~Client() override { hub_.clients_.fetch_sub(1, std::memory_order_relaxed); }

    Text take() override {
        std::shared_ptr<const Moment> now;
        Text beat;
        std::uint64_t beat_number = 0;
        {
            const std::lock_guard lock(hub_.mutex_);
            now = hub_.moment_;
            beat = hub_.beat_;
            beat_number = hub_.beat_number_;
        }
        if (!now) return nullptr;
        if (now->head.sequence == told_) {
            if (std::exchange(beat_number_, beat_number) == beat_number) return nullptr;
            hub_.counters_.beats.add(1);
            return counted(beat);
        }
        const bool follows_on = told_ != 0 && now->delta && now->head.base == told_;
        told_ = now->head.sequence;
        beat_number_ = beat_number;
        if (follows_on) {
            hub_.counters_.deltas.add(1);
            return counted(now->delta);
        }
        if (!now->whole) now->whole = std::make_shared<const std::string>(state_text(*now->state, now->head));
        hub_.counters_.states.add(1);
        return counted(now->whole);
    }

  private:
    [[nodiscard]] Text counted(const Text& text) {
        hub_.counters_.bytes.add(text->size());
        return text;
    }
    StreamHub& hub_;
    std::uint64_t told_ = 0;  // sequence; 0: nothing yet
    std::uint64_t beat_number_ = 0;
};

std::unique_ptr<control::AdminStream> StreamHub::open() {
    return std::make_unique<Client>(*this);
}

bool StreamHub::publish(StreamState state, WallNs now) {
    std::shared_ptr<const Moment> before;
    {
        const std::lock_guard lock(mutex_);
        before = moment_;
    }
    auto next = std::make_shared<Moment>();
    next->head = {.sequence = sequence_ + 1,
                  .base = before ? before->head.sequence : 0,
                  .now = now,
                  .pushes_per_second = pushes_per_second_};
    if (before) {
        auto delta = delta_text(*before->state, state, next->head);
        if (!delta) return false;
        counters_.delta_bytes.add(delta->size());
        next->delta = std::make_shared<const std::string>(std::move(*delta));
    }
    next->state = std::make_shared<const StreamState>(std::move(state));
    ++sequence_;
    counters_.published.add(1);
    const std::lock_guard lock(mutex_);
    moment_ = std::move(next);
    return true;
}

void StreamHub::beat(WallNs now) {
    const std::lock_guard lock(mutex_);
    beat_ = std::make_shared<const std::string>(beat_text(sequence_, now));
    ++beat_number_;
}

void StreamHub::clear() {
    const std::lock_guard lock(mutex_);
    moment_.reset();
}

void StreamHub::wait(std::uint64_t ms) {
    std::unique_lock lock(mutex_);
    const bool was_empty = client_count() == 0;
    changed_.wait_for(lock, std::chrono::milliseconds(ms),
                      [&] { return is_stopping_ || (was_empty && client_count() != 0); });
}

void StreamHub::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    changed_.notify_all();
}

}  // namespace weir::central
