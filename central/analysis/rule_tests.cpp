#include "central/analysis/rule_tests.hpp"

#include <algorithm>
#include <ostream>

#include "central/analytics/engine.hpp"
#include "core/base/time_text.hpp"
#include "core/wire/frame.hpp"

namespace weir::central {
namespace {

using control::Bounds;
using control::ConfigTable;

constexpr int exit_failed = 1;
constexpr int exit_wrong = 78;
constexpr std::uint64_t ms_max = test_s_max * 1000;
constexpr std::uint64_t quiet_s_default = 120;
constexpr std::size_t shown_max = 10;  // results of a test that fails

struct TestEvent {
    std::uint64_t at_ms = 0;       // event time, from the test's start
    std::uint64_t arrives_ms = 0;  // at central
    std::string id, type, source = "test", key, edge = "test", data = "{}";
};

struct Expectation {
    std::string on;  // "window.NAME", "pattern.NAME", "anomaly.NAME", "alert.NAME"
    std::string where = "true";
    std::uint64_t at_least = 1;
    std::uint64_t at_most = UINT64_MAX;
};

struct Test {
    std::string name;
    std::uint64_t start_ns = 0;
    std::uint64_t quiet_s = quiet_s_default;  // after the last event
    std::vector<TestEvent> events;
    std::vector<Expectation> expected;
};

void read_event(ConfigTable& table, Test& test) {
    TestEvent one;
    std::uint64_t at_s = 0, at_ms = 0, late_ms = 0, count = 1, every_ms = 1000;
    table.number("at_s", at_s, Bounds{0, test_s_max, "s"});
    table.number("at_ms", at_ms, Bounds{0, ms_max, "ms"});
    table.number("late_ms", late_ms, Bounds{0, ms_max, "ms"});
    table.number("count", count, Bounds{1, test_events_max, "events"});
    table.number("every_ms", every_ms, Bounds{0, ms_max, "ms"});
    table.needs_text("type", one.type);
    table.text("source", one.source);
    table.text("key", one.key);
    table.text("edge", one.edge);
    table.text("data", one.data);
    if (one.edge.empty() || one.edge.size() > wire::edge_id_bytes_max) table.fault("edge", "must be 1 to 64 bytes");
    if (test.events.size() + count > test_events_max) table.fault("count", "a test has at most 100000 events");
    if (at_s * 1000 + at_ms + late_ms + (count - 1) * every_ms > ms_max) {
        return table.fault("at_s", "a test has at most 31 days");
    }
    for (std::uint64_t number = 0; number < count && test.events.size() < test_events_max; ++number) {
        one.at_ms = at_s * 1000 + at_ms + number * every_ms;
        one.arrives_ms = one.at_ms + late_ms;
        one.id = "event-" + std::to_string(test.events.size() + 1);
        test.events.push_back(one);
    }
}

bool has_definition(const analytics::Definitions& told, std::string_view on) {
    const auto has = [&](const auto& all, std::string_view kind, auto&& name_of) {
        return std::any_of(all.begin(), all.end(),
                           [&](const auto& one) { return std::string(kind) + name_of(one) == on; });
    };
    const auto name = [](const auto& one) { return one.name; };
    return has(told.windows, "window.", name) || has(told.patterns, "pattern.", name) ||
           has(told.anomalies, "anomaly.", name) ||
           has(told.alerts, "alert.", [](const auto& one) { return one.rule.name; });
}

void read_expectation(ConfigTable& table, const analytics::Definitions& told, Test& test) {
    Expectation one;
    table.needs_text("on", one.on);
    if (!one.on.empty() && !has_definition(told, one.on)) {
        table.fault("on", "no window, pattern, anomaly or alert has this name: \"" + one.on + '"');
    }
    table.text("where", one.where);
    if (const auto compiled = rules::compile(one.where, {.is_placed = true}); !compiled.program) {
        table.fault("where", std::to_string(compiled.fault.line) + ":" + std::to_string(compiled.fault.column) + ": " +
                                 compiled.fault.what);
    }
    table.number("at_least", one.at_least, Bounds{0, UINT32_MAX, "results"});
    if (table.has("count")) {
        table.number("count", one.at_least, Bounds{0, UINT32_MAX, "results"});
        one.at_most = one.at_least;
    }
    test.expected.push_back(std::move(one));
}

std::vector<Test> read_tests(control::ConfigFile& file, const analytics::Definitions& told) {
    std::vector<Test> tests;
    ConfigTable root(file);
    root.tables("tests", tests_max, [&](ConfigTable& table) {
        Test test;
        table.needs_text("name", test.name);
        std::string start = "2026-01-01T00:00:00Z";
        table.text("start", start);
        const auto time = parse_time(start);
        if (!time) table.fault("start", "must be a time in RFC 3339");
        test.start_ns = time.value_or(WallNs{}).value;
        table.number("quiet_s", test.quiet_s, Bounds{0, test_s_max, "s"});
        table.tables("events", test_events_max, [&](ConfigTable& inner) { read_event(inner, test); });
        table.tables("expect", tests_max, [&](ConfigTable& inner) { read_expectation(inner, told, test); });
        if (test.expected.empty()) table.fault("expect", "is missing");
        std::stable_sort(test.events.begin(), test.events.end(),
                         [](const TestEvent& a, const TestEvent& b) { return a.arrives_ms < b.arrives_ms; });
        tests.push_back(std::move(test));
    });
    return tests;
}

// Asks each result as an alert's conditions are asked: type, key, and data as JSON.
class Asker {
  public:
    explicit Asker(const std::vector<Expectation>& expected) : expected_(expected), found_(expected.size()) {
        std::vector<rules::Program> programs;
        for (const Expectation& one : expected) {
            programs.push_back(std::move(*rules::compile(one.where, {.is_placed = true}).program));
        }
        auto set = rules::RuleSet::build(programs);
        WEIR_ASSERT(set.ok());
        rules_ = std::make_unique<rules::RuleSet>(std::move(set.value()));
        judge_.emplace(*rules_);
    }
    // A line of Engine::append_lines(): "window.NAME {...}".
    void take(std::string_view line) {
        const std::size_t blank = line.find(' ');
        const std::string_view type = line.substr(0, blank);
        const std::string_view data = line.substr(blank + 1);
        if (lines_.size() < shown_max) lines_.emplace_back(line);
        ++results_;
        wire::EventView seen;
        seen.id = seen.source = "weir";
        seen.type = type;
        seen.content_type = "application/json";
        seen.payload = data;
        judge_->begin({seen});
        for (std::uint32_t one = 0; one < expected_.size(); ++one) {
            if (expected_[one].on == type && judge_->holds(one)) ++found_[one];
        }
    }
    // What does not hold; empty: all does.
    [[nodiscard]] std::string fault() const {
        std::string text;
        for (std::size_t one = 0; one < expected_.size(); ++one) {
            const Expectation& wanted = expected_[one];
            if (found_[one] >= wanted.at_least && found_[one] <= wanted.at_most) continue;
            text += "  " + wanted.on + " where " + wanted.where + ": " + std::to_string(found_[one]) + " instead of " +
                    (wanted.at_most == wanted.at_least ? "" : "at least ") + std::to_string(wanted.at_least) + "\n";
        }
        if (text.empty()) return text;
        for (const std::string& line : lines_) text += "    " + line + "\n";
        if (results_ > lines_.size()) text += "    … and " + std::to_string(results_ - lines_.size()) + " more\n";
        return text;
    }

