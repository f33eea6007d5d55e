#include "central/analytics/pattern_machine.hpp"

#include <algorithm>
#include <tuple>

namespace weir::analytics {
namespace {

bool is_later(const PatternEvent& left, const PatternEvent& right) {
    return std::tie(left.time_ns, left.ordinal) > std::tie(right.time_ns, right.ordinal);
}

}  // namespace

PatternMachine::PatternMachine(std::vector<PatternStep> steps, std::uint64_t within_ns, const PatternLimits& limits)
    : steps_(std::move(steps)), within_ns_(within_ns), limits_(limits) {
    WEIR_ASSERT(!steps_.empty() && !steps_.front().elements.empty());
    WEIR_ASSERT(limits.keys_max > 0 && limits.runs_per_key_max > 0);
}

void PatternMachine::take(PatternEvent event, std::vector<PatternMatch>& out) {
    ++counts_.events;
    if (event.time_ns < taken_to_ns_) {
        ++counts_.late;
        return;
    }
    waiting_.push_back(std::move(event));
    std::push_heap(waiting_.begin(), waiting_.end(), is_later);
    if (waiting_.size() <= limits_.waiting_max) return;
    ++counts_.hurried;
    take_earliest(out);
}

void PatternMachine::advance(std::uint64_t watermark, std::vector<PatternMatch>& out) {
    while (!waiting_.empty() && waiting_.front().time_ns < watermark) take_earliest(out);
    end_runs(watermark, out);
    taken_to_ns_ = std::max(taken_to_ns_, watermark);
}

void PatternMachine::take_earliest(std::vector<PatternMatch>& out) {
    std::pop_heap(waiting_.begin(), waiting_.end(), is_later);
    const PatternEvent event = std::move(waiting_.back());
    waiting_.pop_back();
    taken_to_ns_ = std::max(taken_to_ns_, event.time_ns);
    end_runs(event.time_ns, out);
    ++turn_;
    step(event, out);
}

void PatternMachine::end_runs(std::uint64_t now_ns, std::vector<PatternMatch>& out) {
    while (!deadlines_.empty() && deadlines_.top().at_ns < now_ns) {
        const Deadline due = deadlines_.top();
        deadlines_.pop();
        if (!keys_.is_used(due.slot)) continue;
        auto& runs = keys_.at(due.slot).runs;
        const auto found =
            std::find_if(runs.begin(), runs.end(), [&](const Run& one) { return one.begun == due.begun; });
        if (found == runs.end()) continue;
        const Run run = *found;
        if (steps_[run.step].elements.empty()) {
            complete(due.slot, run, due.at_ns, out);
        } else {
            runs.erase(found);
        }
        if (runs.empty()) keys_.erase(due.slot);
    }
}

void PatternMachine::step(const PatternEvent& event, std::vector<PatternMatch>& out) {
    const HashedKey key(event.key);
    Keys::Slot slot = keys_.find(key);
    if (slot != Keys::no_slot) {
        auto& runs = keys_.at(slot).runs;
        for (std::size_t at = 0; at < runs.size();) {
            const Turn turn = move(runs[at], event);
            if (turn == Turn::complete) {
                complete(slot, runs[at], event.time_ns, out);
                if (runs.empty()) keys_.erase(slot);
                return;
            }
            if (turn == Turn::ended) {
                runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(at));
            } else {
                ++at;
            }
        }
        if (runs.empty()) keys_.erase(slot);
    }
    auto run = begin(event);
    if (!run) return;
    slot = keys_.touch(key);
    if (run->step == steps_.size()) {
        complete(slot, *run, event.time_ns, out);
        if (keys_.at(slot).runs.empty()) keys_.erase(slot);
        return;
    }
    auto& runs = keys_.at(slot).runs;
    if (runs.size() == limits_.runs_per_key_max) {
        give_up(keys_.key_of(slot), runs.front(), out);
        runs.erase(runs.begin());
    }
    deadlines_.push({deadline_of(*run), run->begun, slot});
    runs.push_back(*std::move(run));
    if (keys_.count() <= limits_.keys_max) return;
    const Keys::Slot oldest = keys_.oldest();
    for (Run& one : keys_.at(oldest).runs) give_up(keys_.key_of(oldest), one, out);
    keys_.erase(oldest);
}

