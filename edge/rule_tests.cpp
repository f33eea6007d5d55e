#include "edge/rule_tests.hpp"

#include <ostream>

#include "core/base/clock.hpp"
#include "core/base/time_text.hpp"
#include "edge/intake/judgement.hpp"
#include "edge/tables/table_store.hpp"

namespace weir::edge {
namespace {

constexpr std::uint32_t event_words_bytes = 512;  // what an event has beside its payload, about

std::vector<LaneState> lane_states_of(const EdgeConfig& config) {
    std::vector<LaneState> lanes;
    for (const LaneConfig& lane : config.lanes) {
        LaneState& state = lanes.emplace_back();
        state.id = static_cast<LaneId>(lanes.size() - 1);
        state.name = lane.name;
        state.is_configured = true;
    }
    return lanes;
}

wire::EventView event_of(const RuleTestConfig& test) {
    wire::EventView event;
    event.id = test.id;
    event.type = test.type;
    event.source = test.source;
    event.key = test.key;
    event.content_type = test.content_type;
    event.payload = test.data;
    event.priority = test.priority;
    if (!test.time.empty()) event.time = parse_time(test.time).value_or(WallNs{});  // checked when it was read
    return event;
}

// As the edge has them on its disk.
TableShare tables_of(const EdgeConfig& config) {
    std::vector<ReferenceTableShare> tables;
    for (const TableUseConfig& use : config.tables.use) {
        if (use.is_cached()) continue;  // central is not asked: its rows are null
        LoadedTable loaded = TableStore(config.data_dir).load(use.name, config.tables.bytes_max);
        if (loaded.table != nullptr) tables.push_back(std::move(loaded.table));
    }
    return std::make_shared<const TableSet>(std::move(tables), config.tables.use);
}

// Without the blanks between its tokens.
std::string without_blanks(std::string_view json) {
    std::string kept;
    bool is_text = false;
    for (std::size_t at = 0; at < json.size(); ++at) {
        const char c = json[at];
        if (c == '"') is_text = !is_text;
        if (!is_text && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
        kept += c;
        if (is_text && c == '\\' && at + 1 < json.size()) kept += json[++at];
    }
    return kept;
}

std::string stored_payload(const EventRef& event) {
    if (!event.is_edited) return std::string(event.view.payload);
    wire::EventView stored;
    if (event.edited.empty() || wire::verify_event(event.edited, stored) != wire::Reason::none) return "";
    return std::string(stored.payload);
}

}  // namespace

RuleTestCounts run_rule_tests(const EdgeConfig& config, std::ostream& out) {
    Judgement judgement(config, lane_states_of(config), tables_of(config));
    RuleTestCounts counts;
    for (const RuleTestConfig& test : config.tests) {
        EventRef event;
        event.view = event_of(test);
        event.body_bytes = static_cast<std::uint32_t>(test.data.size()) + event_words_bytes;
        // An event that says its time meets the skew limits as it would at that moment.
        judgement.judge({&event, 1}, event.view.time.value != 0 ? event.view.time : wall_now());
        const bool is_admitted = event.verdict == Verdict::admitted;
        std::string wrong;
        const auto expect = [&](std::string_view what, std::string_view wanted, std::string_view got) {
            if (wanted.empty() || wanted == got) return;
            wrong += "      " + std::string(what) + ": expected \"" + std::string(wanted) + "\", got \"" +
                     std::string(got) + "\"\n";
        };
        expect("verdict", test.verdict, is_admitted ? "admitted" : "dead_letter");
        expect("lane", test.lane, is_admitted ? std::string_view(config.lanes[event.lane].name) : "dead-letters");
        expect("reason", test.reason, is_admitted ? "" : wire::text(event.reason));
        if (test.rule != 0 && (is_admitted || test.rule != event.rule)) {
            expect("rule", std::to_string(test.rule), is_admitted ? "none" : std::to_string(event.rule));
        }
        if (!test.data_after.empty()) {
            expect("data_after", without_blanks(test.data_after), without_blanks(stored_payload(event)));
        }
        ++(wrong.empty() ? counts.passed : counts.failed);
        out << (wrong.empty() ? "ok    " : "FAIL  ") << test.name << "\n" << wrong;
    }
    return counts;
}

}  // namespace weir::edge