  private:
    const std::vector<Expectation>& expected_;
    std::vector<std::uint64_t> found_;
    std::vector<std::string> lines_;
    std::uint64_t results_ = 0;
    std::unique_ptr<rules::RuleSet> rules_;
    std::optional<rules::Judge> judge_;
};

// The journal that a test is: a record for each event, and ticks while nothing comes.
class VirtualJournal {
  public:
    VirtualJournal(analytics::Engine& engine, Asker& asker) : engine_(engine), asker_(asker) {}
    void add(const TestEvent& event, std::uint64_t start_ns) {
        wire::EventView seen;
        seen.id = event.id;
        seen.type = event.type;
        seen.source = event.source;
        seen.key = event.key;
        seen.content_type = "application/json";
        seen.payload = event.data;
        seen.time = {start_ns + event.at_ms * ns_per_ms};
        const ConstBytes built = builder_.build(seen);
        const auto bytes = static_cast<std::uint32_t>(built.size());
        std::vector<std::byte> body(wire::frame_bytes(bytes));
        wire::store(Bytes(body), wire::FrameHeader{.body_bytes = bytes, .kind = wire::FrameKind::event});
        std::copy(built.begin(), built.end(), body.begin() + sizeof(wire::FrameHeader));
        wire::BatchHeader header;
        header.edge_id = wire::name_field<wire::edge_id_bytes_max>(event.edge);
        header.lane_name = wire::name_field<wire::lane_name_bytes_max>("test");
        apply(header, body, start_ns + event.arrives_ms * ns_per_ms);
    }
    void tick(std::uint64_t now_ns) {
        wire::BatchHeader header;
        header.kind = wire::BatchKind::tick;
        apply(header, {}, now_ns);
    }

