// Engine::save() and load(): the state of all operators, each under the digest of its definition.
#include <map>

#include "central/analytics/engine.hpp"

namespace weir::analytics {
namespace {

constexpr std::uint32_t state_magic = 0x314e4157;  // "WAN1"
constexpr std::size_t name_bytes_max = 128;

std::uint64_t digest_of(const StateWriter& told) {
    return hash_of(told.bytes());
}

std::uint64_t digest_of(const WindowDefinition& one) {
    StateWriter told;
    for (const std::string* text : {&one.when, &one.key, &one.value, &one.distinct, &one.top}) told.text(*text);
    const WindowSpec& spec = one.spec;
    for (const std::uint64_t number : {spec.length_ns, spec.step_ns, spec.gap_ns, spec.lateness_ns, spec.spread_ns}) {
        told.put(number);
    }
    told.put(spec.keys_max);
    told.put(spec.panes_max);
    told.put(spec.aggregate.decimals);
    for (const std::uint32_t percentile : spec.aggregate.percentiles) told.put(percentile);
    told.put(spec.aggregate.has_distinct);
    told.put(spec.aggregate.top_count);
    return digest_of(told);
}

std::uint64_t digest_of(const PatternDefinition& one) {
    StateWriter told;
    told.text(one.text);
    told.put(one.limits.keys_max);
    told.put(one.limits.runs_per_key_max);
    told.put(one.limits.waiting_max);
    return digest_of(told);
}

std::uint64_t digest_of(const AnomalyDefinition& one, const WindowDefinition& window) {
    StateWriter told;
    told.put(digest_of(window));
    told.put(one.series);
    told.put(one.keys_max);
    const AnomalySpec& spec = one.spec;
    for (const std::uint32_t number : {spec.members, spec.calibration, spec.quiet_values, spec.warm_values})
        told.put(number);
    for (const double number :
         {spec.answer_min, spec.alarm_at, spec.louder, spec.level_weight, spec.mean_short_weight, spec.mean_long_weight,
          spec.step_weight, spec.volatility_short_weight, spec.volatility_long_weight, spec.drift}) {
        told.put(number);
    }
    return digest_of(told);
}

// All alerts are one part: they suppress each other and share groups.
std::uint64_t digest_of(const std::vector<AlertDefinition>& all) {
    StateWriter told;
    for (const AlertDefinition& one : all) {
        const AlertRule& rule = one.rule;
        for (const std::string* text : {&one.on, &one.raise, &one.clear, &rule.name, &rule.group}) told.text(*text);
        told.put(rule.severity);
        told.put(rule.keys_max);
        for (const std::uint64_t number :
             {rule.for_ns, rule.clear_ns, rule.stale_ns, rule.escalate_ns, rule.repeat_ns, rule.group_ns}) {
            told.put(number);
        }
        told.count(one.suppressed_by.size());
        for (const std::string& name : one.suppressed_by) told.text(name);
    }
    return digest_of(told);
}

}  // namespace

template <class Self, class Visit>
void Engine::for_each_part(Self& self, Visit&& visit) {
    for (auto& window : self.windows_) std::visit(visit, window.operation);
    for (auto& pattern : self.patterns_) visit(pattern.machine);
    for (auto& anomalies : self.anomalies_) visit(anomalies);
    visit(*self.alerts_);
}

template <class Self, class Visit>
void Engine::for_each_named_part(Self& self, Visit&& visit) {
    const Definitions& told = self.definitions_;
    std::vector<std::pair<std::string, std::uint64_t>> names;
    for (const WindowDefinition& one : told.windows) names.emplace_back("window." + one.name, digest_of(one));
    for (const PatternDefinition& one : told.patterns) names.emplace_back("pattern." + one.name, digest_of(one));
    for (std::size_t index = 0; index < told.anomalies.size(); ++index) {
        const AnomalyDefinition& one = told.anomalies[index];
        names.emplace_back("anomaly." + one.name, digest_of(one, told.windows[self.anomalies_[index].window]));
    }
    names.emplace_back("alerts", digest_of(told.alerts));
    std::size_t at = 0;
    for_each_part(self, [&](auto& part) {
        visit(names[at].first, names[at].second, part);
        ++at;
    });
}

std::uint64_t Engine::definitions_digest() const {
    StateWriter told;
    const EventClockSpec& clock = definitions_.clock;
    for (const std::uint64_t number : {clock.future_ns_max, clock.disorder_ns, clock.idle_ns_max, clock.join_ns_max,
                                       clock.standing_ns_max, clock.step_ns_max}) {
        told.put(number);
    }
    told.put(clock.sources_max);
    for_each_named_part(*this, [&](const std::string& name, std::uint64_t digest, const auto&) {
        told.text(name);
        told.put(digest);
    });
    return digest_of(told);
}

void Engine::Series::save(StateWriter& out) const {
    out.put(last_ns);
    ensemble->save(out);
}

void Engine::save_head(StateWriter& out) const {
    out.put(state_magic);
    out.put(position_);
    out.put(ordinal_);
    out.put(unreadable_);
    clock_.save(out);
}

std::string Engine::save() const {
    StateWriter out;
    save_head(out);
    for_each_named_part(*this, [&](const std::string& name, std::uint64_t digest, const auto& part) {
        StateWriter of;
        save_operator(part, of);
        out.text(name);
        out.put(digest);
        out.text(of.bytes());
    });
    return out.take();
}

void Engine::begin_copy(StateCopy room) {
    WEIR_ASSERT(!copy_);
    const std::vector<TableCopy*> rooms = room.tables();
    std::size_t used = 0;
    StateWriter head;
    save_head(head);
    copy_.emplace().head = head.take();
    for_each_named_part(*this, [&](const std::string& name, std::uint64_t digest, auto& part) {
        auto& made = copy_->parts.emplace_back(name, digest);
        StateWriter before, behind;
        if constexpr (requires { part.save_head(before); }) part.save_head(before);
        if constexpr (requires { part.save_tail(behind); }) part.save_tail(behind);
        made.pieces.emplace_back(before.take());
        std::remove_cvref_t<decltype(part)>::for_each_table(part, [&](auto& table) {
            table.begin_copy(used < rooms.size() ? std::move(*rooms[used++]) : TableCopy());
            made.pieces.emplace_back(TableCopy());  // until it is whole
        });
        made.pieces.emplace_back(behind.take());
    });
}

std::optional<StateCopy> Engine::copy_some(std::size_t entries) {
    WEIR_ASSERT(copy_ && entries > 0);
    const auto for_each_table = [&](auto&& visit) {
        for_each_part(*this, [&](auto& part) { std::remove_cvref_t<decltype(part)>::for_each_table(part, visit); });
    };
    for_each_table([&](auto& table) { entries = table.copy_some(entries); });
    if (entries == 0) return std::nullopt;
    auto part = copy_->parts.begin();
    for_each_part(*this, [&](auto& of) {
        auto piece = part->pieces.begin();
        std::remove_cvref_t<decltype(of)>::for_each_table(of, [&](auto& table) { *++piece = table.take_copy(); });
        ++part;
    });
    return std::exchange(copy_, std::nullopt);
}

Result<std::vector<std::string>> Engine::load(std::string_view bytes) {
    StateReader in(bytes);
    in.require(in.get<std::uint32_t>() == state_magic);
    position_ = in.get<std::uint64_t>();
    ordinal_ = in.get<std::uint64_t>();
    unreadable_ = in.get<std::uint64_t>();
    clock_.load(in);
    std::map<std::string, std::pair<std::uint64_t, std::string_view>> stored;
    while (in.is_ok() && !in.is_done()) {
        const std::string name(in.text(name_bytes_max));
        const auto digest = in.get<std::uint64_t>();
        stored[name] = {digest, in.text(SIZE_MAX)};
    }
    if (!in.is_ok()) return Error{0, "no state of analytics, or not all of it"};
    std::vector<std::string> anew;
    std::string broken;
    std::size_t anomaly = 0;
    for_each_named_part(*this, [&](const std::string& name, std::uint64_t digest, auto& part) {
        const auto found = stored.find(name);
        const bool is_known = found != stored.end() && found->second.first == digest;
        constexpr bool is_series = std::is_same_v<std::remove_cvref_t<decltype(part)>, Anomalies>;
        [[maybe_unused]] const std::size_t number = is_series ? anomaly++ : 0;
        if (!is_known) {
            anew.push_back(name);
            return;
        }
        StateReader of(found->second.second);
        if constexpr (is_series) {
            const AnomalyDefinition& told = definitions_.anomalies[number];
            part.series.load(of, told.keys_max, [&](Series& one) {
                one.last_ns = of.template get<std::uint64_t>();
                one.ensemble = std::make_unique<AnomalyEnsemble>(told.spec);
                one.ensemble->load(of);
            });
        } else {
            part.load(of);
        }
        if (!of.is_done()) broken = name;
    });
    if (!broken.empty()) return Error{0, "the state of " + broken + " cannot be"};
    return anew;
}

}  // namespace weir::analytics
