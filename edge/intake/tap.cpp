#include "edge/intake/tap.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir::edge {
namespace {

// A stage before it found no event in the bytes: there are no fields to read.
bool is_verified(const EventRef& event) {
    return event.verdict == Verdict::admitted ||
           (event.stage != wire::StageId::ingress && event.stage != wire::StageId::decode);
}

// The event as it will be stored: a tap shows no other form, for what is personal is out of that one.
wire::EventView stored_view(const EventRef& event) {
    if (!event.is_edited) return event.view;
    wire::EventView stored;
    return wire::verify_event(event.edited, stored) == wire::Reason::none ? stored : wire::EventView{};
}

}  // namespace

std::string_view text(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::admitted:
            return "admitted";
        case Verdict::duplicate:
            return "duplicate";
        case Verdict::dead_letter:
            return "dead_letter";
        case Verdict::rejected:
            return "rejected";
        case Verdict::shed:
            return "shed";
        case Verdict::waiting:
            return "waiting";
        case Verdict::dropped:
            return "dropped";
    }
    return "unknown";
}

Tap::Tap(rules::RuleSet set, Options options)
    : options_(std::move(options)),
      set_(std::make_unique<rules::RuleSet>(std::move(set))),
      judge_(*set_),
      copies_(tap_places),
      filled_(tap_places),
      free_(tap_places),
      filled_writer_(filled_.take_writer()),
      free_writer_(free_.take_writer()),
      filled_reader_(filled_.take_reader()),
      free_reader_(free_.take_reader()) {
    for (std::uint16_t place = 0; place < tap_places; ++place) {
        const bool is_there = free_writer_.publish(place);
        WEIR_ASSERT(is_there);
    }
}

void Tap::look(std::span<const EventRef> events, MonotonicNs now) noexcept {
    for (const EventRef& event : events) {
        if (event.verdict == Verdict::dropped || event.verdict == Verdict::waiting) continue;
        seen.add(1);
        if (!matches(event)) continue;
        matched.add(1);
        if (shown.get() < options_.limit) show(event, now);
    }
}

bool Tap::matches(const EventRef& event) noexcept {
    static constexpr wire::EventView nothing{};
    const std::string_view lane = event.verdict == Verdict::admitted      ? std::string_view(options_.lanes[event.lane])
                                  : event.verdict == Verdict::dead_letter ? dead_letter_lane_name
                                                                          : std::string_view{};
    judge_.begin({.event = is_verified(event) ? event.view : nothing,
                  .edge = options_.edge_id,
                  .lane = lane,
                  .part = {},
                  .verdict = text(event.verdict),
                  .reason = event.reason == wire::Reason::none ? std::string_view{} : wire::text(event.reason)});
    return judge_.holds(0);
}

void Tap::show(const EventRef& event, MonotonicNs now) noexcept {
    if (now.since(second_at_) >= ns_per_second) {
        second_at_ = now;
        in_second_ = 0;
    }
    if (in_second_ == options_.rate) return over_rate.add(1);
    std::array<std::uint16_t, 1> place;
    if (free_reader_.consume(place) == 0) return lost.add(1);
    copy(event, copies_[place[0]]);
    const bool is_there = filled_writer_.publish(place[0]);
    WEIR_ASSERT(is_there);
    ++in_second_;
    shown.add(1);
}

void Tap::copy(const EventRef& event, TapCopy& into) noexcept {
    std::size_t used = 0;
    const auto keep = [&](std::string_view text) {
        if (!text.empty()) std::memcpy(into.bytes.data() + used, text.data(), text.size());
        const std::string_view kept(into.bytes.data() + used, text.size());
        used += text.size();
        return kept;
    };
    into.verdict = event.verdict;
    into.reason = event.reason;
    into.lane = event.lane;
    into.is_verified = is_verified(event);
    const wire::EventView view = into.is_verified ? stored_view(event) : wire::EventView{};
    const std::string_view payload = view.payload;
    into.priority = view.priority;
    into.time = view.time;
    into.id = keep(view.id);
    into.type = keep(view.type);
    into.source = keep(view.source);
    into.key = keep(view.key);
    into.content_type = keep(view.content_type);
    into.payload_bytes = static_cast<std::uint32_t>(payload.size());
    into.payload = keep(payload.substr(0, tap_payload_bytes_max));
}

}  // namespace weir::edge
