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
    const Definitions& told = self.definitions_;
    for (std::size_t index = 0; index < self.windows_.size(); ++index) {
        std::visit(
            [&](auto& operation) {
                visit("window." + told.windows[index].name, digest_of(told.windows[index]), operation);
            },
            self.windows_[index].operation);
    }
    for (std::size_t index = 0; index < self.patterns_.size(); ++index) {
        visit("pattern." + told.patterns[index].name, digest_of(told.patterns[index]), self.patterns_[index].machine);
    }
    for (std::size_t index = 0; index < self.anomalies_.size(); ++index) {
        auto& of = self.anomalies_[index];
        visit("anomaly." + told.anomalies[index].name, digest_of(told.anomalies[index], told.windows[of.window]),
              of.series);
    }
    visit(std::string("alerts"), digest_of(told.alerts), *self.alerts_);
}

std::uint64_t Engine::definitions_digest() const {
    StateWriter told;
    const EventClockSpec& clock = definitions_.clock;
    for (const std::uint64_t number : {clock.future_ns_max, clock.disorder_ns, clock.idle_ns_max, clock.join_ns_max,
                                       clock.standing_ns_max, clock.step_ns_max}) {
        told.put(number);
    }
    told.put(clock.sources_max);
    for_each_part(*this, [&](const std::string& name, std::uint64_t digest, const auto&) {
        told.text(name);
        told.put(digest);
    });
    return digest_of(told);
}

std::string Engine::save(std::size_t bytes_expected) const {
    StateWriter out(bytes_expected);
    out.put(state_magic);
    out.put(position_);
    out.put(ordinal_);
    out.put(unreadable_);
    clock_.save(out);
    for_each_part(*this, [&](const std::string& name, std::uint64_t digest, const auto& part) {
        out.text(name);
        out.put(digest);
        const std::size_t begun = out.begin_text();
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, Keyed<Series>>) {
            part.save(out, [&](const Series& one) {
                out.put(one.last_ns);
                one.ensemble->save(out);
            });
        } else {
            part.save(out);
        }
        out.end_text(begun);
    });
    return out.take();
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
    for_each_part(*this, [&](const std::string& name, std::uint64_t digest, auto& part) {
        const auto found = stored.find(name);
        const bool is_known = found != stored.end() && found->second.first == digest;
        constexpr bool is_series = std::is_same_v<std::remove_cvref_t<decltype(part)>, Keyed<Series>>;
        [[maybe_unused]] const std::size_t number = is_series ? anomaly++ : 0;
        if (!is_known) {
            anew.push_back(name);
            return;
        }
        StateReader of(found->second.second);
        if constexpr (is_series) {
            const AnomalyDefinition& told = definitions_.anomalies[number];
            part.load(of, told.keys_max, [&](Series& one) {
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
