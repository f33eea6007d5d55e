#include "central/analytics/session_windows.hpp"

#include <algorithm>

namespace weir::analytics {

SessionWindows::SessionWindows(const WindowSpec& spec) : spec_(spec) {
    WEIR_ASSERT(fault_of(spec).empty() && spec.length_ns == 0);
}

void SessionWindows::take(const WindowEvent& event, std::vector<WindowResult>& out) {
    ++counts_.events;
    Session added;
    added.first_ns = event.time_ns;
    added.last_ns = event.time_ns;
    added.born = event.ordinal;
    added.aggregate = Aggregate(spec_.aggregate);
    added.aggregate.add(event.sample);
    added.is_late = event.time_ns < watermark_;
    if (added.is_late) ++counts_.late;

    Keys::Slot slot = keys_.find(event.key);
    const bool is_alone = slot == Keys::no_slot || [&] {
        const auto [first, last] = touched(keys_.at(slot), event.time_ns);
        return first == last;
    }();
    if (is_alone && is_gone(added, watermark_)) {
        ++counts_.detached;
        answer(event.key.text(), added, mark_late | mark_detached, out);
        return;
    }
    slot = keys_.touch(event.key, slot);
    const auto [first, last] = touched(keys_.at(slot), event.time_ns);
    join(slot, first, last, std::move(added), out);
    plan(slot);
    // The newest key, whose event this is, stays.
    while (keys_.count() > spec_.keys_max || (sessions_ > spec_.panes_max && keys_.count() > 1))
        evict(keys_.oldest(), out);
}

std::pair<std::size_t, std::size_t> SessionWindows::touched(const Key& key, std::uint64_t time_ns) const {
    const auto& sessions = key.sessions;
    const auto first = std::find_if(sessions.begin(), sessions.end(),
                                    [&](const Session& one) { return time_ns < one.last_ns + spec_.gap_ns; });
    auto last = first;
    while (last != sessions.end() && last->first_ns < time_ns + spec_.gap_ns) ++last;
    return {static_cast<std::size_t>(first - sessions.begin()), static_cast<std::size_t>(last - sessions.begin())};
}

void SessionWindows::join(Keys::Slot slot, std::size_t first, std::size_t last, Session added,
                          std::vector<WindowResult>& out) {
    auto& sessions = keys_.at(slot).sessions;
    if (first == last) {
        sessions.insert(sessions.begin() + static_cast<std::ptrdiff_t>(first), std::move(added));
        ++sessions_;
        return;
    }
    std::size_t oldest = first;
    for (std::size_t at = first; at < last; ++at) {
        if (sessions[at].born < sessions[oldest].born) oldest = at;
    }
    Session whole = std::move(sessions[oldest]);
    const auto take_in = [&](const Session& one) {
        whole.first_ns = std::min(whole.first_ns, one.first_ns);
        whole.last_ns = std::max(whole.last_ns, one.last_ns);
        whole.is_late = whole.is_late || one.is_late;
        whole.aggregate.merge(one.aggregate);
    };
    for (std::size_t at = first; at < last; ++at) {
        if (at == oldest) continue;
        take_in(sessions[at]);
        if (sessions[at].said.version == 0) continue;
        sessions[at].aggregate = Aggregate(spec_.aggregate);
        answer(keys_.key_of(slot), sessions[at], mark_late | mark_merged, out);
    }
    take_in(added);
    whole.is_changed = true;
    sessions[first] = std::move(whole);
    sessions.erase(sessions.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                   sessions.begin() + static_cast<std::ptrdiff_t>(last));
    sessions_ -= last - first - 1;
}

void SessionWindows::answer(std::string_view key, Session& one, std::uint8_t marks, std::vector<WindowResult>& out) {
    WindowResult result = next_version(one.said, one.aggregate.values(spec_.aggregate));
    result.key = key;
    result.start_ns = one.first_ns;
    result.end_ns = end_of(one);
    result.born = one.born;
    result.marks = marks;
    if (one.is_late) result.marks |= mark_late;
    out.push_back(std::move(result));
    one.is_changed = false;
    one.is_late = false;
    ++counts_.results;
}

void SessionWindows::advance(std::uint64_t watermark, std::vector<WindowResult>& out) {
    const std::size_t before = out.size();
    watermark_ = std::max(watermark_, watermark);
    while (!due_.empty() && due_.top().first <= watermark_) {
        const auto [at_ns, slot] = due_.top();
        due_.pop();
        if (keys_.is_used(slot) && keys_.at(slot).next_ns == at_ns) close(slot, watermark_, out);
    }
    sort_results(out, before);
}

void SessionWindows::close(Keys::Slot slot, std::uint64_t watermark, std::vector<WindowResult>& out) {
    Key& key = keys_.at(slot);
    for (Session& one : key.sessions) {
        if (one.is_changed && end_of(one) <= watermark) answer(keys_.key_of(slot), one, 0, out);
    }
    sessions_ -= std::erase_if(key.sessions, [&](const Session& one) { return is_gone(one, watermark); });
    key.next_ns = UINT64_MAX;
    if (key.sessions.empty()) {
        keys_.erase(slot);
    } else {
        plan(slot);
    }
}

void SessionWindows::plan(Keys::Slot slot) {
    Key& key = keys_.at(slot);
    std::uint64_t next_ns = UINT64_MAX;
    for (const Session& one : key.sessions) {
        next_ns = std::min(next_ns, one.is_changed ? end_of(one) : end_of(one) + spec_.lateness_ns);
    }
    // An event that stretches a session leaves the earlier look as it is: it finds nothing, and plans anew.
    if (next_ns >= key.next_ns) return;
    key.next_ns = next_ns;
    due_.emplace(next_ns, slot);
}

void SessionWindows::evict(Keys::Slot slot, std::vector<WindowResult>& out) {
    Key& key = keys_.at(slot);
    for (Session& one : key.sessions) {
        if (one.is_changed) answer(keys_.key_of(slot), one, mark_evicted, out);
    }
    sessions_ -= key.sessions.size();
    keys_.erase(slot);
    ++counts_.evicted;
}

void SessionWindows::save_head(StateWriter& out) const {
    out.put(watermark_);
    analytics::save(counts_, out);
}

void SessionWindows::Key::save(StateWriter& out) const {
    out.put(next_ns);
    out.count(sessions.size());
    for (const Session& one : sessions) {
        out.put(one.first_ns);
        out.put(one.last_ns);
        out.put(one.born);
        out.put(one.said.version);
        out.put(one.said.count);
        out.put(one.said.sum);
        out.put(one.is_changed);
        out.put(one.is_late);
        one.aggregate.save(out);
    }
}

void SessionWindows::load(StateReader& in) {
    sessions_ = 0;
    due_ = {};
    watermark_ = in.get<std::uint64_t>();
    analytics::load(counts_, in);
    keys_.load(in, spec_.keys_max, [&](Key& key) {
        key.next_ns = in.get<std::uint64_t>();
        const std::uint32_t sessions = in.count(SIZE_MAX);
        in.require(sessions > 0);
        for (std::uint32_t index = 0; index < sessions && in.is_ok(); ++index) {
            Session one;
            one.first_ns = in.get<std::uint64_t>();
            one.last_ns = in.get<std::uint64_t>();
            one.born = in.get<std::uint64_t>();
            one.said.version = in.get<std::uint64_t>();
            one.said.count = in.get<std::uint64_t>();
            one.said.sum = in.get<Int128>();
            one.is_changed = in.get<std::uint8_t>() != 0;
            one.is_late = in.get<std::uint8_t>() != 0;
            one.aggregate = Aggregate(spec_.aggregate);
            one.aggregate.load(in);
            in.require(one.first_ns <= one.last_ns);
            in.require(key.sessions.empty() || key.sessions.back().last_ns < one.first_ns);
            key.sessions.push_back(std::move(one));
        }
        sessions_ += sessions;
    });
    keys_.for_each([&](Keys::Slot slot) { due_.emplace(keys_.at(slot).next_ns, slot); });
}

}  // namespace weir::analytics
