// Engine::build(): definitions are checked and compiled.
#include <algorithm>
#include <map>
#include <set>

#include "central/analytics/engine.hpp"

namespace weir::analytics {
namespace {

struct Refused {
    std::string what;
};

}  // namespace

struct Engine::Builder {
    Engine& engine;
    const rules::RuleSetOptions& options;
    std::vector<rules::Program> conditions{};  // of windows and patterns
    std::vector<rules::Program> values{};      // their keys, values …; numbered behind the conditions
    std::map<std::string, std::uint32_t> value_of_text{};
    std::vector<rules::Program> result_programs{};

    void run() {
        const Definitions& told = engine.definitions_;
        check_names(told.windows, "window");
        check_names(told.patterns, "pattern");
        check_names(told.anomalies, "anomaly");
        if (told.alerts.size() > definitions_max) throw Refused{"more than 256 alerts"};
        for (const WindowDefinition& one : told.windows) add(one);
        for (const PatternDefinition& one : told.patterns) add(one);
        for (const AnomalyDefinition& one : told.anomalies) add(one);
        add_alerts(told.alerts);
        put_values_behind_conditions();
        engine.event_rules_ = set_of(conditions);
        engine.result_rules_ = set_of(result_programs);
        engine.event_judge_.emplace(*engine.event_rules_);
        engine.result_judge_.emplace(*engine.result_rules_);
    }

    template <class Definition>
    static void check_names(const std::vector<Definition>& all, const std::string& kind) {
        if (all.size() > definitions_max) throw Refused{"more than 256 of " + kind};
        std::set<std::string> names;
        for (const Definition& one : all) {
            if (one.name.empty() || one.name.size() > 64) throw Refused{kind + ": a name has 1 to 64 bytes"};
            if (!names.insert(one.name).second) throw Refused{kind + "." + one.name + ": named twice"};
        }
    }

    std::uint32_t compile(const std::string& place, const std::string& text, bool gives_condition,
                          std::vector<rules::Program>& into) const {
        if (text.empty()) return no_program;
        rules::CompileOptions compile_options;
        compile_options.is_placed = true;
        compile_options.gives_condition = gives_condition;
        compile_options.tables = options.tables;
        rules::Compiled made = rules::compile(text, compile_options);
        if (!made.program) throw Refused{place + ": " + rules::describe(made.fault, text)};
        into.push_back(std::move(*made.program));
        return static_cast<std::uint32_t>(into.size() - 1);
    }

    // The same text is the same program: what it gives is worked out once for an event.
    std::uint32_t compile_value(const std::string& place, const std::string& text) {
        const auto [found, is_new] = value_of_text.emplace(text, no_program);
        if (is_new) found->second = compile(place, text, false, values);
        return found->second;
    }

    void add(const WindowDefinition& one) {
        const std::string place = "window." + one.name;
        if (const std::string fault = fault_of(one.spec); !fault.empty()) throw Refused{place + ": " + fault};
        WindowSpec spec = one.spec;
        if (one.value.empty() && !spec.aggregate.percentiles.empty())
            throw Refused{place + ": percentiles of no value"};
        if (one.top.empty() != (spec.aggregate.top_count == 0))
            throw Refused{place + ": top needs both a text and a count"};
        if (one.distinct.empty() == spec.aggregate.has_distinct) throw Refused{place + ": distinct of nothing"};
        Window made{spec.length_ns == 0 ? decltype(Window::operation)(std::in_place_type<SessionWindows>, spec)
                                        : decltype(Window::operation)(std::in_place_type<PaneWindows>, spec)};
        compile(place + ".when", one.when.empty() ? "true" : one.when, true, conditions);
        engine.conditions_.push_back({static_cast<std::uint32_t>(engine.windows_.size()), 0});
        made.key = compile_value(place + ".key", one.key);
        made.value = compile_value(place + ".value", one.value);
        made.distinct = compile_value(place + ".distinct", one.distinct);
        made.top = compile_value(place + ".top", one.top);
        engine.windows_.push_back(std::move(made));
        engine.watched_windows_.push_back({place, {}});
    }

