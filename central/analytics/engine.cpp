#include "central/analytics/engine.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

#include "core/wire/event.hpp"

namespace weir::analytics {

void Engine::apply(const wire::BatchHeader& header, ConstBytes body, WallNs arrival, Position end, Results& out) {
    position_ = end.value;
    clock_.arrive(arrival);
    if (header.kind == wire::BatchKind::events && header.lane != dead_letter_lane) {
        wire::for_each_frame(body, [&](const wire::FrameView& frame, std::uint32_t) {
            wire::EventView event;
            ++ordinal_;
            if (wire::verify_event(frame.body, event) == wire::Reason::none) {
                take(header, event, out);
            } else {
                ++unreadable_;
            }
        });
    }
    advance(out);
}

void Engine::take(const wire::BatchHeader& header, const wire::EventView& event, Results& out) {
    const std::string_view edge = wire::name_of(header.edge_id);
    const EventClock::Dated dated = clock_.date(edge, event.time);
    wire::EventView seen = event;
    seen.time = {dated.time_ns};  // conditions see the time at which it counts
    event_judge_->begin(
        {seen, edge, wire::name_of(header.lane_name), header.part == wire::Part::live ? "live" : "backlog"});
    WindowEvent counted;
    counted.time_ns = dated.time_ns;
    counted.ordinal = ordinal_;
    counted.sample.is_redated = dated.dating != Dating::as_said;
    const auto held = event_judge_->matches(static_cast<std::uint32_t>(conditions_.size()));
    for (std::size_t word = 0; 64 * word < conditions_.size(); ++word) {
        for (std::uint64_t rest = held[word]; rest != 0; rest &= rest - 1) {
            const Condition& one = conditions_[64 * word + static_cast<std::size_t>(std::countr_zero(rest))];
            if (one.owner < windows_.size()) {
                matched_windows_.push_back(one.owner);
            } else {
                const auto index = static_cast<std::uint32_t>(one.owner - windows_.size());
                if (patterns_[index].holding == 0) matched_patterns_.push_back(index);
                patterns_[index].holding |= 1U << one.bit;
            }
        }
    }
    fetch(matched_windows_);
    for (const std::uint32_t index : matched_windows_) take_window(windows_[index], index, counted, out);
    matched_windows_.clear();
    for (const std::uint32_t index : matched_patterns_) take_pattern(patterns_[index], index, counted, out);
    matched_patterns_.clear();
}

const HashedKey& Engine::key_of(std::uint32_t program) {
    KeyOf& of = keys_[program - conditions_.size()];
    if (of.ordinal == ordinal_) return of.key;
    of.ordinal = ordinal_;
    const rules::Value value = event_judge_->value(program);
    if (value.type == rules::Type::text) {
        of.key = HashedKey(value.as_text().substr(0, key_bytes_max));
        return of.key;
    }
    of.written.clear();
    if (value.type == rules::Type::real) {
        of.written.resize(32);
        const auto end = std::to_chars(of.written.data(), of.written.data() + of.written.size(), value.real).ptr;
        of.written.resize(static_cast<std::size_t>(end - of.written.data()));
    } else if (value.type == rules::Type::boolean) {
        of.written = value.is_true() ? "true" : "false";
    } else if (!value.is_null()) {
        of.written = std::to_string(value.integer);
    }
    of.key = HashedKey(of.written);
    return of.key;
}

// Each window keeps its keys by itself: of an event that several count, what they will touch comes from memory at once.
void Engine::fetch(std::span<const std::uint32_t> windows) {
    if (windows.size() < 2) return;
    const auto each = [&](auto&& step) {
        for (const std::uint32_t index : windows) {
            const auto* panes = std::get_if<PaneWindows>(&windows_[index].operation);
            if (panes != nullptr && windows_[index].key != no_program) step(*panes, key_of(windows_[index].key));
        }
    };
    each([](const PaneWindows& panes, const HashedKey& key) { panes.fetch_place(key); });
    each([](const PaneWindows& panes, const HashedKey& key) { panes.fetch_key(key); });
    each([](const PaneWindows& panes, const HashedKey& key) { panes.fetch_pane(key); });
}

void Engine::take_window(Window& window, std::uint32_t index, const WindowEvent& dated, Results& out) {
    WindowEvent event = dated;
    const std::uint32_t decimals = definitions_.windows[index].spec.aggregate.decimals;
    if (window.value != no_program) event.sample.measure = measure_of(event_judge_->value(window.value), decimals);
    if (window.distinct != no_program) event.sample.distinct = hash_of(key_of(window.distinct).text());
    if (window.top != no_program) event.sample.top = key_of(window.top).text();
    if (window.key != no_program) event.key = key_of(window.key);
    window_scratch_.clear();
    std::visit([&](auto& operation) { operation.take(event, window_scratch_); }, window.operation);
    for (WindowResult& result : window_scratch_) out.windows.emplace_back(index, std::move(result));
}

void Engine::take_pattern(PatternOf& pattern, std::uint32_t index, const WindowEvent& dated, Results& out) {
    PatternEvent event;
    event.conditions = std::exchange(pattern.holding, 0);
    event.time_ns = dated.time_ns;
    event.ordinal = dated.ordinal;
    if (pattern.key != no_program) event.key = key_of(pattern.key).text();
    pattern_scratch_.clear();
    pattern.machine.take(std::move(event), pattern_scratch_);
    for (PatternMatch& match : pattern_scratch_) out.patterns.emplace_back(index, std::move(match));
}

void Engine::advance(Results& out) {
    const std::uint64_t watermark = clock_.advance();
    for (std::uint32_t index = 0; index < windows_.size(); ++index) {
        window_scratch_.clear();
        std::visit([&](auto& operation) { operation.advance(watermark, window_scratch_); }, windows_[index].operation);
        for (WindowResult& result : window_scratch_) out.windows.emplace_back(index, std::move(result));
    }
    for (std::uint32_t index = 0; index < patterns_.size(); ++index) {
        pattern_scratch_.clear();
        patterns_[index].machine.advance(watermark, pattern_scratch_);
        for (PatternMatch& match : pattern_scratch_) out.patterns.emplace_back(index, std::move(match));
    }
    for (std::uint32_t index = 0; index < anomalies_.size(); ++index) {
        for (const auto& [window, result] : out.windows) {
            if (window == anomalies_[index].window) take_anomaly(index, result, out);
        }
    }
    judge_alerts(out, out.notices);
    alerts_->advance(watermark, out.notices);
}

void Engine::take_anomaly(std::uint32_t index, const WindowResult& result, Results& out) {
    // A series goes on with time: what came late, or once more, is not its next value.
    if (result.version != 1 || (result.marks & mark_detached) != 0) return;
    const AnomalyDefinition& of = definitions_.anomalies[index];
    const std::uint32_t decimals = definitions_.windows[anomalies_[index].window].spec.aggregate.decimals;
    Keyed<Series>& series = anomalies_[index].series;
    const auto slot = series.touch(result.key);
    Series& one = series.at(slot);
    if (!one.ensemble) one.ensemble = std::make_unique<AnomalyEnsemble>(of.spec);
    if (result.end_ns <= one.last_ns) return;
    one.last_ns = result.end_ns;
    AnomalyResult said;
    said.key = result.key;
    said.time_ns = result.end_ns;
    switch (of.series) {
        case SeriesOf::count:
            said.value = static_cast<double>(result.values.count);
            break;
        case SeriesOf::sum:
            said.value = number_of(static_cast<double>(result.values.sum), decimals);
            break;
        case SeriesOf::mean:
            said.value = number_of(result.values.mean, decimals);
            break;
        case SeriesOf::distinct:
            said.value = result.values.distinct;
            break;
    }
    said.said = one.ensemble->take(said.time_ns, said.value);
    out.anomalies.emplace_back(index, std::move(said));
    if (series.count() > of.keys_max) series.erase(series.oldest());
}

void Engine::judge_alerts(const Results& out, std::vector<Notice>& notices) {
    const auto judge = [&](const Watched& watched, const std::string& key, std::uint64_t time_ns, auto&& append) {
        if (watched.alerts.empty()) return;
        data_scratch_.clear();
        append(data_scratch_);
        observe(watched, key, time_ns, notices);
    };
    for (const auto& [index, result] : out.windows) {
        judge(watched_windows_[index], result.key, result.end_ns,
              [&](std::string& data) { append_json(result, definitions_.windows[index].spec.aggregate, data); });
    }
    for (const auto& [index, match] : out.patterns) {
        judge(watched_patterns_[index], match.key, match.end_ns, [&](std::string& data) { append_json(match, data); });
    }
    for (const auto& [index, result] : out.anomalies) {
        judge(watched_anomalies_[index], result.key, result.time_ns,
              [&](std::string& data) { append_json(result, data); });
    }
}

void Engine::observe(const Watched& watched, std::string_view key, std::uint64_t time_ns,
                     std::vector<Notice>& notices) {
    wire::EventView seen;
    seen.id = seen.source = "weir";
    seen.type = watched.type;
    seen.key = key;
    seen.time = {time_ns};
    seen.content_type = "application/json";
    seen.payload = data_scratch_;
    result_judge_->begin({seen});
    for (const AlertOn& on : watched.alerts) {
        Observed what = Observed::neither;
        if (result_judge_->holds(on.raise)) {
            what = Observed::raise;
        } else if (on.clear == no_program || result_judge_->holds(on.clear)) {
            what = Observed::clear;
        }
        alerts_->observe(on.rule, key, what, time_ns, notices);
    }
}

void Engine::append_lines(const Results& results, std::string& out) const {
    const auto begin = [&](std::string_view kind, const std::string& name) {
        out.append(kind).append(".").append(name).append(" ");
    };
    for (const auto& [index, result] : results.windows) {
        begin("window", definitions_.windows[index].name);
        append_json(result, definitions_.windows[index].spec.aggregate, out);
        out.push_back('\n');
    }
    for (const auto& [index, match] : results.patterns) {
        begin("pattern", definitions_.patterns[index].name);
        append_json(match, out);
        out.push_back('\n');
    }
    for (const auto& [index, result] : results.anomalies) {
        begin("anomaly", definitions_.anomalies[index].name);
        append_json(result, out);
        out.push_back('\n');
    }
    for (const Notice& notice : results.notices) {
        const std::string& name = definitions_.alerts[notice.rule].rule.name;
        begin("alert", name);
        append_json(notice, name, out);
        out.push_back('\n');
    }
}

}  // namespace weir::analytics
