// PatternMachine: finds a pattern among the events of each key.
//
// Events wait until the watermark has passed them and are then taken in the order of event time (of equal ones in the journal's order):
// a pattern is a function of what happened, not of how it arrived. An event that satisfies the first step begins a run; a run goes on
// at the first event that satisfies its step, ends at one that a guard forbids, and is over `within` after it began.
//
// A match uses up what came before it: all runs of its key that began at or before its last event end with it.
//
// Thread    One. take() for each event of a record that satisfies any condition, then advance() once.
// Bounds    waiting_max events (beyond it the earliest is taken before its time, counted); keys_max keys; runs_per_key_max runs. What a
//           bound ends is answered as given_up and counted: for an absence nobody will know.
// Law       Late events (before what was already taken) are counted, not used.
#pragma once

#include <array>
#include <queue>
#include <tuple>

#include "central/analytics/keyed.hpp"
#include "central/analytics/pattern_language.hpp"

namespace weir::analytics {

struct PatternEvent {
    std::uint64_t time_ns = 0;
    std::uint64_t ordinal = 0;
    std::string key;
    std::uint32_t conditions = 0;  // bit of each that it satisfies; not 0
};

struct PatternMatch {
    std::string key;
    std::uint64_t start_ns = 0;       // of its first event
    std::uint64_t end_ns = 0;         // of its last event; of an absence, when the time was over
    std::uint64_t first_ordinal = 0;  // events of the journal
    std::uint64_t last_ordinal = 0;
    bool is_given_up = false;  // no match: a run that had to make room
    bool operator==(const PatternMatch&) const = default;
};

struct PatternLimits {
    std::uint32_t keys_max = 100'000;
    std::uint32_t runs_per_key_max = 256;
    std::uint32_t waiting_max = 1'000'000;
};

struct PatternCounts {
    std::uint64_t events = 0;
    std::uint64_t late = 0;
    std::uint64_t hurried = 0;  // taken before their time
    std::uint64_t given_up = 0;
    std::uint64_t matches = 0;
    bool operator==(const PatternCounts&) const = default;
};

class PatternMachine {
  public:
    // `steps` and `within_ns` of a compiled pattern.
    PatternMachine(std::vector<PatternStep> steps, std::uint64_t within_ns, const PatternLimits& limits = {});
    void take(PatternEvent event, std::vector<PatternMatch>& out);
    // Matches are appended in the order in which they became certain.
    void advance(std::uint64_t watermark, std::vector<PatternMatch>& out);
    [[nodiscard]] const PatternCounts& counts() const { return counts_; }
    [[nodiscard]] std::size_t key_count() const { return keys_.count(); }
    void save(StateWriter& out) const { save_operator(*this, out); }
    void load(StateReader& in);
    // Saved as what is besides its tables, and its tables in order.
    void save_head(StateWriter& out) const;
    template <class Self, class Visit>
    static void for_each_table(Self& self, Visit&& visit) {
        visit(self.keys_);
    }

  private:
    struct Run {
        std::uint64_t begun = 0;  // turn of its first event: names the run
        std::uint64_t last = 0;   // turn of the last event that it used
        PatternMatch match;       // so far; without key
        std::uint32_t step = 0;
        std::array<std::uint16_t, pattern_elements_max> counts{};  // of the step's elements
    };
    struct Key {
        std::vector<Run> runs;  // oldest first
        void save(StateWriter& out) const;
    };
    using Keys = Keyed<Key>;
    struct Deadline {
        std::uint64_t at_ns = 0;
        std::uint64_t begun = 0;
        Keys::Slot slot = 0;
        bool operator>(const Deadline& other) const {
            return std::tie(at_ns, begun) > std::tie(other.at_ns, other.begun);
        }
    };

    void take_earliest(std::vector<PatternMatch>& out);
    // Runs whose time is over before `now_ns`.
    void end_runs(std::uint64_t now_ns, std::vector<PatternMatch>& out);
    void step(const PatternEvent& event, std::vector<PatternMatch>& out);
    // What becomes of a run at an event.
    enum class Turn : std::uint8_t { unmoved, moved, ended, complete };
    [[nodiscard]] Turn move(Run& run, const PatternEvent& event) const;
    [[nodiscard]] std::optional<Run> begin(const PatternEvent& event) const;
    void complete(Keys::Slot slot, Run run, std::uint64_t end_ns, std::vector<PatternMatch>& out);
    void give_up(const std::string& key, Run& run, std::vector<PatternMatch>& out);
    [[nodiscard]] std::uint64_t deadline_of(const Run& run) const { return run.match.start_ns + within_ns_; }

    std::vector<PatternStep> steps_;
    std::uint64_t within_ns_;
    PatternLimits limits_;
    std::uint64_t taken_to_ns_ = 0;  // everything below has been taken
    std::uint64_t turn_ = 0;         // events taken
    PatternCounts counts_;
    std::vector<PatternEvent> waiting_;  // a heap, the earliest first
    Keys keys_;
    std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> deadlines_;
};

}  // namespace weir::analytics