    void add(const PatternDefinition& one) {
        CompiledPattern made = compile_pattern(one.text, options.tables);
        if (!made.pattern) throw Refused{"pattern." + one.name + ": " + rules::describe(made.fault, one.text)};
        PatternOf of{PatternMachine(std::move(made.pattern->steps), made.pattern->within_ns, one.limits)};
        const auto owner = static_cast<std::uint32_t>(engine.windows_.size() + engine.patterns_.size());
        std::uint32_t bit = 0;
        for (rules::Program& condition : made.pattern->conditions) {
            conditions.push_back(std::move(condition));
            engine.conditions_.push_back({owner, bit++});
        }
        if (made.pattern->key) {
            of.key = static_cast<std::uint32_t>(values.size());
            values.push_back(std::move(*made.pattern->key));
        }
        engine.patterns_.push_back(std::move(of));
        engine.watched_patterns_.push_back({"pattern." + one.name, {}});
    }

    void put_values_behind_conditions() {
        const auto first = static_cast<std::uint32_t>(conditions.size());
        const auto shift = [&](std::uint32_t& program) { program += program == no_program ? 0 : first; };
        for (Window& one : engine.windows_) {
            for (std::uint32_t* program : {&one.key, &one.value, &one.distinct, &one.top}) shift(*program);
        }
        for (PatternOf& one : engine.patterns_) shift(one.key);
        engine.keys_.resize(values.size());
        std::move(values.begin(), values.end(), std::back_inserter(conditions));
    }

    void add(const AnomalyDefinition& one) {
        const auto& windows = engine.definitions_.windows;
        const auto found = std::find_if(windows.begin(), windows.end(),
                                        [&](const WindowDefinition& window) { return window.name == one.window; });
        if (found == windows.end()) throw Refused{"anomaly." + one.name + ": there is no window " + one.window};
        if (one.keys_max == 0) throw Refused{"anomaly." + one.name + ": room for no key"};
        Anomalies made;
        made.window = static_cast<std::uint32_t>(found - windows.begin());
        engine.anomalies_.push_back(std::move(made));
        engine.watched_anomalies_.push_back({"anomaly." + one.name, {}});
    }

    void add_alerts(const std::vector<AlertDefinition>& alerts) {
        std::vector<AlertRule> made;
        for (const AlertDefinition& one : alerts) {
            const std::string place = "alert." + one.rule.name;
            Watched* const watched = result_of(one.on);
            if (watched == nullptr) throw Refused{place + ".on: there is no " + one.on};
            AlertOn on;
            on.rule = static_cast<std::uint32_t>(made.size());
            on.raise = compile(place + ".raise", one.raise, true, result_programs);
            if (on.raise == no_program) throw Refused{place + ".raise: a condition is needed"};
            on.clear = compile(place + ".clear", one.clear, true, result_programs);
            watched->alerts.push_back(on);
            AlertRule rule = one.rule;
            rule.suppressed_by.clear();
            for (const std::string& name : one.suppressed_by) {
                const auto found = std::find_if(alerts.begin(), alerts.end(),
                                                [&](const AlertDefinition& other) { return other.rule.name == name; });
                if (found == alerts.end()) throw Refused{place + ".suppressed_by: there is no alert " + name};
                rule.suppressed_by.push_back(static_cast<std::uint32_t>(found - alerts.begin()));
            }
            made.push_back(std::move(rule));
        }
        engine.alerts_ = std::make_unique<AlertMachine>(std::move(made));
    }

    [[nodiscard]] Watched* result_of(std::string_view type) const {
        for (auto* all : {&engine.watched_windows_, &engine.watched_patterns_, &engine.watched_anomalies_}) {
            const auto found =
                std::find_if(all->begin(), all->end(), [&](const Watched& one) { return one.type == type; });
            if (found != all->end()) return &*found;
        }
        return nullptr;
    }

    [[nodiscard]] rules::RuleSet set_of(const std::vector<rules::Program>& programs) const {
        auto set = rules::RuleSet::build(programs, options);
        if (!set) throw Refused{set.error().what};
        return std::move(set.value());
    }
};

Result<std::unique_ptr<Engine>> Engine::build(const Definitions& definitions, const rules::RuleSetOptions& options) {
    std::unique_ptr<Engine> engine(new Engine(definitions));
    try {
        Builder{*engine, options}.run();
    } catch (const Refused& refused) {
        return Error{0, refused.what};
    }
    return engine;
}

}  // namespace weir::analytics