  private:
    void apply(const wire::BatchHeader& header, ConstBytes body, std::uint64_t now_ns) {
        results_.clear();
        engine_.apply(header, body, {now_ns}, {position_ += 8}, results_);
        lines_.clear();
        engine_.append_lines(results_, lines_);
        for (std::string_view rest = lines_; !rest.empty();) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(rest.size(), line.size() + 1));
            asker_.take(line);
        }
    }
    analytics::Engine& engine_;
    Asker& asker_;
    wire::EventBuilder builder_;
    analytics::Results results_;
    std::string lines_;
    std::uint64_t position_ = 0;
};

std::string run(const Test& test, const CentralConfig& config) {
    auto engine = analytics::Engine::build(config.analytics.definitions);
    WEIR_ASSERT(engine.ok());  // what was read without a fault builds one
    Asker asker(test.expected);
    VirtualJournal journal(*engine.value(), asker);
    const std::uint64_t tick_ns = config.journal.tick_ms * ns_per_ms;
    std::uint64_t now_ns = test.start_ns;
    const auto pass = [&](std::uint64_t until_ns) {
        for (; now_ns + tick_ns < until_ns; now_ns += tick_ns) journal.tick(now_ns + tick_ns);
        now_ns = std::max(now_ns, until_ns);
    };
    for (const TestEvent& event : test.events) {
        pass(test.start_ns + event.arrives_ms * ns_per_ms);
        journal.add(event, test.start_ns);
    }
    pass(now_ns + test.quiet_s * ns_per_second);
    journal.tick(now_ns);
    return asker.fault();
}

}  // namespace

int rule_tests_command(const CentralConfig& config, const std::string& path, std::ostream& out, std::ostream& err) {
    control::ConfigFile file = control::read_config(path);
    std::vector<Test> tests;
    if (file.is_readable()) tests = read_tests(file, config.analytics.definitions);
    if (const auto lines = file.error_lines(); !lines.empty()) {
        for (const std::string& line : lines) err << line << "\n";
        return exit_wrong;
    }
    std::size_t failed = 0;
    for (const Test& test : tests) {
        const std::string fault = run(test, config);
        if (fault.empty()) continue;
        ++failed;
        out << "FAILED " << test.name << "\n" << fault;
    }
    out << tests.size() << " tests, " << failed << " failed\n";
    return failed == 0 ? 0 : exit_failed;
}

}  // namespace weir::central
