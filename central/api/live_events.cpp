#include "central/api/live_events.hpp"

#include <algorithm>
#include <utility>

#include "central/api/event_text.hpp"
#include "central/api/json_text.hpp"
#include "central/api/query.hpp"
#include "core/base/clock.hpp"
#include "core/control/tool_output.hpp"

namespace weir::central {

class LiveEvents::Client final : public control::AdminStream {
  public:
    Client(LiveEvents& live, std::shared_ptr<Queue> queue) : live_(live), queue_(std::move(queue)) {}
    ~Client() override {
        const std::lock_guard lock(live_.mutex_);
        std::erase(live_.queues_, queue_);
        live_.count_.store(static_cast<std::uint32_t>(live_.queues_.size()), std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint32_t group() const override { return wake_group; }

    Text take() override {
        const std::lock_guard lock(live_.mutex_);
        const bool has_beat = std::exchange(queue_->wants_beat, false);
        if (!queue_->events.empty()) {
            const std::string events = '[' + std::exchange(queue_->events, {}) + ']';
            return made(head("events", ++sequence_).raw("events", events).end());
        }
        if (queue_->dropped != 0) {
            return made(head("gap", ++sequence_).number("dropped", std::exchange(queue_->dropped, 0)).end());
        }
        return has_beat ? made(head("beat", sequence_).end()) : nullptr;
    }

  private:
    [[nodiscard]] ObjectText head(std::string_view type, std::uint64_t sequence) const {
        ObjectText text;
        text.text("type", type).number("sequence", sequence).number("now_ms", wall_now().value / ns_per_ms);
        text.number("position", live_.position_);
        return text;
    }
    [[nodiscard]] static Text made(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

    LiveEvents& live_;
    std::shared_ptr<Queue> queue_;
    std::uint64_t sequence_ = 0;
};

std::unique_ptr<control::AdminStream> LiveEvents::open(EventFilter filter, std::uint64_t from) {
    const std::lock_guard lock(mutex_);
    if (queues_.size() >= options_.clients_max) return nullptr;
    auto queue = std::make_shared<Queue>();
    queue->filter = std::move(filter);
    queue->from = from;
    queues_.push_back(queue);
    count_.store(static_cast<std::uint32_t>(queues_.size()), std::memory_order_relaxed);
    return std::make_unique<Client>(*this, std::move(queue));
}

void LiveEvents::take(const journal::RecordView& record) {
    if (client_count() == 0) return;
    const std::lock_guard lock(mutex_);
    position_ = record.end.value;
    if (record.batch_header.kind != wire::BatchKind::events || !control::is_plain(record)) return;
    for (const auto& queue : queues_) {
        if (record.position.value >= queue->from) offer(*queue, record);
    }
}

void LiveEvents::offer(Queue& queue, const journal::RecordView& record) {
    const wire::BatchHeader& batch = record.batch_header;
    const EventFilter& filter = queue.filter;
    if (!agrees(filter.edge, wire::name_of(batch.edge_id)) || !agrees(filter.lane, wire::name_of(batch.lane_name))) {
        return;
    }
    wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
        wire::EventView event;
        if (frame.header.kind != wire::FrameKind::event) return;
        if (wire::verify_event(frame.body, event) != wire::Reason::none) return;
        if (!agrees(filter.type, event.type) || !agrees(filter.key, event.key)) return;
        has_news_ = true;
        // The frame's bytes are no more than its text's: what cannot fit is not even written.
        const bool has_room = queue.events.size() + frame.body.size() < options_.queue_bytes;
        if (queue.dropped != 0 || !has_room) {
            ++queue.dropped;
            dropped_.add(1);
            return;
        }
        const std::size_t before = queue.events.size();
        if (before != 0) queue.events += ',';
        append_event(event, record, batch.first_sequence + index, queue.events);
        if (queue.events.size() > options_.queue_bytes) {
            queue.events.resize(before);
            ++queue.dropped;
            dropped_.add(1);
            return;
        }
        told_.add(1);
    });
}

void LiveEvents::look(MonotonicNs now) {
    if (client_count() == 0) return;
    const bool is_beat = now.since(beaten_) >= options_.beat_ms * ns_per_ms;
    if (is_beat) {
        beaten_ = now;
        const std::lock_guard lock(mutex_);
        for (const auto& queue : queues_) queue->wants_beat = true;
    }
    if ((std::exchange(has_news_, false) || is_beat) && wake_) wake_();
}

}  // namespace weir::central