PatternMachine::Turn PatternMachine::move(Run& run, const PatternEvent& event) const {
    const PatternStep& step = steps_[run.step];
    if ((event.conditions & step.guards) != 0) return Turn::ended;
    bool is_used = false;
    bool is_done = true;
    for (std::size_t at = 0; at < step.elements.size(); ++at) {
        const PatternElement& element = step.elements[at];
        // An event counts once: for the first element that still wants it.
        if (!is_used && run.counts.at(at) < element.count && (event.conditions >> element.condition & 1U) != 0) {
            ++run.counts.at(at);
            is_used = true;
        }
        is_done = is_done && run.counts.at(at) == element.count;
    }
    if (!is_used) return Turn::unmoved;
    run.last = turn_;
    run.match.last_ordinal = event.ordinal;
    if (!is_done) return Turn::moved;
    run.counts = {};
    return ++run.step == steps_.size() ? Turn::complete : Turn::moved;
}

std::optional<PatternMachine::Run> PatternMachine::begin(const PatternEvent& event) const {
    Run run;
    run.begun = turn_;
    run.match.start_ns = event.time_ns;
    run.match.first_ordinal = event.ordinal;
    const Turn turn = move(run, event);
    if (turn == Turn::unmoved || turn == Turn::ended) return std::nullopt;
    return run;
}

void PatternMachine::complete(Keys::Slot slot, Run run, std::uint64_t end_ns, std::vector<PatternMatch>& out) {
    run.match.key = keys_.key_of(slot);
    run.match.end_ns = end_ns;
    std::erase_if(keys_.at(slot).runs, [&](const Run& one) { return one.begun <= run.last; });
    out.push_back(std::move(run.match));
    ++counts_.matches;
}

void PatternMachine::give_up(const std::string& key, Run& run, std::vector<PatternMatch>& out) {
    run.match.key = key;
    run.match.end_ns = taken_to_ns_;
    run.match.is_given_up = true;
    out.push_back(std::move(run.match));
    ++counts_.given_up;
}

void PatternMachine::save_head(StateWriter& out) const {
    out.put(taken_to_ns_);
    out.put(turn_);
    for (const std::uint64_t one : {counts_.events, counts_.late, counts_.hurried, counts_.given_up, counts_.matches})
        out.put(one);
    std::vector<PatternEvent> waiting = waiting_;
    std::sort(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) { return is_later(b, a); });
    out.count(waiting.size());
    for (const PatternEvent& event : waiting) {
        out.put(event.time_ns);
        out.put(event.ordinal);
        out.text(event.key);
        out.put(event.conditions);
    }
}

void PatternMachine::Key::save(StateWriter& out) const {
    out.count(runs.size());
    for (const Run& run : runs) {
        out.put(run.begun);
        out.put(run.last);
        out.put(run.match.start_ns);
        out.put(run.match.first_ordinal);
        out.put(run.match.last_ordinal);
        out.put(run.step);
        for (const std::uint16_t count : run.counts) out.put(count);
    }
}

void PatternMachine::load(StateReader& in) {
    taken_to_ns_ = in.get<std::uint64_t>();
    turn_ = in.get<std::uint64_t>();
    for (std::uint64_t* one : {&counts_.events, &counts_.late, &counts_.hurried, &counts_.given_up, &counts_.matches}) {
        *one = in.get<std::uint64_t>();
    }
    waiting_.clear();
    deadlines_ = {};
    const std::uint32_t waiting = in.count(limits_.waiting_max);
    for (std::uint32_t index = 0; index < waiting && in.is_ok(); ++index) {
        PatternEvent event;
        event.time_ns = in.get<std::uint64_t>();
        event.ordinal = in.get<std::uint64_t>();
        event.key = in.text(key_bytes_max);
        event.conditions = in.get<std::uint32_t>();
        waiting_.push_back(std::move(event));  // ascending: a heap as it is
    }
    in.require(std::is_heap(waiting_.begin(), waiting_.end(), is_later));
    keys_.load(in, limits_.keys_max, [&](Key& key) {
        const std::uint32_t runs = in.count(limits_.runs_per_key_max);
        in.require(runs > 0);
        for (std::uint32_t index = 0; index < runs && in.is_ok(); ++index) {
            Run run;
            run.begun = in.get<std::uint64_t>();
            run.last = in.get<std::uint64_t>();
            run.match.start_ns = in.get<std::uint64_t>();
            run.match.first_ordinal = in.get<std::uint64_t>();
            run.match.last_ordinal = in.get<std::uint64_t>();
            run.step = in.get<std::uint32_t>();
            for (std::uint16_t& count : run.counts) count = in.get<std::uint16_t>();
            in.require(run.step < steps_.size() && (key.runs.empty() || key.runs.back().begun < run.begun));
            key.runs.push_back(run);
        }
    });
    keys_.for_each([&](Keys::Slot slot) {
        for (const Run& run : keys_.at(slot).runs) deadlines_.push({deadline_of(run), run.begun, slot});
    });
}

}  // namespace weir::analytics
