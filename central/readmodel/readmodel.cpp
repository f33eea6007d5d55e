#include "central/readmodel/readmodel.hpp"

#include <algorithm>

#include "core/wire/event.hpp"

namespace weir::central {

ReadModel::ReadModel(std::uint32_t types_max, std::uint32_t minutes_max)
    : types_max_(types_max), minutes_max_(minutes_max) {}

void ReadModel::apply(const wire::BatchHeader& header, ConstBytes body, WallNs arrival, Position end) {
    const std::lock_guard lock(mutex_);
    counts_.position = end.value;
    if (header.kind != wire::BatchKind::events) return;
    EdgeCounts& edge = edge_of(wire::name_of(header.edge_id));
    wire::for_each_frame(body, [&](const wire::FrameView& frame, std::uint32_t) {
        wire::EventView event;
        if (wire::verify_event(frame.body, event) != wire::Reason::none) {
            ++counts_.unreadable;
            return;
        }
        const std::size_t index = type_of(event.type);
        TypeCounts& type = counts_.types[index];
        ++counts_.events;
        ++type.events;
        ++edge.events;
        if (edge.by_type.size() <= index) edge.by_type.resize(index + 1);
        ++edge.by_type[index];
        // An event that does not say its time counts in the minute of its arrival, which the journal keeps too.
        count_minute(type, (event.time.value != 0 ? event.time.value : arrival.value) / minute_ns);
    });
}

ReadSnapshot ReadModel::snapshot() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

ReadSnapshot ReadModel::totals() const {
    const std::lock_guard lock(mutex_);
    ReadSnapshot told{.position = counts_.position,
                      .events = counts_.events,
                      .unreadable = counts_.unreadable,
                      .types = {},
                      .edges = counts_.edges};
    told.types.reserve(counts_.types.size());
    for (const TypeCounts& type : counts_.types) told.types.push_back({type.type, type.events, type.older, {}});
    return told;
}

std::size_t ReadModel::type_of(std::string_view type) {
    if (const auto found = types_.find(type); found != types_.end()) return found->second;
    // The last place is kept for all the types that have none.
    const bool is_full = counts_.types.size() + 1 >= types_max_;
    if (is_full && type != "other") return type_of("other");
    counts_.types.push_back({.type = std::string(type), .events = 0, .older = 0, .minutes = {}});
    types_.emplace(std::string(type), counts_.types.size() - 1);
    return counts_.types.size() - 1;
}

EdgeCounts& ReadModel::edge_of(std::string_view edge) {
    if (const auto found = edges_.find(edge); found != edges_.end()) return counts_.edges[found->second];
    counts_.edges.push_back({.edge = std::string(edge), .events = 0, .by_type = {}});
    edges_.emplace(std::string(edge), counts_.edges.size() - 1);
    return counts_.edges.back();
}

void ReadModel::count_minute(TypeCounts& type, std::uint64_t minute) const {
    auto& minutes = type.minutes;
    if (!minutes.empty() && minutes.back().minute == minute) {
        ++minutes.back().events;
        return;
    }
    auto at = std::lower_bound(minutes.begin(), minutes.end(), minute,
                               [](const MinuteCount& one, std::uint64_t wanted) { return one.minute < wanted; });
    if (at != minutes.end() && at->minute == minute) {
        ++at->events;
        return;
    }
    if (minutes.size() == minutes_max_) {
        if (at == minutes.begin()) {
            ++type.older;
            return;
        }
        type.older += minutes.front().events;
        const auto place = at - minutes.begin() - 1;
        minutes.erase(minutes.begin());
        at = minutes.begin() + place;
    }
    minutes.insert(at, {minute, 1});
}

}  // namespace weir::central
