// AlertMachine: conditions that hold become alerts, and alerts notices, once each.
//
//            raise              held for_ns                  clear for clear_ns, or stale
//   (none) ────────▶ pending ───────────────▶ firing ────────────────────────────────────▶ (none)
//      ▲  anything else │                       │ escalate_ns: one severity up, once
//      └────────────────┘                       │ repeat_ns: said again
//
// Between raise and clear lies what is neither: it keeps a firing alert firing and makes no new one (hysteresis).
// Every change is a notice; its `fate` says whether anybody is to be told. A firing that follows another of the same group within
// group_ns is folded; when that time is over, one notice says how many were.
//
// Thread    One. Time is that of the results (event time), passed in; advance() with the watermark lets it go on.
// Law       A function of what was observed. Each fired is followed by exactly one resolved before the next fired of its rule and key.
// Bounds    keys_max alerts per rule: beyond, the one observed longest ago is resolved with is_evicted. silences_max.
#pragma once

#include <queue>
#include <tuple>
#include <vector>

#include "central/analytics/keyed.hpp"

namespace weir::analytics {

enum class Severity : std::uint8_t { info, warning, critical };
enum class Observed : std::uint8_t { raise, neither, clear };
enum class NoticeKind : std::uint8_t { fired, escalated, repeated, resolved, folded };
enum class Fate : std::uint8_t { told, silenced, suppressed, grouped };
[[nodiscard]] std::string_view text(Severity severity);
[[nodiscard]] std::string_view text(NoticeKind kind);
[[nodiscard]] std::string_view text(Fate fate);

struct AlertRule {
    std::string name;
    Severity severity = Severity::warning;
    std::uint64_t for_ns = 0;
    std::uint64_t clear_ns = 0;
    std::uint64_t stale_ns = 0;     // not raised for so long: resolved by itself. 0: never
    std::uint64_t escalate_ns = 0;  // 0: never
    std::uint64_t repeat_ns = 0;    // 0: never
    std::string group;              // empty: by itself
    std::uint64_t group_ns = 60 * ns_per_second;
    std::vector<std::uint32_t>
        suppressed_by;  // indexes of rules: while one of them fires for the key, this one is not told
    std::uint32_t keys_max = 10'000;
};

struct Silence {
    std::string rule;  // empty: every rule
    std::string key;   // empty: every key
    std::uint64_t from_ns = 0;
    std::uint64_t to_ns = 0;
};
inline constexpr std::uint32_t silences_max = 1024;

struct Notice {
    NoticeKind kind = NoticeKind::fired;
    Fate fate = Fate::told;
    Severity severity = Severity::warning;
    std::uint32_t rule = 0;  // index
    std::string key;         // of a folded one: the group
    std::uint64_t time_ns = 0;
    std::uint64_t since_ns = 0;  // since when the condition holds
    std::uint64_t count = 1;     // of a folded one: firings that were not told
    bool is_evicted = false;
    bool operator==(const Notice&) const = default;
};

class AlertMachine {
  public:
    explicit AlertMachine(std::vector<AlertRule> rules);
    void observe(std::uint32_t rule, std::string_view key, Observed what, std::uint64_t time_ns,
                 std::vector<Notice>& out);
    void advance(std::uint64_t now_ns, std::vector<Notice>& out);
    // False: there are silences_max that are not over.
    [[nodiscard]] bool silence(Silence silence);
    [[nodiscard]] std::size_t firing_count() const { return firing_; }
    void save(StateWriter& out) const { save_operator(*this, out); }
    void load(StateReader& in);
    // Saved as what is besides its tables before and behind them, and its tables in order.
    void save_head(StateWriter& out) const { out.put(now_ns_); }
    void save_tail(StateWriter& out) const;
    template <class Self, class Visit>
    static void for_each_table(Self& self, Visit&& visit) {
        for (auto& alerts : self.alerts_) visit(alerts);
    }

  private:
    struct Alert {
        bool is_firing = false;
        bool is_escalated = false;
        std::uint64_t since_ns = 0;
        std::uint64_t seen_ns = 0;    // last observed
        std::uint64_t raised_ns = 0;  // last raised
        std::uint64_t clear_since_ns = UINT64_MAX;
        std::uint64_t said_ns = 0;  // last fired or repeated
        std::uint64_t fired_ns = 0;
        std::uint64_t next_ns = UINT64_MAX;  // when time alone changes it
        void save(StateWriter& out) const;
    };
    struct Group {
        std::uint64_t open_ns = 0;  // until then firings are folded
        std::uint64_t folded = 0;
        std::uint32_t rule = 0;  // that was folded last
    };
    struct Due {
        std::uint64_t at_ns = 0;
        std::uint32_t rule = 0;
        std::string key;
        bool operator>(const Due& other) const {
            return std::tie(at_ns, rule, key) > std::tie(other.at_ns, other.rule, other.key);
        }
    };
    using Alerts = Keyed<Alert>;

    // What time alone does to it up to `now_ns`. True: it is over.
    [[nodiscard]] bool pass(std::uint32_t rule, const std::string& key, Alert& alert, std::uint64_t now_ns,
                            std::vector<Notice>& out);
    [[nodiscard]] std::uint64_t next_of(const AlertRule& rule, const Alert& alert) const;
    void say(NoticeKind kind, std::uint32_t rule, const std::string& key, const Alert& alert, std::uint64_t at_ns,
             std::vector<Notice>& out);
    [[nodiscard]] Fate fate_of(const Notice& notice);
    void end_groups(std::uint64_t now_ns, std::vector<Notice>& out);
    void settle(std::uint32_t rule, Alerts::Slot slot, std::uint64_t now_ns, std::vector<Notice>& out);

    std::vector<AlertRule> rules_;
    std::uint64_t now_ns_ = 0;
    std::size_t firing_ = 0;
    std::vector<Alerts> alerts_;  // by rule
    std::vector<std::string> group_names_;
    std::vector<Group> groups_;  // by name
    std::vector<Silence> silences_;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace weir::analytics
