// Engine: all operators over one journal: records in, results out; a state that can be kept with a position and gone on from.
//
//   record ─▶ EventClock ─▶ conditions (one RuleSet for all) ─┬▶ windows ─┬▶ results ─┬▶ alerts ─▶ notices
//                 │                                           │           └▶ anomalies┤
//                 └─ watermark, once per record ──────────────┴▶ patterns ────────────┘
//
// Thread    One. No clock, no I/O: apply() is a function of the records, in the journal's order.
// Law       The same records give the same bytes, also over save() and load() after any record, and whatever is copied meanwhile.
// Format    save(): "WAN1", position, ordinal, clock, then each operator as name, digest of its definition, bytes. load() takes up
//           what has the same definition; other operators begin anew, from that position on.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <variant>

#include "central/analytics/definitions.hpp"
#include "central/analytics/pane_windows.hpp"
#include "central/analytics/session_windows.hpp"
#include "central/analytics/state_copy.hpp"
#include "core/base/result.hpp"
#include "core/rules/rule_set.hpp"
#include "core/wire/batch.hpp"

namespace weir::analytics {

// Of one record. The first of each pair is the definition's index.
struct Results {
    std::vector<std::pair<std::uint32_t, WindowResult>> windows;
    std::vector<std::pair<std::uint32_t, PatternMatch>> patterns;
    std::vector<std::pair<std::uint32_t, AnomalyResult>> anomalies;
    std::vector<Notice> notices;
    void clear() {
        windows.clear();
        patterns.clear();
        anomalies.clear();
        notices.clear();
    }
};

class Engine {
  public:
    // The error names the definition and the place in its text.
    [[nodiscard]] static Result<std::unique_ptr<Engine>> build(const Definitions& definitions,
                                                               const rules::RuleSetOptions& options = {});
    // A record of the journal, of any kind; `end` is where it ends. Events that do not verify are counted, and nothing else.
    void apply(const wire::BatchHeader& header, ConstBytes body, WallNs arrival, Position end, Results& out);
    [[nodiscard]] Position position() const { return {position_}; }
    [[nodiscard]] std::uint64_t watermark() const { return clock_.watermark(); }
    [[nodiscard]] std::uint64_t unreadable() const { return unreadable_; }
    [[nodiscard]] const EventClock& clock() const { return clock_; }
    [[nodiscard]] AlertMachine& alerts() { return *alerts_; }
    [[nodiscard]] const AlertMachine& alerts() const { return *alerts_; }
    [[nodiscard]] const Definitions& definitions() const { return definitions_; }
    // Each result as one line of JSON with its definition's type and name in front.
    void append_lines(const Results& results, std::string& out) const;

    // Equal: the same records and the same state give the same results.
    [[nodiscard]] std::uint64_t definitions_digest() const;
    [[nodiscard]] std::string save() const;
    // The same in steps, while records go on: what save() would give now. One at a time; `room` is an earlier one.
    void begin_copy(StateCopy room = {});
    [[nodiscard]] bool is_copying() const { return copy_.has_value(); }
    // Passes over `entries` of the tables; the whole copy once there is no more to do.
    [[nodiscard]] std::optional<StateCopy> copy_some(std::size_t entries);
    // Names of operators that begin anew; or why the bytes are no state: then the engine is not to be used further.
    [[nodiscard]] Result<std::vector<std::string>> load(std::string_view bytes);

  private:
    static constexpr std::uint32_t no_program = UINT32_MAX;
    struct Window {
        std::variant<PaneWindows, SessionWindows> operation;
        std::uint32_t key = no_program;  // programs, by number in the rule set
        std::uint32_t value = no_program;
        std::uint32_t distinct = no_program;
        std::uint32_t top = no_program;
    };
    struct PatternOf {
        PatternMachine machine;
        std::uint32_t key = no_program;
        std::uint32_t holding = 0;  // bit of each condition that the event at hand satisfies
    };
    // Whose condition a program is. Conditions come first in the rule set: windows', then patterns', each in order.
    struct Condition {
        std::uint32_t owner = 0;  // a window; or windows and then a pattern
        std::uint32_t bit = 0;    // of a pattern's conditions
    };
    struct Series {
        std::uint64_t last_ns = 0;
        std::unique_ptr<AnomalyEnsemble> ensemble;
        void save(StateWriter& out) const;
    };
    struct Anomalies {
        std::uint32_t window = 0;
        Keyed<Series> series;
        template <class Self, class Visit>
        static void for_each_table(Self& self, Visit&& visit) {
            visit(self.series);
        }
    };
    struct AlertOn {
        std::uint32_t rule = 0;
        std::uint32_t raise = no_program;
        std::uint32_t clear = no_program;
    };
    // Alerts on the results of one definition.
    struct Watched {
        std::string type;  // "window.NAME" …
        std::vector<AlertOn> alerts;
    };
    struct Builder;

    explicit Engine(const Definitions& definitions) : definitions_(definitions), clock_(definitions.clock) {}
    void take(const wire::BatchHeader& header, const wire::EventView& event, Results& out);
    void take_window(Window& window, std::uint32_t index, const WindowEvent& dated, Results& out);
    void take_pattern(PatternOf& pattern, std::uint32_t index, const WindowEvent& dated, Results& out);
    void take_anomaly(std::uint32_t index, const WindowResult& result, Results& out);
    void advance(Results& out);
    void judge_alerts(const Results& out, std::vector<Notice>& notices);
    void observe(const Watched& watched, std::string_view key, std::uint64_t time_ns, std::vector<Notice>& notices);
    // What an expression of keys gives for the event at hand, worked out once: texts as they are, others as they are written; cut to
    // key_bytes_max.
    struct KeyOf {
        std::uint64_t ordinal = 0;  // of the event that it is of
        std::string written{};
        HashedKey key{};
    };
    [[nodiscard]] const HashedKey& key_of(std::uint32_t program);
    void fetch(std::span<const std::uint32_t> windows);

    // Every part of the state that can be taken up by itself: visit(part), and visit(name, digest, part) in the same order.
    template <class Self, class Visit>
    static void for_each_part(Self& self, Visit&& visit);
    template <class Self, class Visit>
    static void for_each_named_part(Self& self, Visit&& visit);
    void save_head(StateWriter& out) const;

    Definitions definitions_;
    EventClock clock_;
    std::uint64_t position_ = 0;
    std::uint64_t ordinal_ = 0;
    std::uint64_t unreadable_ = 0;
    std::deque<Window> windows_;  // these do not move: what they hold is not copied
    std::deque<PatternOf> patterns_;
    std::deque<Anomalies> anomalies_;
    std::vector<Condition> conditions_;  // by program
    std::vector<Watched> watched_windows_;
    std::vector<Watched> watched_patterns_;
    std::vector<Watched> watched_anomalies_;
    std::unique_ptr<AlertMachine> alerts_;
    std::optional<rules::RuleSet> event_rules_;
    std::optional<rules::RuleSet> result_rules_;
    std::optional<rules::Judge> event_judge_;
    std::optional<rules::Judge> result_judge_;
    std::optional<StateCopy> copy_;  // without its tables
    std::vector<KeyOf> keys_;        // by program, from the first behind the conditions
    std::vector<std::uint32_t> matched_windows_;
    std::string data_scratch_;
    std::vector<std::uint32_t> matched_patterns_;
    std::vector<WindowResult> window_scratch_;
    std::vector<PatternMatch> pattern_scratch_;
};

}  // namespace weir::analytics
