#include "central/analytics/pane_windows.hpp"

#include <algorithm>

namespace weir::analytics {

PaneWindows::PaneWindows(const WindowSpec& spec) : spec_(spec) {
    WEIR_ASSERT(fault_of(spec).empty() && spec.length_ns > 0);
}

void PaneWindows::take(const WindowEvent& event, std::vector<WindowResult>& out) {
    ++counts_.events;
    const std::uint64_t start_ns = event.time_ns / spec_.step_ns * spec_.step_ns;
    const std::uint64_t first_end = start_ns + spec_.step_ns;
    const std::uint64_t final_end = start_ns + spec_.length_ns;
    const Keys::Slot found = keys_.find(event.key);
    const std::uint64_t spread_ns = found != Keys::no_slot ? keys_.at(found).spread_ns : spread_of(event.key.text());
    const std::uint64_t watermark = late_by(watermark_, spread_ns);
    if (first_end <= watermark) ++counts_.late;
    std::uint64_t end_ns = first_end;
    for (; end_ns <= final_end && end_ns + spec_.lateness_ns <= watermark; end_ns += spec_.step_ns)
        detach(event, end_ns, out);
    if (end_ns > final_end) return;

    const Keys::Slot slot = keys_.touch(event.key, found);
    Key& key = keys_.at(slot);
    key.spread_ns = spread_ns;
    pane_of(key, event).aggregate.add(event.sample);
    for (; end_ns <= final_end && end_ns <= watermark; end_ns += spec_.step_ns) {
        answered_at(key, end_ns).is_due = true;
        if (!key.is_due) corrections_.push_back(slot);
        key.is_due = true;
    }
    plan(slot);
    make_room(out);
}

void PaneWindows::fetch_key(const HashedKey& key) const {
    if (const Keys::Slot slot = keys_.likely(key); slot != Keys::no_slot) keys_.fetch_entry(slot);
}

void PaneWindows::fetch_pane(const HashedKey& key) const {
    const Keys::Slot slot = keys_.likely(key);
    if (slot == Keys::no_slot || keys_.at(slot).panes.empty()) return;
    const auto* bytes = reinterpret_cast<const char*>(&keys_.at(slot).panes.back());
    for (std::size_t at = 0; at < sizeof(Pane); at += 64) __builtin_prefetch(bytes + at, 1);
}

PaneWindows::Pane& PaneWindows::pane_of(Key& key, const WindowEvent& event) {
    const std::uint64_t start_ns = event.time_ns / spec_.step_ns * spec_.step_ns;
    auto& panes = key.panes;
    if (!panes.empty() && panes.back().start_ns == start_ns) return panes.back();
    const auto at = std::lower_bound(panes.begin(), panes.end(), start_ns,
                                     [](const Pane& one, std::uint64_t wanted) { return one.start_ns < wanted; });
    if (at != panes.end() && at->start_ns == start_ns) return *at;
    ++panes_;
    return *panes.insert(at, {start_ns, event.ordinal, Aggregate(spec_.aggregate)});
}

void PaneWindows::detach(const WindowEvent& event, std::uint64_t end_ns, std::vector<WindowResult>& out) {
    Aggregate alone(spec_.aggregate);
    alone.add(event.sample);
    Said said;
    WindowResult result = next_version(said, alone.values(spec_.aggregate));
    result.key = event.key.text();
    result.start_ns = start_of(end_ns);
    result.end_ns = end_ns;
    result.born = event.ordinal;
    result.marks = mark_late | mark_detached;
    out.push_back(std::move(result));
    ++counts_.detached;
    ++counts_.results;
}

PaneWindows::Answered& PaneWindows::answered_at(Key& key, std::uint64_t end_ns) {
    auto& answered = key.answered;
    const auto at = std::lower_bound(answered.begin(), answered.end(), end_ns,
                                     [](const Answered& one, std::uint64_t wanted) { return one.end_ns < wanted; });
    if (at != answered.end() && at->end_ns == end_ns) return *at;
    Answered made;
    made.end_ns = end_ns;
    return *answered.insert(at, made);
}

bool PaneWindows::answer(Keys::Slot slot, std::uint64_t end_ns, std::uint8_t marks, std::vector<WindowResult>& out) {
    Key& key = keys_.at(slot);
    const auto inside = [&](const Pane& pane) {
        return pane.start_ns + spec_.length_ns >= end_ns && pane.start_ns < end_ns;
    };
    const auto first = std::find_if(key.panes.begin(), key.panes.end(), inside);
    if (first == key.panes.end()) return false;
    Aggregate whole(spec_.aggregate);
    std::uint64_t born = first->born;
    for (auto at = first; at != key.panes.end() && inside(*at); ++at) {
        whole.merge(at->aggregate);
        born = std::min(born, at->born);
    }
    Answered& answered = answered_at(key, end_ns);
    if (answered.said.version == 0) answered.born = born;
    answered.is_due = false;
    WindowResult result = next_version(answered.said, whole.values(spec_.aggregate));
    result.key = keys_.key_of(slot);
    result.start_ns = start_of(end_ns);
    result.end_ns = end_ns;
    result.born = answered.born;
    result.marks = marks;
    out.push_back(std::move(result));
    ++counts_.results;
    return true;
}

void PaneWindows::advance(std::uint64_t watermark, std::vector<WindowResult>& out) {
    const std::size_t before = out.size();
    correct(out);
    if (watermark > watermark_) {
        while (!due_.empty() && due_.top().first <= watermark) {
            const auto [at_ns, slot] = due_.top();
            due_.pop();
            if (!keys_.is_used(slot)) continue;
            const Key& key = keys_.at(slot);
            if (key.next_ns + key.spread_ns == at_ns) close(slot, late_by(watermark, key.spread_ns), out);
        }
        watermark_ = watermark;
    }
    sort_results(out, before);
}

void PaneWindows::correct(std::vector<WindowResult>& out) {
    for (const Keys::Slot slot : corrections_) {
        if (!keys_.is_used(slot)) continue;
        keys_.at(slot).is_due = false;
        std::vector<std::uint64_t> ends;
        for (const Answered& one : keys_.at(slot).answered) {
            if (one.is_due) ends.push_back(one.end_ns);
        }
        for (const std::uint64_t end_ns : ends) WEIR_ASSERT(answer(slot, end_ns, mark_late, out));
    }
    corrections_.clear();
}

void PaneWindows::close(Keys::Slot slot, std::uint64_t watermark, std::vector<WindowResult>& out) {
    Key& key = keys_.at(slot);
    for (std::uint64_t end_ns = next_end(key, watermark_of(key)); end_ns <= watermark; end_ns = next_end(key, end_ns)) {
        answer(slot, end_ns, 0, out);
    }
    const auto is_gone = [&](std::uint64_t end_ns) { return end_ns + spec_.lateness_ns <= watermark; };
    std::erase_if(key.answered, [&](const Answered& one) { return is_gone(one.end_ns); });
    panes_ -= std::erase_if(key.panes, [&](const Pane& one) { return is_gone(last_end(one)); });
    if (key.panes.empty()) {
        keys_.erase(slot);
        return;
    }
    std::uint64_t next_ns = std::min(next_end(key, watermark), last_end(key.panes.front()) + spec_.lateness_ns);
    if (!key.answered.empty()) next_ns = std::min(next_ns, key.answered.front().end_ns + spec_.lateness_ns);
    plan_at(slot, next_ns);
}

std::uint64_t PaneWindows::next_end(const Key& key, std::uint64_t above_ns) const {
    // Panes are in order, and so are the windows over them: the first pane with a window above is in the nearest one.
    const auto at =
        std::find_if(key.panes.begin(), key.panes.end(), [&](const Pane& one) { return last_end(one) > above_ns; });
    if (at == key.panes.end()) return UINT64_MAX;
    return std::max(at->start_ns + spec_.step_ns, above_ns / spec_.step_ns * spec_.step_ns + spec_.step_ns);
}

void PaneWindows::plan(Keys::Slot slot) {
    Key& key = keys_.at(slot);
    const std::uint64_t next_ns =
        std::min(next_end(key, watermark_of(key)), last_end(key.panes.front()) + spec_.lateness_ns);
    if (next_ns < key.next_ns) plan_at(slot, next_ns);
}

void PaneWindows::plan_at(Keys::Slot slot, std::uint64_t next_ns) {
    Key& key = keys_.at(slot);
    key.next_ns = next_ns;
    due_.emplace(next_ns + key.spread_ns, slot);
}

void PaneWindows::make_room(std::vector<WindowResult>& out) {
    // The newest key, whose event this is, stays.
    while (keys_.count() > spec_.keys_max || (panes_ > spec_.panes_max && keys_.count() > 1))
        evict(keys_.oldest(), out);
}

void PaneWindows::evict(Keys::Slot slot, std::vector<WindowResult>& out) {
    Key& key = keys_.at(slot);
    std::vector<std::uint64_t> ends;
    for (const Answered& one : key.answered) {
        if (one.is_due) ends.push_back(one.end_ns);
    }
    const std::uint64_t watermark = watermark_of(key);
    for (std::uint64_t end_ns = next_end(key, watermark); end_ns != UINT64_MAX; end_ns = next_end(key, end_ns)) {
        ends.push_back(end_ns);
    }
    for (const std::uint64_t end_ns : ends) {
        const std::uint8_t late = end_ns <= watermark ? mark_late : std::uint8_t{0};
        WEIR_ASSERT(answer(slot, end_ns, static_cast<std::uint8_t>(late | mark_evicted), out));
    }
    panes_ -= key.panes.size();
    keys_.erase(slot);
    ++counts_.evicted;
}

void PaneWindows::save_head(StateWriter& out) const {
    WEIR_ASSERT(corrections_.empty());  // between records
    out.put(watermark_);
    analytics::save(counts_, out);
}

void PaneWindows::Key::save(StateWriter& out) const {
    out.put(next_ns);
    out.count(panes.size());
    for (const Pane& pane : panes) {
        out.put(pane.start_ns);
        out.put(pane.born);
        pane.aggregate.save(out);
    }
    out.count(answered.size());
    for (const Answered& one : answered) {
        out.put(one.end_ns);
        out.put(one.born);
        out.put(one.said.version);
        out.put(one.said.count);
        out.put(one.said.sum);
    }
}

void PaneWindows::load(StateReader& in) {
    panes_ = 0;
    due_ = {};
    corrections_.clear();
    watermark_ = in.get<std::uint64_t>();
    analytics::load(counts_, in);
    keys_.load(in, spec_.keys_max, [&](Key& key) {
        key.next_ns = in.get<std::uint64_t>();
        const std::uint32_t panes = in.count(spec_.panes_max);
        in.require(panes > 0);
        for (std::uint32_t index = 0; index < panes && in.is_ok(); ++index) {
            Pane pane{in.get<std::uint64_t>(), in.get<std::uint64_t>(), Aggregate(spec_.aggregate)};
            pane.aggregate.load(in);
            in.require(pane.start_ns % spec_.step_ns == 0);
            in.require(key.panes.empty() || key.panes.back().start_ns < pane.start_ns);
            key.panes.push_back(std::move(pane));
        }
        panes_ += panes;
        const std::uint32_t answered = in.count(SIZE_MAX);
        for (std::uint32_t index = 0; index < answered && in.is_ok(); ++index) {
            Answered one;
            one.end_ns = in.get<std::uint64_t>();
            one.born = in.get<std::uint64_t>();
            one.said.version = in.get<std::uint64_t>();
            one.said.count = in.get<std::uint64_t>();
            one.said.sum = in.get<Int128>();
            in.require(key.answered.empty() || key.answered.back().end_ns < one.end_ns);
            key.answered.push_back(one);
        }
    });
    keys_.for_each([&](Keys::Slot slot) {
        keys_.at(slot).spread_ns = spread_of(keys_.key_of(slot));
        plan_at(slot, keys_.at(slot).next_ns);
    });
}

}  // namespace weir::analytics
