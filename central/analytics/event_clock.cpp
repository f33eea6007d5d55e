#include "central/analytics/event_clock.hpp"

#include <algorithm>

namespace weir::analytics {
namespace {

constexpr std::size_t source_bytes_max = 256;

std::int64_t pace_of(std::uint64_t time_ns, std::uint64_t running_ns) {
    return static_cast<std::int64_t>(time_ns) - static_cast<std::int64_t>(running_ns);
}

}  // namespace

void EventClock::arrive(WallNs arrival) {
    // The first record starts the count; a step back counts nothing.
    if (arrival_ns_ != 0 && arrival.value > arrival_ns_) {
        running_ns_ += std::min(arrival.value - arrival_ns_, spec_.step_ns_max);
    }
    arrival_ns_ = arrival.value;
}

EventClock::Dated EventClock::date(std::string_view source, WallNs said) {
    if (said.value == 0) {
        ++counts_.unsaid;
        return {arrival_ns_, Dating::by_arrival_unsaid};
    }
    if (said.value > arrival_ns_ && said.value - arrival_ns_ > spec_.future_ns_max) {
        ++counts_.future;
        return {arrival_ns_, Dating::by_arrival_future};
    }
    Source& one = source_of(source);
    if (said.value == one.latest_ns && running_ns_ - one.moved_running_ns > spec_.standing_ns_max) {
        ++counts_.standing;
        return {arrival_ns_, Dating::by_arrival_standing};
    }
    if (said.value > one.latest_ns) move(one, said.value);
    return {said.value, Dating::as_said};
}

void EventClock::move(Source& source, std::uint64_t time_ns) {
    const std::int64_t pace = pace_of(time_ns, running_ns_);
    const bool comes_back = !source.keeps_pace && complete_to(time_ns) >= watermark_;
    source.latest_ns = time_ns;
    source.moved_running_ns = running_ns_;
    // The pace before it fell behind may have been that of a clock set wrong: it starts anew.
    source.pace_best_ns = comes_back ? pace : std::max(source.pace_best_ns, pace);
    source.keeps_pace = source.keeps_pace || comes_back;
}

EventClock::Source& EventClock::source_of(std::string_view name) {
    const auto by_name = [](const Source& one, std::string_view wanted) { return one.name < wanted; };
    auto at = std::lower_bound(sources_.begin(), sources_.end(), name, by_name);
    if (at != sources_.end() && at->name == name) return *at;
    if (sources_.size() >= spec_.sources_max) {
        ++counts_.sources_forgotten;
        sources_.erase(std::min_element(sources_.begin(), sources_.end(), [](const Source& a, const Source& b) {
            return a.moved_running_ns < b.moved_running_ns;
        }));
        at = std::lower_bound(sources_.begin(), sources_.end(), name, by_name);
    }
    Source made;
    made.name = name;
    made.pace_best_ns = INT64_MIN;
    made.waits_since_ns = UINT64_MAX;
    return *sources_.insert(at, std::move(made));
}

bool EventClock::holds(Source& source) {
    const std::int64_t behind = source.pace_best_ns - pace_of(source.latest_ns, running_ns_);
    if (behind > static_cast<std::int64_t>(spec_.idle_ns_max)) source.keeps_pace = false;
    if (!source.keeps_pace) return false;
    if (complete_to(source.latest_ns) >= watermark_) {
        source.waits_since_ns = UINT64_MAX;
        return true;
    }
    source.waits_since_ns = std::min(source.waits_since_ns, running_ns_);
    return running_ns_ - source.waits_since_ns <= spec_.join_ns_max;
}

std::uint64_t EventClock::advance() {
    std::uint64_t held_at = UINT64_MAX;  // by the sources that hold it
    std::uint64_t alone = 0;             // where it would be if none did
    for (Source& one : sources_) {
        if (one.latest_ns == 0) continue;
        const std::uint64_t complete = complete_to(one.latest_ns);
        if (holds(one)) held_at = std::min(held_at, complete);
        alone = std::max(alone, complete + (running_ns_ - one.moved_running_ns));
    }
    if (alone == 0) alone = complete_to(arrival_ns_);  // nobody's clock is known
    // Whatever a source's clock did before, nothing is complete that has not begun.
    alone = std::min(alone, complete_to(arrival_ns_ + spec_.future_ns_max));
    watermark_ = std::max(watermark_, held_at != UINT64_MAX ? held_at : alone);
    return watermark_;
}

void EventClock::save(StateWriter& out) const {
    out.put(arrival_ns_);
    out.put(running_ns_);
    out.put(watermark_);
    out.put(counts_.unsaid);
    out.put(counts_.future);
    out.put(counts_.standing);
    out.put(counts_.sources_forgotten);
    out.count(sources_.size());
    for (const Source& one : sources_) {
        out.text(one.name);
        out.put(one.latest_ns);
        out.put(one.moved_running_ns);
        out.put(one.pace_best_ns);
        out.put(one.waits_since_ns);
        out.put(one.keeps_pace);
    }
}

void EventClock::load(StateReader& in) {
    arrival_ns_ = in.get<std::uint64_t>();
    running_ns_ = in.get<std::uint64_t>();
    watermark_ = in.get<std::uint64_t>();
    counts_.unsaid = in.get<std::uint64_t>();
    counts_.future = in.get<std::uint64_t>();
    counts_.standing = in.get<std::uint64_t>();
    counts_.sources_forgotten = in.get<std::uint64_t>();
    sources_.clear();
    const std::uint32_t count = in.count(spec_.sources_max);
    for (std::uint32_t index = 0; index < count && in.is_ok(); ++index) {
        Source one;
        one.name = in.text(source_bytes_max);
        one.latest_ns = in.get<std::uint64_t>();
        one.moved_running_ns = in.get<std::uint64_t>();
        one.pace_best_ns = in.get<std::int64_t>();
        one.waits_since_ns = in.get<std::uint64_t>();
        one.keeps_pace = in.get<std::uint8_t>() != 0;
        in.require(sources_.empty() || sources_.back().name < one.name);
        in.require(one.moved_running_ns <= running_ns_);
        sources_.push_back(std::move(one));
    }
}

}  // namespace weir::analytics
